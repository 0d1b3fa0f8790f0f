package compute

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// What admins see of the pods' insides has names and numbers that each pod chose
// for itself. A shape says where a thing has them, as gjson paths; the region's
// stand in their place.
type shape struct{ numbers, hosts, zones []string }

// edits are those that make a thing the region's. Every index counts from the
// start of the document that the thing was parsed with.
func (v view) edits(edits []gateway.Edit, thing gjson.Result, s shape) []gateway.Edit {
	for _, path := range s.numbers {
		if n := thing.Get(path); n.Type == gjson.Number { // else a UUID, the same everywhere
			edits = append(edits, gateway.Instead(n, strconv.FormatInt(v.number(n.Int()), 10)))
		}
	}
	for _, path := range s.hosts {
		edits = gateway.Renamed(edits, thing.Get(path), v.host)
	}
	for _, path := range s.zones {
		edits = gateway.Renamed(edits, thing.Get(path), v.zone)
	}
	return edits
}

// shaped rewrites the thing, or the things, that the body holds under a name.
func shaped(field string, s shape) rewriter {
	return func(v view, body []byte) []byte {
		if !gjson.ValidBytes(body) {
			return nil
		}
		return gateway.Splice(body, v.allEdits(gjson.GetBytes(body, field), s))
	}
}

func (v view) allEdits(things gjson.Result, s shape) (edits []gateway.Edit) {
	if !things.IsArray() {
		return v.edits(nil, things, s)
	}
	for _, thing := range things.Array() {
		edits = v.edits(edits, thing, s)
	}
	return edits
}

// look puts a question that changes nothing to the pods (nil: all), at once. It
// waits for a pod as long as lists do.
func (a *api) look(ctx context.Context, by identity.Caller, pods []string, q question) ([]answer, error) {
	if pods == nil {
		var err error
		if pods, err = a.podNames(ctx); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.Dispatch.Timeout)
	defer cancel()
	return a.askThese(ctx, by, pods, func(string) question { return q }), nil
}

// listed judges the answers that are to make a list: one is enough, unless the
// region is set to show no list in part.
func (a *api) listed(answers []answer) error {
	if len(succeeded(answers)) == 0 && len(answers) > 0 {
		return none(answers)
	}
	if away := missing(answers); len(away) > 0 && a.Dispatch.Strict {
		return none(answers)
	}
	return nil
}

// none is the error when no pod has what was asked for. A refusal speaks for all;
// that the others do not have it proves nothing while one is away.
func none(answers []answer) error {
	var absent, refused error
	var away []answer
	for _, n := range answers {
		switch {
		case n.Err == nil:
		case n.Away():
			away = append(away, n)
		case fault.Is(n.Err, fault.NotFound):
			absent = n.Err
		case refused == nil:
			refused = n.Err
		}
	}
	switch {
	case refused != nil:
		return nobodys(refused)
	case len(away) == 0:
		return nobodys(absent)
	case len(away) == 1:
		return away[0].Err
	}
	var said []string
	var errs []error
	for _, n := range away {
		said, errs = append(said, n.Err.Error()), append(errs, n.Err)
	}
	return &fault.Error{Kind: fault.Unavailable, Message: strings.Join(said, "; "), Err: errors.Join(errs...)}
}

// nobodys is a pod's error that any pod would have given: it names none.
func nobodys(err error) error {
	f, ok := faultOf(err)
	if !ok {
		return err
	}
	said := *f
	said.Pod = ""
	return &said
}

// merge is a list made of the pods' lists, one after the other. keep may leave
// things out, as the region shows them; nil keeps all.
func (a *api) merge(r *gateway.Request, answers []answer, field string, s shape, keep func(gjson.Result) bool) (*gateway.Reply, error) {
	if err := a.listed(answers); err != nil {
		return nil, err
	}
	list := []json.RawMessage{}
	for _, n := range succeeded(answers) {
		ours := shaped(field, s)(a.viewOf(r, n.Pod), n.Body)
		if ours == nil || !gjson.GetBytes(ours, field).IsArray() {
			return nil, notExpected(r, n.Pod)
		}
		for _, thing := range gjson.GetBytes(ours, field).Array() {
			if keep == nil || keep(thing) {
				list = append(list, json.RawMessage(thing.Raw))
			}
		}
	}
	return a.merged(map[string]any{field: list}, answers), nil
}

func notExpected(r *gateway.Request, podName string) error {
	return &fault.Error{Kind: fault.Unavailable, Pod: podName,
		Message: r.Method + " " + r.Route.Pattern + ": the answer is not the JSON that was expected"}
}

// theOnly answers from the pod that has the thing; the ID is the same everywhere.
func (a *api) theOnly(change rewriter) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		q, err := questionOf(r)
		if err != nil {
			return nil, err
		}
		answers, err := a.look(ctx, by, nil, q)
		if err != nil {
			return nil, err
		}
		ok := succeeded(answers)
		if len(ok) == 0 {
			return nil, none(answers)
		}
		return a.replyWith(r, ok[0], change)
	}
}

// replyWith is one pod's answer as the region's.
func (a *api) replyWith(r *gateway.Request, n answer, change rewriter) (*gateway.Reply, error) {
	reply := a.replyFrom(r, n, nil)
	reply.Header.Set("X-Tricircle-Pod", n.Pod)
	body, ok := reply.Body.([]byte)
	if !ok || change == nil {
		return reply, nil
	}
	ours := change(a.viewOf(r, n.Pod), body)
	if ours == nil {
		return nil, notExpected(r, n.Pod)
	}
	reply.Body = ours
	return reply, nil
}

// numbered is what a number of the region leads to.
type numbered struct {
	pod   string
	id    string // the pod's
	shown string // the region's
}

// number reads a number of the region. missing is the message, with one %s, for
// one that leads nowhere.
func (a *api) number(ctx context.Context, shown, missing string) (numbered, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(shown), 10, 64)
	if err != nil {
		return numbered{}, fault.New(fault.NotFound, "", missing, shown)
	}
	podName, id, err := a.Fleet.PodNumber(ctx, n)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "", missing, shown)
	}
	return numbered{podName, strconv.FormatInt(id, 10), shown}, err
}

// atNumber passes the request about /root/{id}… to the pod of the number.
func (a *api) atNumber(ctx context.Context, by identity.Caller, r *gateway.Request, at numbered, change rewriter) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	q.Path = withID(r, at.id)
	n := a.ask(ctx, by, at.pod, q)
	if n.Err != nil {
		return nil, at.shownIn(n.Err)
	}
	return a.replyWith(r, n, change)
}

// withID is the request's path with another ID, which is its second part.
func withID(r *gateway.Request, id string) string {
	parts := strings.SplitN(r.Path(), "/", 4)
	parts[2] = url.PathEscape(id)
	return strings.Join(parts, "/")
}

// shownIn is a pod's error about the thing with the region's number in place of the
// pod's.
func (n numbered) shownIn(err error) error {
	f, ok := faultOf(err)
	if !ok || n.id == n.shown {
		return err
	}
	said := *f
	said.Message = regexp.MustCompile(`\b`+n.id+`\b`).ReplaceAllLiteralString(f.Message, n.shown)
	return &said
}

// until serves what Nova has closed from a version on.
func until(minor int, handle gateway.Handler) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		if versionOf(r).AtLeast(2, minor) {
			return nil, fault.New(fault.NotFound, "", "The resource could not be found.")
		}
		return handle(ctx, by, r)
	}
}

// toSomePod passes a request that names nothing that is anywhere to the first pod
// that answers: what is wrong with it is said in Nova's words.
func (a *api) toSomePod(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	names, err := a.podNames(ctx)
	if err != nil {
		return nil, err
	}
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	var n answer
	for _, name := range names {
		if n = a.ask(ctx, by, name, q); !n.Away() {
			break
		}
	}
	if n.Err != nil && !n.Away() {
		return nil, nobodys(n.Err)
	}
	if n.Err != nil {
		return nil, n.Err
	}
	return a.replyWith(r, n, nil)
}

// integer is the error for an ID that should be a number and is none.
func integer(shown string, err error) error {
	if _, bad := strconv.ParseInt(strings.TrimSpace(shown), 10, 64); bad != nil {
		return fault.New(fault.Invalid, "", "Invalid input received: id must be an integer")
	}
	return err
}
