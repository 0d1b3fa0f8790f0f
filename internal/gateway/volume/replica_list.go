package volume

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/replica"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// replicaList is the list of a kind of things that are the same in every pod.
type replicaList struct {
	kind, field, id string
	links           string // the member that leads to the next page
}

var (
	volumeTypeList = replicaList{store.KindVolumeType, "volume_types", "id", "volume_type_links"}
	qosList        = replicaList{store.KindQoSSpecs, "qos_specs", "id", "qos_specs_links"}
	groupTypeList  = replicaList{store.KindGroupType, "group_types", "id", "group_type_links"}
)

// shownKeys are the sort keys whose values rows show; by others the rows keep the
// order of the first pod.
var shownKeys = map[string]bool{"id": true, "name": true, "description": true, "is_public": true, "consumer": true}

// listReplicas is such a list: each thing once.
func (a *api) listReplicas(of replicaList) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		query := r.URL.Query()
		limit, skip, err := pageOf(query)
		if err != nil {
			return nil, err
		}
		q, err := a.question(ctx, r)
		if err != nil {
			return nil, err
		}
		rows, answers, err := a.union(ctx, by, q, of)
		if err != nil {
			return nil, err
		}
		if rows, err = sorted(rows, query); err != nil {
			return nil, err
		}
		page, more, err := pageAfter(rows, query.Get("marker"), skip, limit, of)
		if err != nil {
			return nil, err
		}
		body := map[string]any{of.field: rawOf(page)}
		if more {
			body[of.links] = []map[string]string{{"rel": "next", "href": nextPage(r, page[len(page)-1].Get(of.id).Str)}}
		}
		return gateway.JSON(http.StatusOK, body).Without(awayOf(answers)...), nil
	}
}

func rawOf(rows []gjson.Result) []json.RawMessage {
	out := make([]json.RawMessage, 0, len(rows))
	for _, row := range rows {
		out = append(out, json.RawMessage(row.Raw))
	}
	return out
}

func nextPage(r *gateway.Request, last string) string {
	query := r.URL.Query()
	query.Set("marker", last)
	query.Del("offset")
	return r.RootURL() + r.Path() + "?" + query.Encode()
}

// union are the things of all pods, one that several pods have once: the first
// pod's, of those that are not behind with it. What the region has not met yet is
// adopted first: else it would be shown once per pod.
func (a *api) union(ctx context.Context, by identity.Caller, q question, of replicaList) ([]gjson.Result, []dispatch.Answer, error) {
	answers := a.wholeLists(ctx, by, q, of)
	if store.Named(of.kind) {
		unmet, err := a.unmet(ctx, answers, of)
		if err != nil {
			return nil, nil, err
		}
		if unmet {
			if err := a.Reconciler.AdoptNamed(ctx, of.kind); err != nil {
				a.Log.InfoContext(ctx, "a pod does not say what it has", "kind", of.kind, "error", err)
			}
			answers = a.wholeLists(ctx, by, q, of)
		}
	}
	if !slices.ContainsFunc(answers, func(n dispatch.Answer) bool { return n.Err == nil }) {
		return nil, nil, replica.Regional(replica.Worst(answers))
	}
	lag, err := a.replicas().Lag(ctx, of.kind)
	if err != nil {
		return nil, nil, err
	}
	var rows, late []gjson.Result
	seen := map[string]bool{}
	for _, n := range answers {
		for _, row := range gjson.GetBytes(n.Body, of.field).Array() {
			id := row.Get(of.id).Str
			old, gone := lag.Of(of.kind, id, n.Pod)
			switch {
			case gone || seen[id]:
			case old:
				late = append(late, row)
			default:
				seen[id] = true
				rows = append(rows, row)
			}
		}
	}
	for _, row := range late {
		if id := row.Get(of.id).Str; !seen[id] {
			seen[id] = true
			rows = append(rows, row)
		}
	}
	return rows, answers, nil
}

// unmet says whether a pod has something that the region does not know.
func (a *api) unmet(ctx context.Context, answers []dispatch.Answer, of replicaList) (bool, error) {
	mappings, err := a.Store.ListMappings(ctx, store.MappingQuery{Kind: of.kind})
	if err != nil {
		return false, err
	}
	known := map[store.Target]bool{}
	for _, m := range mappings {
		if m.PodID != "" {
			known[m.Target] = true
			known[store.Target{Kind: m.Kind, ID: m.PodID, Pod: m.Pod}] = true
		}
	}
	for _, n := range answers {
		for _, row := range gjson.GetBytes(n.Body, of.field).Array() {
			if !known[store.Target{Kind: of.kind, ID: row.Get(of.id).Str, Pod: n.Pod}] {
				return true, nil
			}
		}
	}
	return false, nil
}

// wholeLists reads every pod's list to its end.
func (a *api) wholeLists(ctx context.Context, by identity.Caller, q question, of replicaList) []dispatch.Answer {
	query := q.request.URL.Query()
	for _, name := range []string{"limit", "offset", "marker"} {
		query.Del(name)
	}
	q.query = query.Encode()
	answers := a.askEach(ctx, by, q)
	for i := range answers {
		a.readOn(ctx, by, q, query, &answers[i], of)
	}
	return answers
}

// readOn appends the further pages of one pod's list to its answer.
func (a *api) readOn(ctx context.Context, by identity.Caller, q question, query url.Values, n *dispatch.Answer, of replicaList) {
	const most = 50 // pages; a pod that repeats itself must not hold us for ever
	if n.Err != nil || of.links == "" || !gjson.GetBytes(n.Body, of.links).Exists() {
		return
	}
	var items []string
	last := *n
	for range most {
		page := gjson.GetBytes(last.Body, of.field).Array()
		for _, row := range page {
			items = append(items, row.Raw)
		}
		if len(page) == 0 || !gjson.GetBytes(last.Body, of.links).Exists() {
			break
		}
		query.Set("marker", page[len(page)-1].Get(of.id).Str)
		q.query = query.Encode()
		if last = a.askIn(ctx, by, n.Pod, q); last.Err != nil {
			n.Err = last.Err
			return
		}
	}
	n.Body = []byte(`{"` + of.field + `": [` + strings.Join(items, ", ") + `]}`)
}

// sorted puts the rows in the order that the client asked for, as far as they
// show it.
func sorted(rows []gjson.Result, query url.Values) ([]gjson.Result, error) {
	order, err := resource{}.order(query)
	if err != nil {
		return nil, err
	}
	if !shownKeys[order[0].Name] {
		return rows, nil
	}
	slices.SortStableFunc(rows, func(x, y gjson.Result) int {
		for _, k := range order {
			c := cmp.Compare(x.Get(k.Name).String(), y.Get(k.Name).String())
			if k.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return rows, nil
}

// pageAfter is the page after the marker. more tells that the limit ended it.
func pageAfter(rows []gjson.Result, marker string, skip, limit int, of replicaList) (page []gjson.Result, more bool, err error) {
	if marker != "" {
		i := slices.IndexFunc(rows, func(x gjson.Result) bool { return x.Get(of.id).Str == marker })
		if i < 0 {
			return nil, false, absent(of.kind, marker)
		}
		rows = rows[i+1:]
	}
	rows = rows[min(skip, len(rows)):]
	if len(rows) >= limit {
		return rows[:limit], limit > 0, nil
	}
	return rows, false, nil
}
