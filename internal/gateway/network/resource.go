package network

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// resource is one kind of thing that the Network API serves: its attributes, and
// what is done with them. The engine does the rest.
//
// Functions that are nil are not offered.
type resource[T any] struct {
	one, many  string // "port", "ports"
	path       string // where they are, if not at many
	attributes []attribute
	missing    func(id string) error
	// below is set for things that belong to others and are found below them.
	below *below[T]

	list func(ctx context.Context, q store.Query) ([]T, error)
	find func(ctx context.Context, id string) (T, error)
	// sees refuses things that the caller must not see, where the list cannot tell.
	sees func(ctx context.Context, by identity.Caller, v *T) error
	// facts are the attributes of a thing that rules ask about; its project is known
	// if T is a topology.Standard. belongs finds what they ask about the thing's
	// network or group. Both may be nil.
	facts   func(v *T) map[string]any
	belongs func(ctx context.Context, by identity.Caller) parents
	// shared points to the flag of a thing that RBAC policies can be about; may be nil.
	shared func(v *T) (id string, flag *bool)
	view   func(ctx context.Context, by identity.Caller, all []T) ([]map[string]any, error)

	create func(ctx context.Context, by identity.Caller, all []values) ([]T, error)
	// match, when not nil, is the revision that it must have.
	update func(ctx context.Context, by identity.Caller, old *T, change values, match revision) (T, error)
	remove func(ctx context.Context, by identity.Caller, old *T, match revision) error
	// tags says where its tags are kept; nil: it has none.
	tags  *store.Tagged
	store *store.Store // of the tags
	// tagsBySight lets all who see it tag it, whoever may change it otherwise.
	tagsBySight bool
	// prepare runs before a list.
	prepare func(ctx context.Context, by identity.Caller) error
}

// below says whose the things are: the path names the owner, and they have his ID
// in an attribute of that name, by which the store finds them.
type below[T any] struct {
	owner   string // "policy_id"
	of      func(v *T) string
	sees    func(ctx context.Context, by identity.Caller, owner string) error
	missing func(owner, id string) error
}

// routes are the resource's lines of the table. Neutron takes paths with dashes
// and with underscores.
func (res *resource[T]) routes() []gateway.Route {
	path := "/" + cmp.Or(res.path, res.many)
	cut := strings.LastIndex(path, "/") + 1
	last := path[cut:]
	all := res.routesAt(path[:cut] + strings.ReplaceAll(last, "_", "-"))
	if strings.Contains(last, "_") {
		all = append(all, res.routesAt(path)...)
	}
	if res.tags != nil { // without what is before the last part
		all = append(all, res.tagRoutes("/"+strings.ReplaceAll(res.many, "_", "-")+"/{id}")...)
	}
	return all
}

func (res *resource[T]) routesAt(all string) []gateway.Route {
	var routes []gateway.Route
	name := res.name()
	add := func(offered bool, method, pattern, verb string, h gateway.Handler) {
		if offered {
			routes = append(routes, gateway.Route{Method: method, Pattern: pattern, Strategy: gateway.Central, Policy: verb + name, Handle: h})
		}
	}
	one := all + "/{id}"
	add(res.list != nil, http.MethodGet, all, "get_", res.handleList)
	add(res.create != nil, http.MethodPost, all, "create_", res.handleCreate)
	add(res.find != nil, http.MethodGet, one, "get_", res.handleShow)
	add(res.update != nil, http.MethodPut, one, "update_", res.handleUpdate)
	add(res.remove != nil, http.MethodDelete, one, "delete_", res.handleDelete)
	return routes
}

// name is what the policy's rules call a thing.
func (res *resource[T]) name() string {
	if res.below != nil {
		return strings.TrimSuffix(res.below.owner, "_id") + "_" + res.one
	}
	return res.one
}

func (res *resource[T]) handleList(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, fields, err := readQuery(by, res.attributes, r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if res.prepare != nil {
		if err := res.prepare(ctx, by); err != nil {
			return nil, err
		}
	}
	if res.below != nil {
		owner := r.Param(res.below.owner)
		if err := res.below.sees(ctx, by, owner); err != nil {
			return nil, err
		}
		q.Filters[res.below.owner], q.ProjectID = []string{owner}, "" // who sees the owner sees all
	}
	all, err := res.list(ctx, q)
	if err != nil {
		return nil, err
	}
	shown, err := res.show(ctx, by, all)
	if err == nil {
		shown, err = res.permitted(ctx, by, shown)
	}
	if err != nil {
		return nil, err
	}
	var first, last string
	if len(shown) > 0 {
		first, last = shown[0]["id"].(string), shown[len(shown)-1]["id"].(string)
	}
	body := map[string]any{res.many: shown}
	if err := res.trim(ctx, by, shown, fields); err != nil {
		return nil, err
	}
	if q.Limit > 0 {
		if links := pageLinks(r, q, len(shown), first, last); links != nil {
			body[res.many+"_links"] = links
		}
	}
	return gateway.JSON(http.StatusOK, body), nil
}

// show is the view with the tags.
func (res *resource[T]) show(ctx context.Context, by identity.Caller, all []T) ([]map[string]any, error) {
	if err := res.markShared(ctx, by, all); err != nil {
		return nil, err
	}
	shown, err := res.view(ctx, by, all)
	if err != nil {
		return nil, err
	}
	return shown, res.addTags(ctx, shown)
}

// named finds the thing of the path, which the caller may see.
func (res *resource[T]) named(ctx context.Context, by identity.Caller, r *gateway.Request) (*T, error) {
	if res.below == nil {
		return res.get(ctx, by, r.Param("id"))
	}
	owner, id := r.Param(res.below.owner), r.Param("id")
	if err := res.below.sees(ctx, by, owner); err != nil {
		return nil, err
	}
	v, err := res.find(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && res.below.of(&v) != owner {
		err = res.below.missing(owner, id)
	}
	return &v, err
}

// get finds a thing that the caller may see; all else is as if it were not there.
func (res *resource[T]) get(ctx context.Context, by identity.Caller, id string) (*T, error) {
	if res.sees != nil {
		v, err := res.find(ctx, id)
		if err == nil {
			err = res.sees(ctx, by, &v)
		}
		return &v, err
	}
	seen, err := res.list(ctx, store.Query{Filters: map[string][]string{"id": {id}}, ProjectID: scopeOf(by), Asker: by.ProjectID})
	if err != nil {
		return nil, err
	}
	if len(seen) == 0 {
		return nil, res.missing(id)
	}
	return &seen[0], res.markShared(ctx, by, seen)
}

func (res *resource[T]) handleShow(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	v, err := res.named(ctx, by, r)
	if err != nil {
		return nil, err
	}
	shown, err := res.show(ctx, by, []T{*v})
	if err == nil {
		shown, err = res.permitted(ctx, by, shown)
	}
	if err != nil {
		return nil, err
	}
	if len(shown) == 0 {
		return nil, hidden()
	}
	return res.send(ctx, by, http.StatusOK, shown[0], readFields(r.URL.Query()))
}

func (res *resource[T]) reply(ctx context.Context, by identity.Caller, status int, v T, fields []string) (*gateway.Reply, error) {
	shown, err := res.show(ctx, by, []T{v})
	if err != nil {
		return nil, err
	}
	return res.send(ctx, by, status, shown[0], fields)
}

func (res *resource[T]) send(ctx context.Context, by identity.Caller, status int, shown map[string]any, fields []string) (*gateway.Reply, error) {
	err := res.trim(ctx, by, []map[string]any{shown}, fields)
	return gateway.JSON(status, map[string]any{res.one: shown}), err
}

func (res *resource[T]) handleCreate(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	f, err := decode(r, res.one, res.many, true)
	if err != nil {
		return nil, err
	}
	all := make([]values, len(f.items))
	for i, item := range f.items {
		if all[i], err = read(by, res.attributes, item, true); err != nil {
			return nil, err
		}
		if res.below != nil {
			all[i][res.below.owner] = r.Param(res.below.owner)
		}
	}
	look := res.lookup(ctx, by)
	for i, item := range f.items {
		if err := res.authorise(by, r.Route.Policy, item, all[i], about(all[i], look)); err != nil {
			return nil, err
		}
	}
	made, err := res.create(ctx, by, all)
	if err != nil {
		return nil, err
	}
	if !f.bulk {
		return res.reply(ctx, by, http.StatusCreated, made[0], nil)
	}
	shown, err := res.show(ctx, by, made)
	if err != nil {
		return nil, err
	}
	err = res.trim(ctx, by, shown, nil)
	return gateway.JSON(http.StatusCreated, map[string]any{res.many: shown}), err
}

func (res *resource[T]) handleUpdate(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	f, err := decode(r, res.one, res.many, false)
	if err != nil {
		return nil, err
	}
	change, err := read(by, res.attributes, f.items[0], false)
	if err != nil {
		return nil, err
	}
	v, match, err := res.change(ctx, by, r, f.items[0], change)
	if err != nil {
		return nil, err
	}
	made, err := res.update(ctx, by, v, change, match)
	if err != nil {
		return nil, err
	}
	return res.reply(ctx, by, http.StatusOK, made, nil)
}

func (res *resource[T]) handleDelete(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	v, match, err := res.toChange(ctx, by, r)
	if err != nil {
		return nil, err
	}
	if err := res.remove(ctx, by, v, match); err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusNoContent), nil
}

// toChange finds the thing, and the revision it must have, for a caller who may
// change it.
func (res *resource[T]) toChange(ctx context.Context, by identity.Caller, r *gateway.Request) (*T, revision, error) {
	return res.change(ctx, by, r, nil, nil)
}

// change is toChange for what is to be changed into sent; item is that as it came.
// Who may see the thing is told that he may not change it; to others it is not there.
func (res *resource[T]) change(ctx context.Context, by identity.Caller, r *gateway.Request, item map[string]any, sent values) (*T, revision, error) {
	match, err := readRevision(r)
	if err != nil {
		return nil, nil, err
	}
	v, err := res.named(ctx, by, r)
	if err != nil {
		return nil, nil, err
	}
	of := res.factsOf(v)
	maps.Copy(of, sent)
	target := about(of, res.lookup(ctx, by))
	err = res.authorise(by, r.Route.Policy, item, sent, target)
	if fault.Is(err, fault.Forbidden) {
		if seen, serr := by.May(res.reading(), target); serr == nil && !seen {
			err = hidden()
		}
	}
	return v, match, err
}

// revision is what If-Match names; nil is any.
type revision *int64

func readRevision(r *gateway.Request) (revision, error) {
	var match revision
	for tag := range strings.SplitSeq(r.Header.Get("If-Match"), ",") {
		text, ok := strings.CutPrefix(strings.Trim(strings.TrimSpace(tag), `"`), "revision_number=")
		if !ok {
			continue
		}
		if match != nil {
			return nil, badResource("if-match", "Multiple revision_number etags are not supported.")
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, badResource("if-match", "Revision number etag must be in the format of revision_number=<int>")
		}
		match = &n
	}
	return match, nil
}

// check refuses a thing that has changed since the client read it.
func check(match revision, current int64) error {
	if match == nil || *match == current {
		return nil
	}
	return fault.New(fault.PreconditionFailed, "RevisionNumberConstraintFailed",
		"Constrained to %d, but current revision is %d", *match, current)
}

// identified has the attributes of every resource first, standard those of nearly
// every one.
func identified(attributes ...attribute) []attribute {
	return append([]attribute{
		{name: "id", filter: asIs, sort: true},
		{name: "project_id", read: readText(255), post: true, filter: asIs, sort: true},
	}, attributes...)
}

func standard(attributes ...attribute) []attribute {
	return append(identified(attributes...),
		attribute{name: "description", read: readText(255), fallback: "", post: true, put: true, filter: asIs, sort: true},
		attribute{name: "created_at", sort: true},
		attribute{name: "updated_at", sort: true},
		attribute{name: "revision_number", filter: filterNumber, sort: true},
	)
}
