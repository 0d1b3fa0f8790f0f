package compute

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
)

// hypervisorShape is a hypervisor, brief or in detail. The IDs are numbers before
// 2.53.
var hypervisorShape = shape{numbers: []string{"id", "service.id"}, hosts: []string{"hypervisor_hostname", "service.host"}}

const noHypervisor = "Hypervisor with ID '%s' could not be found."

// hypervisors is "GET /os-hypervisors" and "GET /os-hypervisors/detail": those of
// one pod after the other, each pod's in its own order, in pages from 2.33 on.
func (a *api) hypervisors(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	v, query := versionOf(r), r.URL.Query()
	if pattern := query.Get("hypervisor_hostname_pattern"); pattern != "" && v.AtLeast(2, 53) {
		return a.matchingHypervisors(ctx, by, r, pattern, func(plain string) question {
			query.Set("hypervisor_hostname_pattern", plain)
			return question{Method: http.MethodGet, Path: r.Path(), Query: query, Version: v, Op: "search hypervisors"}
		})
	}
	l := dispatch.List{
		By: by, Service: pod.Compute, Path: r.Path(), Header: versionHeaders(v), Query: query,
		Field: "hypervisors", Next: "hypervisors_links", PageSize: maxLimit,
		Sort: []dispatch.Key{{Name: "id"}}, // rows show no key of the pod's order: pod by pod
	}
	if v.AtLeast(2, 33) {
		var err error
		if l.Limit, err = limitOf(query); err != nil {
			return nil, err
		}
		l.Marker = query.Get("marker")
		l.FindMarker = a.hypervisorMarker(by, v)
	}
	for _, name := range []string{"limit", "marker"} {
		query.Del(name)
	}
	if v.AtLeast(2, 33) && l.Limit == 0 {
		return gateway.JSON(http.StatusOK, map[string]any{"hypervisors": []any{}}), nil
	}
	last := ""
	l.Rewrite = a.shapedRow(r, hypervisorShape, &last)
	l.Tail = func(dst []byte, s dispatch.Summary) []byte {
		s.LastID = last
		return nextLink(r, "hypervisors_links")(dst, s)
	}
	result, err := a.Dispatch.List(ctx, l)
	if err != nil {
		return nil, err
	}
	return gateway.MergedList(result), nil
}

// shapedRow writes rows as the region shows them, and the ID of the last one.
func (a *api) shapedRow(r *gateway.Request, s shape, last *string) func([]byte, dispatch.Row) []byte {
	views := map[string]view{}
	return func(dst []byte, row dispatch.Row) []byte {
		v, ok := views[row.Pod]
		if !ok {
			v = a.viewOf(r, row.Pod)
			views[row.Pod] = v
		}
		raw := gateway.Splice(row.Raw, v.edits(nil, gjson.ParseBytes(row.Raw), s))
		*last = gjson.GetBytes(raw, "id").String()
		return append(dst, raw...)
	}
}

// hypervisorMarker finds the hypervisor after which a page begins.
func (a *api) hypervisorMarker(by identity.Caller, v gateway.Microversion) func(context.Context, string) (dispatch.Place, error) {
	return func(ctx context.Context, marker string) (dispatch.Place, error) {
		id, pods := marker, []string(nil)
		if !v.AtLeast(2, 53) {
			at, err := a.number(ctx, marker, noHypervisor)
			if err != nil {
				return dispatch.Place{}, err
			}
			id, pods = at.id, []string{at.pod}
		}
		answers, err := a.look(ctx, by, pods, question{
			Method: http.MethodGet, Path: "/os-hypervisors/" + url.PathEscape(id), Version: v, Op: "show hypervisor",
		})
		if err != nil {
			return dispatch.Place{}, err
		}
		if ok := succeeded(answers); len(ok) > 0 {
			return dispatch.Place{Pod: ok[0].Pod, ID: id}, nil
		}
		err = none(answers)
		if fault.Is(err, fault.Invalid) { // no UUID
			err = fault.New(fault.NotFound, "", noHypervisor, marker)
		}
		return dispatch.Place{}, err
	}
}

// matchingHypervisors are those whose name has the pattern in it. A pod that has
// none says 404, and so does the region when no pod has any.
func (a *api) matchingHypervisors(ctx context.Context, by identity.Caller, r *gateway.Request, pattern string, ask func(plain string) question) (*gateway.Reply, error) {
	plain, podName := a.Fleet.SplitHost(ctx, pattern)
	var pods []string
	if podName != "" {
		pods = []string{podName}
	}
	answers, err := a.look(ctx, by, pods, ask(plain))
	if err != nil {
		return nil, err
	}
	return a.merge(r, answers, "hypervisors", hypervisorShape, nil)
}

// searchHypervisors is "GET /os-hypervisors/{pattern}/search" and "…/servers".
func (a *api) searchHypervisors(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	return a.matchingHypervisors(ctx, by, r, r.Param("id"), func(plain string) question {
		return question{Method: http.MethodGet, Path: withID(r, plain), Version: versionOf(r), Op: "search hypervisors"}
	})
}

// hypervisor is "GET /os-hypervisors/{id}" and "…/uptime".
func (a *api) hypervisor(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	change := shaped("hypervisor", hypervisorShape)
	if versionOf(r).AtLeast(2, 53) {
		return a.theOnly(change)(ctx, by, r)
	}
	at, err := a.number(ctx, r.Param("id"), noHypervisor)
	if err != nil {
		return nil, err
	}
	return a.atNumber(ctx, by, r, at, change)
}

// statistics is "GET /os-hypervisors/statistics": the pods' sums, added up.
func (a *api) statistics(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	answers, err := a.look(ctx, by, nil, q)
	if err != nil {
		return nil, err
	}
	if err := a.listed(answers); err != nil {
		return nil, err
	}
	sum := map[string]int64{}
	for _, n := range succeeded(answers) {
		gjson.GetBytes(n.Body, "hypervisor_statistics").ForEach(func(name, value gjson.Result) bool {
			have, _ := strconv.ParseInt(value.Raw, 10, 64) // null where nobody has told yet
			sum[name.Str] += have
			return true
		})
	}
	return a.merged(map[string]any{"hypervisor_statistics": sum}, answers), nil
}
