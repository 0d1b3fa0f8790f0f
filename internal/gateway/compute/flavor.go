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
	"github.com/tricircle/tricircle/internal/identity"
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
		return nil, err
	}
	items := union(answers, "flavors", "id")
	key := cmp.Or(query.Get("sort_key"), "flavorid")
	sortItems(items, flavorKeys[key], query.Get("sort_dir") == "desc")
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
	undo := question{Method: http.MethodDelete, Path: "/flavors/" + url.PathEscape(id), Version: q.Version, Op: "delete flavor"}
	return a.createEverywhere(ctx, by, r, q, undo)
}

// withFlavorID settles the ID, which each pod would else make up by itself.
func withFlavorID(body []byte) ([]byte, string, error) {
	var document, flavor map[string]json.RawMessage
	if !json.Valid(body) {
		return nil, "", fault.New(fault.Invalid, "", "Malformed request body")
	}
	if json.Unmarshal(body, &document) != nil || json.Unmarshal(document["flavor"], &flavor) != nil || flavor == nil {
		return body, "", nil // for the pod to refuse
	}
	id := ""
	if raw := flavor["id"]; json.Unmarshal(raw, &id) != nil {
		id = string(raw) // a number
	}
	if id = strings.TrimSpace(id); id == "" || id == "auto" || id == "null" {
		id = uuid.NewString()
		flavor["id"] = mustJSON(id)
	}
	document["flavor"] = mustJSON(flavor)
	return mustJSON(document), id, nil
}

// createEverywhere makes the same thing in every pod: in the first, whose answer
// decides, then in the others. When one fails, what was made is taken back. A pod
// that is away fails the request, because nobody would bring the thing there later.
func (a *api) createEverywhere(ctx context.Context, by identity.Caller, r *gateway.Request, q, undo question) (*gateway.Reply, error) {
	ctx = context.WithoutCancel(ctx)
	names, err := a.podNames(ctx)
	if err != nil {
		return nil, err
	}
	first := a.ask(ctx, by, names[0], q)
	if first.Err != nil {
		if first.Away() {
			a.ask(ctx, by, names[0], undo)
		}
		return nil, first.Err
	}
	others := a.askThese(ctx, by, names[1:], func(string) question { return q })
	for _, n := range others {
		if n.Err != nil {
			return nil, a.undoEverywhere(ctx, by, append(others, first), undo, n.Err)
		}
	}
	return a.replyFrom(r, first, nil), nil
}

// undoEverywhere removes what the answers say was made, or may have been made.
func (a *api) undoEverywhere(ctx context.Context, by identity.Caller, answers []answer, undo question, cause error) error {
	var left []answer
	for _, n := range answers {
		if n.Err != nil && !n.Away() {
			continue // refused: nothing was made
		}
		if u := a.ask(ctx, by, n.Pod, undo); u.Err != nil && !fault.Is(u.Err, fault.NotFound) {
			left = append(left, n)
		}
	}
	return partly(cause, left, "it may be left")
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

// union is the items of all lists, an ID that several pods have once.
func union(answers []answer, field, idPath string) []gjson.Result {
	var items []gjson.Result
	seen := map[string]bool{}
	for _, n := range succeeded(answers) {
		for _, item := range gjson.GetBytes(n.Body, field).Array() {
			id := item.Get(idPath).String()
			if seen[id] {
				continue
			}
			seen[id] = true
			items = append(items, item)
		}
	}
	return items
}

// sortItems sorts by a member; an empty path keeps the order.
func sortItems(items []gjson.Result, path string, desc bool) {
	if path == "" {
		return
	}
	slices.SortStableFunc(items, func(x, y gjson.Result) int {
		a, b := x.Get(path), y.Get(path)
		c := strings.Compare(a.String(), b.String())
		if a.Type == gjson.Number && b.Type == gjson.Number {
			c = cmp.Compare(a.Num, b.Num)
		}
		if desc {
			return -c
		}
		return c
	})
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
