package compute

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/replica"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// flavorKeys are the sort keys that a flavor in detail shows; by the others the
// flavors keep the order of the first pod.
var flavorKeys = map[string]string{
	"flavorid": "id", "name": "name", "memory_mb": "ram", "root_gb": "disk", "vcpus": "vcpus", "swap": "swap",
	"ephemeral_gb": "OS-FLV-EXT-DATA:ephemeral", "rxtx_factor": "rxtx_factor", "is_public": "os-flavor-access:is_public",
	"disabled": "OS-FLV-DISABLED:disabled", "description": "description",
}

// flavors is "GET /flavors" and "GET /flavors/detail": those of all pods, each ID
// once. The same ID means the same flavor everywhere; the first pod's text shows.
func (a *api) flavors(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	query := r.URL.Query()
	limit, err := limitOf(query)
	if err != nil {
		return nil, err
	}
	q := question{Method: http.MethodGet, Path: "/flavors/detail", Query: r.URL.Query(), Version: versionOf(r), Op: "list flavors"}
	q.Query.Del("limit")
	q.Query.Del("marker")
	answers, err := a.collect(ctx, by, q, "flavors", "id")
	if err != nil {
		return nil, replica.Regional(err)
	}
	l, err := a.replicas().Lag(ctx, store.KindFlavor)
	if err != nil {
		return nil, err
	}
	items := union(answers, "flavors", "id", func(id, pod string) (old, gone bool) { return l.Of(store.KindFlavor, id, pod) })
	key := cmp.Or(query.Get("sort_key"), "flavorid")
	desc := query.Get("sort_dir") == "desc"
	sortItems(items, flavorKeys[key], desc)
	if items, err = a.afterUnlisted(ctx, by, r, items, query.Get("marker"), inOrder{flavorKeys[key], desc}); err != nil {
		return nil, err
	}
	items, more, err := pageOf(items, "id", query.Get("marker"), limit)
	if err != nil {
		return nil, err
	}
	v := a.viewOf(r, "")
	list := make([]json.RawMessage, 0, len(items))
	for _, item := range items {
		list = append(list, v.links([]byte(a.flavorItem(item.Raw, r))))
	}
	body := map[string]any{"flavors": list}
	if more {
		body["flavors_links"] = []map[string]string{{"rel": "next", "href": nextURL(r, items[len(items)-1].Get("id").String())}}
	}
	return a.merged(body, answers), nil
}

// flavorItem is a flavor in detail, or cut to what a brief list shows.
func (a *api) flavorItem(raw string, r *gateway.Request) string {
	if strings.HasSuffix(r.Path(), "/detail") {
		return raw
	}
	item := gjson.Parse(raw)
	brief := `{"id": ` + item.Get("id").Raw + `, "name": ` + item.Get("name").Raw + `, "links": ` + item.Get("links").Raw
	if d := item.Get("description"); d.Exists() {
		brief += `, "description": ` + d.Raw
	}
	return brief + "}"
}

// createFlavor is "POST /flavors": the same flavor, with the same ID, in every pod.
func (a *api) createFlavor(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	body, id, err := withFlavorID(q.Body)
	if err != nil {
		return nil, err
	}
	q.Body, q.Op = body, "create flavor"
	name := strings.TrimSpace(gjson.GetBytes(body, "flavor.name").Str)
	return a.change(ctx, by, r, change{
		kind: store.KindFlavor, id: id, name: name, act: store.ActCreate, question: q,
		taken: func(ctx context.Context) (map[string]error, error) {
			return a.flavorTaken(ctx, by, q.Version, id, name)
		},
		made: func(n answer) (json.RawMessage, bool) {
			doc := gjson.GetBytes(n.Body, "flavor")
			return plan.ReadFlavor(doc).Content(), doc.Get("id").String() == id
		},
	})
}

// withFlavorID settles the ID, which each pod would else make up by itself. Of a
// body without what a flavor needs nothing is changed: a pod will refuse it, and
// show it.
func withFlavorID(body []byte) ([]byte, string, error) {
	if !gjson.ValidBytes(body) {
		return nil, "", fault.New(fault.Invalid, "", "Malformed request body")
	}
	flavor := gjson.GetBytes(body, "flavor")
	for _, needed := range []string{"name", "ram", "vcpus", "disk"} {
		if !flavor.Get(needed).Exists() {
			return body, "", nil
		}
	}
	if id := flavor.Get("id"); id.Exists() && id.Type != gjson.Null && id.Raw != "0" {
		return body, id.String(), nil
	}
	id := uuid.NewString()
	end := flavor.Index + len(flavor.Raw) - 1 // of two members with one name the last counts
	return gateway.Splice(body, []gateway.Edit{gateway.Insert(end, `, "id": "`+id+`"`)}), id, nil
}

// flavorTaken says which pods have a flavor with the ID or the name.
func (a *api) flavorTaken(ctx context.Context, by identity.Caller, v gateway.Microversion, id, name string) (map[string]error, error) {
	l, err := a.replicas().Lag(ctx, store.KindFlavor)
	if err != nil {
		return nil, err
	}
	answers, err := a.collect(ctx, by, question{Method: http.MethodGet, Path: "/flavors", Query: url.Values{"is_public": {"None"}},
		Version: v, Op: "list flavors"}, "flavors", "id")
	if err != nil {
		return nil, err
	}
	taken := map[string]error{}
	for _, n := range succeeded(answers) {
		for _, item := range gjson.GetBytes(n.Body, "flavors").Array() {
			has := item.Get("id").String()
			if _, gone := l.Of(store.KindFlavor, has, n.Pod); gone {
				continue
			}
			switch {
			case has == id:
				taken[n.Pod] = &fault.Error{Kind: fault.Conflict, Pod: n.Pod, Message: "Flavor with ID " + id + " already exists."}
			case taken[n.Pod] == nil && item.Get("name").Str == name:
				taken[n.Pod] = &fault.Error{Kind: fault.Conflict, Pod: n.Pod, Message: "Flavor with name " + name + " already exists."}
			}
		}
	}
	return taken, nil
}

// changeFlavor is a handler for a change; next makes the flavor what it will be,
// and is false when the request makes no sense.
func (a *api) changeFlavor(op string, next func(f *plan.Flavor, r *gateway.Request, body gjson.Result) bool) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		q, err := questionOf(r)
		if err != nil {
			return nil, err
		}
		q.Op = op
		return a.change(ctx, by, r, change{
			kind: store.KindFlavor, id: r.Param("id"), act: store.ActChange, question: q,
			next: func(before json.RawMessage) (json.RawMessage, bool) {
				var f plan.Flavor
				if json.Unmarshal(before, &f) != nil || len(q.Body) > 0 && !gjson.ValidBytes(q.Body) {
					return nil, false
				}
				ok := next(&f, r, gjson.ParseBytes(q.Body))
				return f.Content(), ok
			},
		})
	}
}

// deleteFlavor is "DELETE /flavors/{id}".
func (a *api) deleteFlavor(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	q.Op = "delete flavor"
	return a.change(ctx, by, r, change{kind: store.KindFlavor, id: r.Param("id"), act: store.ActDelete, question: q})
}

// actOnFlavor is "POST /flavors/{id}/action", whose two actions change who sees it.
func (a *api) actOnFlavor(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	for action, policy := range map[string]string{"addTenantAccess": "add_tenant_access", "removeTenantAccess": "remove_tenant_access"} {
		if gjson.GetBytes(body, action).Exists() && !by.IsAdmin() {
			return nil, fault.New(fault.Forbidden, "", "Policy doesn't allow os_compute_api:os-flavor-access:%s to be performed.", policy)
		}
	}
	if !by.IsAdmin() {
		reply, err := a.anyPod(ctx, by, r) // no such action
		return reply, replica.Regional(err)
	}
	return a.changeFlavor("change flavor access", nextAccess)(ctx, by, r)
}

func nextAccess(f *plan.Flavor, _ *gateway.Request, body gjson.Result) bool {
	add, remove := body.Get("addTenantAccess.tenant").Str, body.Get("removeTenantAccess.tenant").Str
	if (add == "") == (remove == "") {
		return false
	}
	f.Projects = slices.DeleteFunc(f.Projects, func(p string) bool { return p == add || p == remove })
	if add != "" {
		f.Projects = append(f.Projects, add)
		slices.Sort(f.Projects)
	}
	return true
}

func nextDescription(f *plan.Flavor, _ *gateway.Request, body gjson.Result) bool {
	d := body.Get("flavor.description")
	f.Description = nil
	if d.Type == gjson.String {
		f.Description = &d.Str
	}
	return d.Exists()
}

// nextSpecs reads the extra specs under the member, or the whole body.
func nextSpecs(member string) func(*plan.Flavor, *gateway.Request, gjson.Result) bool {
	return func(f *plan.Flavor, _ *gateway.Request, body gjson.Result) bool {
		specs := body
		if member != "" {
			specs = body.Get(member)
		}
		specs.ForEach(func(key, value gjson.Result) bool {
			f.ExtraSpecs[key.Str] = value.String()
			return true
		})
		return specs.IsObject()
	}
}

func nextWithoutSpec(f *plan.Flavor, r *gateway.Request, _ gjson.Result) bool {
	delete(f.ExtraSpecs, r.Param("key"))
	return true
}

func flavorID(_ identity.Caller, r *gateway.Request) string { return r.Param("id") }

func noFlavor(_ identity.Caller, r *gateway.Request) error {
	return fault.New(fault.NotFound, "", "Flavor %s could not be found.", r.Param("id"))
}

// collect reads a list of every pod to its end.
func (a *api) collect(ctx context.Context, by identity.Caller, q question, field, idPath string) ([]answer, error) {
	answers, err := a.askAll(ctx, by, q)
	if err != nil {
		return nil, err
	}
	for i := range answers {
		a.readOn(ctx, by, q, &answers[i], field, idPath)
	}
	if len(succeeded(answers)) == 0 {
		return nil, worst(answers)
	}
	return answers, nil
}

// readOn appends the further pages of one pod's list to its answer.
func (a *api) readOn(ctx context.Context, by identity.Caller, q question, n *answer, field, idPath string) {
	const most = 50 // pages; a pod that repeats itself must not hold us for ever
	var items []string
	last := n.Body
	for range most {
		if n.Err != nil {
			return
		}
		list := gjson.GetBytes(last, field)
		if !gjson.ValidBytes(last) || !list.IsArray() {
			n.Err = &fault.Error{Kind: fault.Unavailable, Pod: n.Pod, Message: q.Op + ": the answer is not the JSON that was expected"}
			return
		}
		page := list.Array()
		for _, item := range page {
			items = append(items, item.Raw)
		}
		if len(page) == 0 || !gjson.GetBytes(last, field+"_links").Exists() {
			break
		}
		next := q
		next.Query = url.Values{}
		for k, v := range q.Query {
			next.Query[k] = v
		}
		next.Query.Set("marker", page[len(page)-1].Get(idPath).String())
		more := a.ask(ctx, by, n.Pod, next)
		n.Err, last = more.Err, more.Body
	}
	n.Body = []byte(`{"` + field + `": [` + strings.Join(items, ", ") + `]}`)
}

// union is the items of all lists, an ID that several pods have once: the first
// pod's, of those that are not behind with it.
func union(answers []answer, field, idPath string, lag func(id, pod string) (old, gone bool)) []gjson.Result {
	var items, late []gjson.Result
	seen := map[string]bool{}
	for _, n := range succeeded(answers) {
		for _, item := range gjson.GetBytes(n.Body, field).Array() {
			id := item.Get(idPath).String()
			old, gone := lag(id, n.Pod)
			switch {
			case gone || seen[id]:
			case old:
				late = append(late, item)
			default:
				seen[id] = true
				items = append(items, item)
			}
		}
	}
	for _, item := range late {
		if id := item.Get(idPath).String(); !seen[id] {
			seen[id] = true
			items = append(items, item)
		}
	}
	return items
}

// inOrder is the order of a list: by a member, perhaps downwards.
type inOrder struct {
	path string
	desc bool
}

func (o inOrder) compare(x, y gjson.Result) int {
	a, b := x.Get(o.path), y.Get(o.path)
	c := strings.Compare(a.String(), b.String())
	if a.Type == gjson.Number && b.Type == gjson.Number {
		c = cmp.Compare(a.Num, b.Num)
	}
	if o.desc {
		return -c
	}
	return c
}

// sortItems sorts by a member; an empty path keeps the order.
func sortItems(items []gjson.Result, path string, desc bool) {
	if path != "" {
		slices.SortStableFunc(items, inOrder{path, desc}.compare)
	}
}

// afterUnlisted puts a marker that the filters leave out of the list where it
// would be: Nova takes any flavor for a marker. One that nobody has stays out.
func (a *api) afterUnlisted(ctx context.Context, by identity.Caller, r *gateway.Request, items []gjson.Result, marker string, order inOrder) ([]gjson.Result, error) {
	if marker == "" || order.path == "" || slices.ContainsFunc(items, func(x gjson.Result) bool { return x.Get("id").String() == marker }) {
		return items, nil
	}
	answers, err := a.askAll(ctx, by, question{Method: http.MethodGet, Path: "/flavors/" + url.PathEscape(marker), Version: versionOf(r), Op: "show flavor"})
	if err != nil || len(succeeded(answers)) == 0 {
		return items, err
	}
	unlisted := gjson.GetBytes(succeeded(answers)[0].Body, "flavor")
	at, _ := slices.BinarySearchFunc(items, unlisted, order.compare)
	return slices.Insert(items, at, unlisted), nil
}

// pageOf is the page after the marker. more tells that the limit ended it.
func pageOf(items []gjson.Result, idPath, marker string, limit int) (page []gjson.Result, more bool, err error) {
	if marker != "" {
		i := slices.IndexFunc(items, func(x gjson.Result) bool { return x.Get(idPath).String() == marker })
		if i < 0 {
			return nil, false, fault.New(fault.Invalid, "", "marker [%s] not found", marker)
		}
		items = items[i+1:]
	}
	if len(items) >= limit {
		return items[:limit], limit > 0, nil
	}
	return items, false, nil
}

// merged is a reply made of several pods' answers.
func (a *api) merged(body any, answers []answer) *gateway.Reply {
	return gateway.JSON(http.StatusOK, body).Without(missing(answers)...)
}
