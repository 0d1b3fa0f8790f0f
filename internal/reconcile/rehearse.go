package reconcile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// What an operator changed or deleted in a pod by hand is found by a rehearsal: the
// actors do their work on a copy of what the pod has, read in pages, and what they
// would change is written down instead of done. So there is one knowledge of what
// is wanted in a pod, that of the actors.

// photographed are the kinds of which a stage has all; in pods that have them address
// groups, too.
var photographed = []string{store.KindNetwork, store.KindSubnet, store.KindPort, store.KindSecurityGroup, store.KindRouter, store.KindFloatingIP}

// stagePage is how many things are read at a time.
const stagePage = 1000

// stage is a pod as it was at one moment, for actors to rehearse on.
type stage struct {
	objects map[string]map[string]map[string]any // by what the kind is called in bodies, and ID
	deeds   []deed
}

// deed is what an actor would have done.
type deed struct {
	method, kind, id string
	body             map[string]any
}

// errRehearsed ends a rehearsal where something would be created: what follows
// depends on it.
var errRehearsed = errors.New("rehearsed")

// photograph reads all that a stage needs.
func photograph(ctx context.Context, c *pod.Client, kinds []string) (*stage, error) {
	s := &stage{objects: map[string]map[string]map[string]any{}}
	for _, kind := range kinds {
		s.objects[member(kind)] = map[string]map[string]any{}
		q := url.Values{"limit": {strconv.Itoa(stagePage)}}
		for {
			page, err := list[map[string]any](ctx, c, kind, q)
			if err != nil {
				return nil, err
			}
			for _, o := range page {
				id, _ := o["id"].(string)
				s.objects[member(kind)][id] = o
				q.Set("marker", id)
			}
			if len(page) < stagePage {
				break
			}
		}
	}
	return s, nil
}

// client is the pod's client with the stage in the pod's place. What the stage does
// not have is asked of the pod; nothing is changed there.
func (s *stage) client(c *pod.Client) *pod.Client {
	d := *c
	d.Around = func(ctx context.Context, _ *pod.Client, r pod.Request, _ pod.Doer) (*http.Response, error) {
		kind, id, deeper := kindOfPath(r.Path)
		switch {
		case r.Method != http.MethodGet:
			return s.write(r)
		case s.objects[kind] == nil || deeper || r.Service != pod.Network:
			return c.Do(ctx, r)
		case id != "":
			return s.show(kind, id), nil
		}
		return s.list(kind, r.Query), nil
	}
	return &d
}

// kindOfPath reads a collection's or an object's path; deeper ones lead to what an
// object has.
func kindOfPath(path string) (kind, id string, deeper bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) > 1 {
		id = parts[1]
	}
	return singularOf(parts[0]), id, len(parts) > 2
}

func singularOf(collection string) string {
	return strings.ReplaceAll(strings.TrimSuffix(collection, "s"), "-", "_")
}

// deedOf reads what a request does. "PUT /routers/ID/add_router_interface" creates an
// interface, "POST /floatingips/ID/port_forwardings" a forwarding.
func deedOf(r pod.Request) deed {
	done := deed{method: r.Method}
	var deeper bool
	if done.kind, done.id, deeper = kindOfPath(r.Path); !deeper {
		return done
	}
	parts := strings.Split(strings.Trim(r.Path, "/"), "/")[2:]
	verb, what, _ := strings.Cut(parts[0], "_")
	switch {
	case r.Method == http.MethodPut && verb == "add":
		return deed{method: http.MethodPost, kind: what}
	case r.Method == http.MethodPut && verb == "remove":
		return deed{method: http.MethodDelete, kind: what}
	}
	done.kind, done.id = singularOf(parts[0]), ""
	if len(parts) > 1 {
		done.id = parts[1]
	}
	return done
}

func (s *stage) write(r pod.Request) (*http.Response, error) {
	done := deedOf(r)
	if r.Body != nil {
		var body map[string]json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return nil, err
		}
		for _, inner := range body {
			_ = json.Unmarshal(inner, &done.body) // of many at once only that there are some matters
		}
	}
	s.deeds = append(s.deeds, done)
	switch {
	case r.Method == http.MethodDelete:
		return answer(http.StatusNoContent, nil), nil
	case r.Method == http.MethodPost && done.kind != kindRule && done.kind != "port_forwarding":
		return nil, errRehearsed
	}
	return answer(http.StatusOK, map[string]any{done.kind: map[string]any{}}), nil
}

func (s *stage) show(kind, id string) *http.Response {
	if o, ok := s.objects[kind][id]; ok {
		return answer(http.StatusOK, map[string]any{kind: o})
	}
	return answer(http.StatusNotFound, map[string]any{"NeutronError": map[string]any{"type": "NotFound", "message": "not there", "detail": ""}})
}

func (s *stage) list(kind string, q url.Values) *http.Response {
	found := []any{}
	for _, o := range s.objects[kind] {
		if fits(o, q) {
			found = append(found, o)
		}
	}
	return answer(http.StatusOK, map[string]any{plural(kind): found})
}

func fits(o map[string]any, q url.Values) bool {
	for name, wanted := range q {
		if is, _ := o[name].(string); name != "fields" && !slices.Contains(wanted, is) {
			return false
		}
	}
	return true
}

func answer(status int, v any) *http.Response {
	text, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(text)), ContentLength: int64(len(text))}
}

// rehearse is what the actor of the mapping would do.
func (r *Reconciler) rehearse(ctx context.Context, s *stage, c *pod.Client, m store.Mapping) ([]deed, error) {
	s.deeds = nil
	act, ok := r.actors[m.Kind]
	if !ok {
		return nil, fault.New(fault.Internal, "", "no such kind of target: %s", m.Kind)
	}
	err := act(ctx, s.client(c), m)
	if errors.Is(err, errRehearsed) {
		err = nil
	}
	return s.deeds, err
}
