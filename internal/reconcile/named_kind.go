package reconcile

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

// The oldest microversions of what is not in 3.0.
var (
	groupTypeVersion   = http.Header{"Openstack-Api-Version": {"volume 3.11"}}
	defaultTypeVersion = http.Header{"Openstack-Api-Version": {"volume 3.62"}}
)

// everything asks a list for what is not public, too.
func everything() url.Values { return url.Values{"is_public": {"None"}} }

func reading(path, op string, version http.Header) pod.Request {
	return pod.Request{Method: http.MethodGet, Path: path, Header: version, Op: op}
}

// missing is no error: the pod does not have the thing.
func missing(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// namesIn are the IDs and names of a list.
func namesIn(docs []gjson.Result, err error) ([]plan.Replica, error) {
	out := make([]plan.Replica, 0, len(docs))
	for _, doc := range docs {
		out = append(out, plan.Replica{ID: doc.Get("id").Str, Name: doc.Get("name").Str})
	}
	return out, err
}

// namedKind is a kind that is known by name, out of what differs between them.
func namedKind[T interface {
	Replica() plan.Replica
	Content() json.RawMessage
}](of namedCalls[T]) replicaKind {
	show := func(content json.RawMessage) (plan.Replica, error) {
		t, err := decode[T](content)
		if err != nil {
			return plan.Replica{}, err
		}
		return (*t).Replica(), nil
	}
	return replicaKind{
		find: of.find, names: of.names, show: show,
		list: func(ctx context.Context, c *pod.Client, _ string) ([]plan.Replica, []json.RawMessage, error) {
			return listNamed(ctx, c, of.names, of.find, show)
		},
		remove: func(ctx context.Context, c *pod.Client, id string) error {
			return cinderDo(ctx, c, pod.Request{Method: http.MethodDelete, Path: of.path + "/" + url.PathEscape(id), Header: of.version,
				Op: "delete " + of.words}, nil, fault.NotFound)
		},
		bare: func(content json.RawMessage) (json.RawMessage, error) {
			t, err := decode[T](content)
			if err != nil || of.bare == nil {
				return content, err
			}
			return of.bare(*t).Content(), nil
		},
		plan: func(v versions) (step, error) {
			ch, err := changesOf(of.in, v)
			if err != nil {
				return step{}, err
			}
			s := step{words: ch.Words()}
			if ch.Create != nil {
				s.create = func(ctx context.Context, c *pod.Client) (string, error) {
					doc, err := cinderOne(ctx, c, pod.Request{Method: http.MethodPost, Path: of.path, Header: of.version, Op: "create " + of.words},
						of.member+".id", map[string]any{of.member: ch.Create})
					return doc.Str, err
				}
			}
			if ch.Later() {
				s.change = func(ctx context.Context, c *pod.Client, id string) error { return of.change(ctx, c, id, ch) }
			}
			return s, nil
		},
		has: func(before, after, found json.RawMessage) (bool, error) {
			ch, err := changesOf(of.in, versions{want: after, told: before, found: found})
			return err == nil && ch.Create == nil && !ch.Later(), err
		},
	}
}

// namedCalls is what differs.
type namedCalls[T any] struct {
	path, member, words string
	version             http.Header
	find                func(ctx context.Context, c *pod.Client, id string) (json.RawMessage, error)
	names               func(ctx context.Context, c *pod.Client) ([]plan.Replica, error)
	bare                func(T) T // nil: the creation makes all of it
	in                  func(want T, told, found *T, create bool) plan.TypeChanges
	change              func(ctx context.Context, c *pod.Client, id string, ch plan.TypeChanges) error
}

func changesOf[T any](in func(want T, told, found *T, create bool) plan.TypeChanges, v versions) (plan.TypeChanges, error) {
	want, err := decode[T](v.want)
	if err != nil {
		return plan.TypeChanges{}, err
	}
	told, err := decode[T](v.told)
	if err != nil {
		return plan.TypeChanges{}, err
	}
	found, err := decode[T](v.found)
	if err != nil {
		return plan.TypeChanges{}, err
	}
	return in(*want, told, found, v.create), nil
}

// listNamed reads all things of such a kind, one by one.
func listNamed(ctx context.Context, c *pod.Client, list func(context.Context, *pod.Client) ([]plan.Replica, error),
	find func(context.Context, *pod.Client, string) (json.RawMessage, error), show func(json.RawMessage) (plan.Replica, error),
) (shown []plan.Replica, contents []json.RawMessage, err error) {
	names, err := list(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range names {
		content, err := find(ctx, c, n.ID)
		if err != nil {
			return nil, nil, err
		}
		if content == nil {
			continue // gone meanwhile
		}
		t, err := show(content)
		if err != nil {
			return nil, nil, err
		}
		t.ID = n.ID
		shown, contents = append(shown, t), append(contents, content)
	}
	return shown, contents, nil
}
