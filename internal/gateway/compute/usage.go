package compute

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// Simple tenant usage is what servers took over a time, those that are gone
// included. Nova pages it by servers, in order of project and ID, and sums up the
// page by project; so does this, over the servers of all pods. A pod that is away
// fails it: a sum has no room for a placeholder, and is what people are billed by.

// usageVersion is the first that pages, and it shows all there is.
var usageVersion = gateway.Microversion{Major: 2, Minor: 40}

// usageRow is one server of a report.
type usageRow struct {
	project, id string
	raw         gjson.Result
	sum         gjson.Result // of its project in its page: the period
}

func (x usageRow) compare(y usageRow) int {
	return cmp.Or(cmp.Compare(x.project, y.project), cmp.Compare(x.id, y.id))
}

// report is a request for usage.
type report struct {
	api     *api
	by      identity.Caller
	query   url.Values // for the pods, without paging
	project string     // empty: all
	limit   int        // servers; 0: all of them
	after   usageRow   // the marker; empty ID: none
}

// usage is "GET /os-simple-tenant-usage".
func (a *api) usage(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	rows, rep, err := a.readReport(ctx, by, r, "", "start", "end", "detailed")
	if err != nil {
		return nil, err
	}
	usages := []any{}
	for part := range byProject(rows) {
		usages = append(usages, summed(part, r.URL.Query().Get("detailed") == "1"))
	}
	return usageReply(r, rep, rows, "tenant_usages", usages), nil
}

// projectUsage is "GET /os-simple-tenant-usage/{id}".
func (a *api) projectUsage(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	if id != by.ProjectID && !by.IsAdmin() {
		return nil, denied("os_compute_api:os-simple-tenant-usage:show")
	}
	rows, rep, err := a.readReport(ctx, by, r, id, "start", "end")
	if err != nil {
		return nil, err
	}
	var usage any = struct{}{}
	if len(rows) > 0 {
		usage = summed(rows, true)
	}
	return usageReply(r, rep, rows, "tenant_usage", usage), nil
}

func usageReply(r *gateway.Request, rep *report, rows []usageRow, field string, usage any) *gateway.Reply {
	body := map[string]any{field: usage}
	if rep.limit > 0 && len(rows) == rep.limit {
		body[field+"_links"] = []map[string]string{{"rel": "next", "href": nextURL(r, rows[len(rows)-1].id)}}
	}
	return gateway.JSON(http.StatusOK, body)
}

// readReport reads the rows that the request is for. Before 2.40 there are no
// pages, and no bound either.
func (a *api) readReport(ctx context.Context, by identity.Caller, r *gateway.Request, project string, parameters ...string) ([]usageRow, *report, error) {
	if err := checkParameters(r, append(parameters, "limit", "marker")...); err != nil {
		return nil, nil, err
	}
	query := r.URL.Query()
	rep := &report{api: a, by: by, project: project, query: url.Values{"detailed": {"1"}}}
	for _, name := range []string{"start", "end"} {
		if query.Has(name) {
			rep.query.Set(name, query.Get(name))
		}
	}
	if versionOf(r).AtLeast(2, 40) {
		limit, err := limitOf(query)
		if err != nil {
			return nil, nil, err
		}
		if rep.limit = limit; limit == 0 {
			rep.limit = maxLimit // as Nova takes it
		}
		rep.after = usageRow{id: query.Get("marker"), project: project}
	}
	rows, err := rep.rows(ctx)
	return rows, rep, err
}

// rows asks all pods and merges what they say.
func (rep *report) rows(ctx context.Context) ([]usageRow, error) {
	names, err := rep.api.podNames(ctx)
	if err != nil {
		return nil, err
	}
	if rep.after.id != "" && rep.after.project == "" {
		if rep.after.project, err = rep.projectOf(ctx, names); err != nil {
			return nil, err
		}
	}
	parts, known, errs := make([][]usageRow, len(names)), make([]bool, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { parts[i], known[i], errs[i] = rep.ofPod(ctx, name) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	if rep.after.id != "" && !slices.Contains(known, true) {
		return nil, rep.noMarker()
	}
	rows := slices.Concat(parts...)
	slices.SortFunc(rows, usageRow.compare)
	if rep.limit > 0 && len(rows) > rep.limit {
		rows = rows[:rep.limit]
	}
	return rows, nil
}

func (rep *report) noMarker() error {
	return fault.New(fault.Invalid, "", "Marker %s could not be found.", rep.after.id)
}

// projectOf is the project of the marker, which pods' other markers depend on. The
// server may be gone from the index.
func (rep *report) projectOf(ctx context.Context, names []string) (string, error) {
	if e, err := rep.api.Store.FindEntry(ctx, store.KindServer, rep.after.id); err == nil {
		return e.ProjectID, nil
	}
	var answers []answer
	for _, deleted := range []string{"0", "1"} {
		answers = append(answers, rep.api.askThese(ctx, rep.by, names, func(string) question {
			return question{Method: http.MethodGet, Path: "/servers/detail", Version: minVersion, Op: "find server",
				Query: url.Values{"all_tenants": {"1"}, "deleted": {deleted}, "uuid": {rep.after.id}}}
		})...)
	}
	for _, n := range succeeded(answers) {
		if project := gjson.GetBytes(n.Body, "servers.0.tenant_id").Str; project != "" {
			return project, nil
		}
	}
	for _, n := range answers {
		if n.Away() {
			return "", n.Err // it may be there
		}
	}
	return "", rep.noMarker()
}

// ofPod is the pod's share of the page. A pod that does not have the marker begins
// after the last of its servers before it, if the index knows one, and skips what
// still comes before. known tells that the pod has the marker.
func (rep *report) ofPod(ctx context.Context, name string) (rows []usageRow, known bool, err error) {
	marker := rep.after.id
	n := rep.ask(ctx, name, marker)
	known = marker != "" && n.Err == nil
	if marker != "" && fault.Is(n.Err, fault.Invalid) {
		if marker, err = rep.api.Store.LastBefore(ctx, name, rep.after.project, rep.after.id); err != nil {
			return nil, false, err
		}
		if n = rep.ask(ctx, name, marker); marker != "" && fault.Is(n.Err, fault.Invalid) {
			n = rep.ask(ctx, name, "")
		}
	}
	for {
		if n.Err != nil {
			return nil, false, n.Err
		}
		page := usageRows(n.Body)
		for _, row := range page {
			if rep.after.id == "" || row.compare(rep.after) > 0 {
				rows = append(rows, row)
			}
		}
		enough := rep.limit > 0 && len(rows) >= rep.limit
		if len(page) == 0 || enough || !gjson.GetBytes(n.Body, "tenant_usages_links").Exists() && !gjson.GetBytes(n.Body, "tenant_usage_links").Exists() {
			return rows, known, nil
		}
		n = rep.ask(ctx, name, page[len(page)-1].id)
	}
}

func (rep *report) ask(ctx context.Context, name, marker string) dispatch.Answer {
	q := question{Method: http.MethodGet, Path: "/os-simple-tenant-usage", Query: url.Values{}, Version: usageVersion, Op: "show usage"}
	for k, v := range rep.query {
		q.Query[k] = v
	}
	if rep.project != "" {
		q.Path += "/" + url.PathEscape(rep.project)
	}
	if rep.limit > 0 {
		q.Query.Set("limit", strconv.Itoa(rep.limit))
	}
	if marker != "" {
		q.Query.Set("marker", marker)
	}
	return rep.api.ask(ctx, rep.by, name, q)
}

// usageRows takes the servers out of one pod's page, in order.
func usageRows(body []byte) []usageRow {
	sums := gjson.GetBytes(body, "tenant_usages").Array()
	if one := gjson.GetBytes(body, "tenant_usage"); one.IsObject() {
		sums = []gjson.Result{one}
	}
	var rows []usageRow
	for _, sum := range sums {
		for _, raw := range sum.Get("server_usages").Array() {
			rows = append(rows, usageRow{project: raw.Get("tenant_id").Str, id: raw.Get("instance_id").Str, raw: raw, sum: sum})
		}
	}
	slices.SortFunc(rows, usageRow.compare)
	return rows
}

// byProject cuts the rows, which are in order, by project.
func byProject(rows []usageRow) func(yield func([]usageRow) bool) {
	return func(yield func([]usageRow) bool) {
		for len(rows) > 0 {
			n := slices.IndexFunc(rows, func(r usageRow) bool { return r.project != rows[0].project })
			if n < 0 {
				n = len(rows)
			}
			if !yield(rows[:n]) {
				return
			}
			rows = rows[n:]
		}
	}
}

// summed is one project's use: its servers' hours, and each hour times what the
// server takes.
func summed(rows []usageRow, detailed bool) map[string]any {
	sums := map[string]float64{"total_hours": 0, "total_memory_mb_usage": 0, "total_vcpus_usage": 0, "total_local_gb_usage": 0}
	servers := make([]json.RawMessage, 0, len(rows))
	for _, row := range rows {
		hours := row.raw.Get("hours").Num
		sums["total_hours"] += hours
		for total, per := range map[string]string{
			"total_memory_mb_usage": "memory_mb", "total_vcpus_usage": "vcpus", "total_local_gb_usage": "local_gb",
		} {
			sums[total] += hours * row.raw.Get(per).Num
		}
		servers = append(servers, json.RawMessage(row.raw.Raw))
	}
	period := rows[0].sum
	usage := map[string]any{"tenant_id": rows[0].project, "start": period.Get("start").Value(), "stop": period.Get("stop").Value()}
	for name, n := range sums {
		usage[name] = n
	}
	if detailed {
		usage["server_usages"] = servers
	}
	return usage
}
