package volume

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/replica"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// Volume types, QoS specs, group types and default types are the same in every
// pod. Their IDs are the region's: package alias puts the pods' in their place.

func (a *api) replicas() *replica.Changer {
	away := func(ctx context.Context, podName string) bool {
		c, err := a.Dispatch.Client(ctx, podName)
		if err != nil {
			return true
		}
		known, ok := c.(interface {
			ServiceState(service pod.Service) (state string, since time.Time, reason string)
		})
		if !ok {
			return false
		}
		state, _, _ := known.ServiceState(pod.Volume)
		return state == pod.Away
	}
	return &replica.Changer{Pods: a.Fleet.Pods, Away: away, Store: a.Store, Reconciler: a.Reconciler, Log: a.Log, Timeout: a.CreateTimeout}
}

// question is one request about such a thing, which several pods may get.
type question struct {
	request *gateway.Request
	body    []byte
	path    string
	query   string
	pods    []store.Pod
}

func (a *api) question(ctx context.Context, r *gateway.Request) (question, error) {
	body, err := r.Bytes()
	if err != nil {
		return question{}, err
	}
	pods, err := a.Fleet.Pods(ctx)
	return question{request: r, body: body, path: podPath(r), query: r.URL.RawQuery, pods: pods}, err
}

// podPath is where pods have what the client asks for. Default types are not under
// a project.
func podPath(r *gateway.Request) string {
	if strings.HasPrefix(r.Path(), "/default-types") {
		return "//v3" + r.Path()
	}
	return r.Path()
}

// ask puts the question to a pod, in its words for zones.
func (a *api) askIn(ctx context.Context, by identity.Caller, podName string, q question) dispatch.Answer {
	req := ask(&by, q.request, q.request.Method+" "+q.request.Route.Pattern)
	req.Path, req.RawQuery = q.path, q.query
	if len(q.body) > 0 {
		body := inZones(q.body, zoneOf(q.pods, podName, true))
		req.Body, req.Length = bytes.NewReader(body), int64(len(body))
		req.Header.Set("Content-Type", "application/json")
	}
	n := a.Dispatch.Ask(ctx, podName, req)
	if n.Err == nil && len(n.Body) > 0 {
		n.Body = inZones(n.Body, zoneOf(q.pods, podName, false))
	}
	return n
}

// zoneOf names a zone as the pod does, or the other way round. Zones of other pods
// stay: they say that volumes of the type are not for this one.
func zoneOf(pods []store.Pod, podName string, local bool) func(string) string {
	i := slices.IndexFunc(pods, func(p store.Pod) bool { return p.Name == podName })
	return func(zone string) string {
		switch {
		case i < 0 || pods[i].PodZone == "":
		case local && zone == pods[i].Zone:
			return pods[i].PodZone
		case !local && zone == pods[i].PodZone:
			return pods[i].Zone
		}
		return zone
	}
}

// inZones renames the zones in a type's extra spec, wherever a body has it.
func inZones(body []byte, name func(string) string) []byte {
	if !bytes.Contains(body, []byte(plan.ZonesSpec)) {
		return body
	}
	paths := []string{plan.ZonesSpec, "extra_specs." + plan.ZonesSpec, "volume_type.extra_specs." + plan.ZonesSpec}
	for i := range gjson.GetBytes(body, "volume_types.#").Int() {
		paths = append(paths, "volume_types."+strconv.FormatInt(i, 10)+".extra_specs."+plan.ZonesSpec)
	}
	for _, path := range paths {
		zones := gjson.GetBytes(body, path)
		if zones.Type != gjson.String {
			continue
		}
		if out, err := sjson.SetBytes(body, path, plan.RenameZones(zones.Str, name)); err == nil {
			body = out
		}
	}
	return body
}

// askEach puts the question to every pod at once; the answers are in the pods' order.
func (a *api) askEach(ctx context.Context, by identity.Caller, q question) []dispatch.Answer {
	ctx, cancel := context.WithTimeout(ctx, a.Dispatch.Timeout)
	defer cancel()
	answers := make([]dispatch.Answer, len(q.pods))
	var wg sync.WaitGroup
	for i, p := range q.pods {
		wg.Go(func() { answers[i] = a.askIn(ctx, by, p.Name, q) })
	}
	wg.Wait()
	return answers
}

// replyFrom passes one pod's answer on as the region's, its links ours.
func (a *api) replyFrom(r *gateway.Request, n dispatch.Answer) *gateway.Reply {
	reply := &gateway.Reply{Status: n.Status, Header: http.Header{}}
	if len(n.Body) > 0 {
		reply.Header.Set("Content-Type", n.Header.Get("Content-Type"))
		reply.Body = n.Body
		if n.Asked != nil {
			reply.Body = gateway.LinksFrom(r, n.Asked, podPath(r)).Append(nil, n.Body)
		}
	}
	return reply
}

// change is one change of such a thing.
type change struct {
	kind, id, name string
	act            store.Act
	next           func(before json.RawMessage) (json.RawMessage, bool)
	made           func(n dispatch.Answer) (content json.RawMessage, podID string, ok bool)
	taken          func(ctx context.Context) (map[string]error, error)
}

// changeAll carries it out and replies with the first pod's answer.
func (a *api) changeAll(ctx context.Context, by identity.Caller, q question, ch change) (*gateway.Reply, error) {
	out, err := a.changeBy(ctx, ch, func(ctx context.Context, podName string) dispatch.Answer { return a.askIn(ctx, by, podName, q) })
	if err != nil {
		return nil, err
	}
	reply := a.replyFrom(q.request, out.Answer)
	if body, ok := reply.Body.([]byte); ok && ch.act == store.ActCreate && store.Named(ch.kind) {
		// The alias came after the answer.
		reply.Body = bytes.ReplaceAll(body, []byte(out.PodID), []byte(ch.id))
	}
	return reply.Without(out.Late...), nil
}

// changeBy carries it out by other requests than the client's.
func (a *api) changeBy(ctx context.Context, ch change, ask func(ctx context.Context, podName string) dispatch.Answer) (replica.Outcome, error) {
	taken := ch.taken
	if taken == nil {
		taken = func(context.Context) (map[string]error, error) { return nil, nil }
	}
	return a.replicas().Do(ctx, replica.Change{
		Kind: ch.kind, ID: ch.id, Name: ch.name, Act: ch.act, Next: ch.next, Made: ch.made, Taken: taken, Ask: ask,
	})
}

// changer is a handler for changes of one kind; next makes the thing what it will
// be, and is false when the request makes no sense.
func changer[T any](a *api, kind string, next func(t *T, r *gateway.Request, body gjson.Result) bool) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		q, err := a.question(ctx, r)
		if err != nil {
			return nil, err
		}
		return a.changeAll(ctx, by, q, changeOf(q, kind, r.Param("id"), next))
	}
}

func changeOf[T any](q question, kind, id string, next func(t *T, r *gateway.Request, body gjson.Result) bool) change {
	return change{
		kind: kind, id: id, act: store.ActChange,
		next: func(before json.RawMessage) (json.RawMessage, bool) {
			var t T
			if json.Unmarshal(before, &t) != nil || len(q.body) > 0 && !gjson.ValidBytes(q.body) {
				return nil, false
			}
			ok := next(&t, q.request, gjson.ParseBytes(q.body))
			content, err := json.Marshal(t)
			return content, ok && err == nil
		},
	}
}

// remover is a handler for the deletion of a thing.
func (a *api) remover(kind string) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		q, err := a.question(ctx, r)
		if err != nil {
			return nil, err
		}
		return a.changeAll(ctx, by, q, change{kind: kind, id: r.Param("id"), act: store.ActDelete})
	}
}

// creator is a handler for the creation of a thing with a name. member is where
// the bodies have it.
func (a *api) creator(kind, member string, read func(gjson.Result) json.RawMessage) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		q, err := a.question(ctx, r)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSpace(gjson.GetBytes(q.body, member+".name").Str)
		id := uuid.NewString()
		return a.changeAll(ctx, by, q, change{
			kind: kind, id: id, name: name, act: store.ActCreate,
			taken: func(ctx context.Context) (map[string]error, error) { return a.nameTaken(ctx, kind, name) },
			made: func(n dispatch.Answer) (json.RawMessage, string, bool) {
				doc := gjson.GetBytes(n.Body, member)
				podID := doc.Get("id").Str
				return read(doc), podID, podID != ""
			},
		})
	}
}

// nameTaken says in which pods something has the name: what the region knows
// after a look into the pods that answer.
func (a *api) nameTaken(ctx context.Context, kind, name string) (map[string]error, error) {
	rep, err := a.findNamed(ctx, kind, name)
	if err != nil || rep.Content == nil {
		return nil, err
	}
	mappings, err := a.Store.ListMappings(ctx, store.MappingQuery{Kind: kind, ID: rep.ID})
	if err != nil {
		return nil, err
	}
	taken := map[string]error{}
	for _, m := range mappings {
		if m.Wanted && (m.PodID != "" || rep.Everywhere) {
			taken[m.Pod] = exists(kind, name)
		}
	}
	return taken, nil
}

// findNamed finds what has the name in the region; nothing has no content.
func (a *api) findNamed(ctx context.Context, kind, name string) (store.Replica, error) {
	if name == "" {
		return store.Replica{}, nil
	}
	if err := a.Reconciler.AdoptNamed(ctx, kind); err != nil {
		a.Log.InfoContext(ctx, "a pod does not say what it has", "kind", kind, "error", err)
	}
	rep, err := a.Store.FindReplicaNamed(ctx, kind, name)
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	return rep, err
}

// exists is Cinder's error for a name that is taken.
func exists(kind, name string) error {
	words := "Volume Type"
	switch kind {
	case store.KindGroupType:
		words = "Group Type"
	case store.KindQoSSpecs:
		words = "QoS Specs"
	}
	return fault.New(fault.Conflict, "", "%s %s already exists.", words, name)
}

// renamer is a handler for a change by which the thing may get another name, at
// path in the body: one that another thing has must be found out before.
func renamer[T any](a *api, kind, path string, next func(t *T, r *gateway.Request, body gjson.Result) bool) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		q, err := a.question(ctx, r)
		if err != nil {
			return nil, err
		}
		ch := changeOf(q, kind, r.Param("id"), next)
		ch.name = strings.TrimSpace(gjson.GetBytes(q.body, path).Str)
		other, err := a.findNamed(ctx, kind, ch.name)
		if err != nil {
			return nil, err
		}
		if other.Content != nil && other.ID != ch.id {
			return nil, exists(kind, ch.name)
		}
		return a.changeAll(ctx, by, q, ch)
	}
}

// anyReplica answers from the first pod that has the thing, and has all changes of
// it if one does.
func (a *api) anyReplica(kind string) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		q, err := a.question(ctx, r)
		if err != nil {
			return nil, err
		}
		c := a.replicas()
		lag, err := c.Lag(ctx, kind)
		if err != nil {
			return nil, err
		}
		answers := a.askEach(ctx, by, q)
		id := r.Param("id")
		best := lag.Best(kind, id, answers, absent(kind, id))
		if best < 0 {
			return nil, c.Unseen(ctx, kind, id, answers, lag)
		}
		return a.replyFrom(r, answers[best]).Without(awayOf(answers)...), nil
	}
}

// absent is Cinder's error for a thing that is not there.
func absent(kind, id string) error {
	switch kind {
	case store.KindQoSSpecs:
		return fault.New(fault.NotFound, "", "No such QoS spec %s.", id)
	case store.KindGroupType:
		return fault.New(fault.NotFound, "", "Group type %s could not be found.", id)
	case store.KindDefaultType:
		return fault.New(fault.NotFound, "", "Default type for project %s not found.", id)
	}
	return fault.New(fault.NotFound, "", "Volume type %s could not be found.", id)
}

func awayOf(answers []dispatch.Answer) []string {
	var names []string
	for _, n := range answers {
		if n.Away() {
			names = append(names, n.Pod)
		}
	}
	return names
}
