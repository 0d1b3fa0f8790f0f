package compute

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
)

// migrationShape is a migration, in both of Nova's lists of them.
var migrationShape = shape{
	numbers: []string{"id"},
	hosts:   []string{"source_compute", "dest_compute", "source_node", "dest_node"},
}

// migrationOrder is Nova's, which no client can change: the newest first. The last
// key tells apart what two pods made in the same second.
var migrationOrder = []dispatch.Key{
	{Name: "created_at", Path: "created_at", Type: dispatch.Time, Desc: true},
	{Name: "id", Path: "id", Desc: true},
	{Name: "uuid", Path: "uuid"},
}

// migrations is "GET /os-migrations". Before 2.59 Nova gives them all, in no order
// and without a UUID.
func (a *api) migrations(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	v, query := versionOf(r), r.URL.Query()
	l := dispatch.List{
		By: by, Service: pod.Compute, Path: r.Path(), Header: versionHeaders(v), Query: query,
		Field: "migrations", Next: "migrations_links", PageSize: maxLimit, Sort: []dispatch.Key{{Name: "id"}},
	}
	var err error
	if l.Pods, err = a.hostFilter(ctx, query, nil, "host", "source_compute"); err != nil {
		return nil, err
	}
	if v.AtLeast(2, 59) {
		if l.Limit, err = limitOf(query); err != nil {
			return nil, err
		}
		l.ID, l.Sort, l.Marker, l.FindMarker = "uuid", migrationOrder, query.Get("marker"), a.migrationMarker(by, v)
		l.NoMarker = func(id string) error { return fault.New(fault.Invalid, "", "Marker %s could not be found.", id) }
		l.Tail = nextLink(r, "migrations_links")
		if l.Limit == 0 {
			return gateway.JSON(http.StatusOK, map[string]any{"migrations": []any{}}), nil
		}
	}
	for _, name := range []string{"limit", "marker"} {
		query.Del(name)
	}
	views := map[string]view{}
	l.Rewrite = func(dst []byte, row dispatch.Row) []byte {
		w, ok := views[row.Pod]
		if !ok {
			w = a.viewOf(r, row.Pod)
			views[row.Pod] = w
		}
		return append(dst, w.migration(row.Raw)...)
	}
	result, err := a.Dispatch.List(ctx, l)
	if err != nil {
		return nil, err
	}
	return gateway.MergedList(result), nil
}

// migration is a migration as the region shows it. One under way has links, whose
// last part is its number.
func (v view) migration(raw []byte) []byte {
	thing := gjson.ParseBytes(raw)
	edits := v.edits(nil, thing, migrationShape)
	number := "/" + strconv.FormatInt(v.number(thing.Get("id").Int()), 10)
	for _, link := range thing.Get("links").Array() {
		href := link.Get("href")
		if href.Type != gjson.String {
			continue
		}
		ours := v.href(link.Get("rel").Str, href.Str)
		if i := strings.LastIndexByte(ours, '/'); i >= 0 {
			ours = ours[:i] + number
		}
		edits = append(edits, gateway.Instead(href, quote(ours)))
	}
	return gateway.Splice(raw, edits)
}

// migrationMarker finds the migration after which a page begins. Nova does not
// show one by its UUID: the pod is the one that takes it for a marker, and there
// it is looked for from the newest on. Only a replica that did not make the page
// before has to.
func (a *api) migrationMarker(by identity.Caller, v gateway.Microversion) func(context.Context, string) (dispatch.Place, error) {
	ask := func(marker string, limit int) question {
		query := url.Values{"limit": {strconv.Itoa(limit)}}
		if marker != "" {
			query.Set("marker", marker)
		}
		return question{Method: http.MethodGet, Path: "/os-migrations", Query: query, Version: v, Op: "look for migration"}
	}
	return func(ctx context.Context, marker string) (dispatch.Place, error) {
		answers, err := a.look(ctx, by, nil, ask(marker, 1))
		if err != nil {
			return dispatch.Place{}, err
		}
		ok := succeeded(answers)
		if len(ok) == 0 {
			return dispatch.Place{}, absentMarker(answers)
		}
		before := ""
		for {
			n := a.ask(ctx, by, ok[0].Pod, ask(before, maxLimit))
			rows := gjson.GetBytes(n.Body, "migrations").Array()
			if n.Err != nil || len(rows) == 0 {
				return dispatch.Place{}, n.Err
			}
			for _, row := range rows {
				if row.Get("uuid").Str == marker {
					return dispatch.Place{Pod: n.Pod, ID: marker, Raw: []byte(row.Raw)}, nil
				}
			}
			before = rows[len(rows)-1].Get("uuid").Str
		}
	}
}

// absentMarker tells a marker that no pod knows, a 400 in each, from one that a
// pod that is away may know.
func absentMarker(answers []answer) error {
	for i, n := range answers {
		if fault.Is(n.Err, fault.Invalid) {
			answers[i].Err = fault.New(fault.NotFound, "", "no such marker")
		}
	}
	return none(answers)
}

// serverMigrations is "GET /servers/{id}/migrations".
func (a *api) serverMigrations(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	podName, err := a.serverPod(ctx, by, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return a.rewritten(ctx, by, r, podName, func(v view, body []byte) []byte {
		if !gjson.ValidBytes(body) {
			return nil
		}
		list := gjson.GetBytes(body, "migrations")
		var edits []gateway.Edit
		for _, m := range list.Array() {
			edits = append(edits, gateway.Instead(m, string(v.migration([]byte(m.Raw)))))
		}
		return gateway.Splice(body, edits)
	})
}

// serverMigration is what is done with one migration of a server: shown, aborted,
// completed by force.
func (a *api) serverMigration(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	podName, err := a.serverPod(ctx, by, r.Param("id"))
	if err != nil {
		return nil, err
	}
	missing := fmt.Sprintf("Migration %%s not found for instance %s", r.Param("id"))
	at, err := a.number(ctx, r.Param("migration"), missing)
	if err == nil && at.pod != podName {
		err = fault.New(fault.NotFound, "", missing, at.shown)
	}
	if err != nil {
		return nil, err
	}
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(r.Path(), "/") // "", servers, ID, migrations, number, …
	parts[4] = at.id
	q.Path = strings.Join(parts, "/")
	n := a.ask(ctx, by, podName, q)
	if n.Err != nil {
		return nil, at.shownIn(n.Err)
	}
	return a.replyWith(r, n, shaped("migration", migrationShape))
}
