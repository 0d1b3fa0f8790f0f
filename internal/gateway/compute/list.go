package compute

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// maxLimit is Nova's [api] max_limit: no page has more.
const maxLimit = 1000

// serverKeys are the sort keys of GET /servers that a server in detail shows.
// The others are in order within each pod only.
var serverKeys = map[string]dispatch.Key{
	"created_at":          {Path: "created", Type: dispatch.Time, Field: dispatch.ByCreated},
	"updated_at":          {Path: "updated", Type: dispatch.Time},
	"launched_at":         {Path: "OS-SRV-USG:launched_at", Type: dispatch.Time},
	"terminated_at":       {Path: "OS-SRV-USG:terminated_at", Type: dispatch.Time},
	"display_name":        {Path: "name", Type: dispatch.Text, Field: dispatch.ByName},
	"display_description": {Path: "description", Type: dispatch.Text},
	"uuid":                {Path: "id", Field: dispatch.ByID},
	"project_id":          {Path: "tenant_id", Field: dispatch.ByProject},
	"user_id":             {Path: "user_id", Field: func(e store.Entry) any { return e.UserID }},
	"vm_state":            {Path: "OS-EXT-STS:vm_state", Type: dispatch.Text},
	"task_state":          {Path: "OS-EXT-STS:task_state", Type: dispatch.Text},
	"power_state":         {Path: "OS-EXT-STS:power_state"},
	"key_name":            {Path: "key_name", Type: dispatch.Text},
	"image_ref":           {Path: "image.id"},
	"access_ip_v4":        {Path: "accessIPv4"},
	"access_ip_v6":        {Path: "accessIPv6"},
	"config_drive":        {Path: "config_drive"},
	"locked":              {Path: "locked"},
	"host":                {Path: "OS-EXT-SRV-ATTR:host", Type: dispatch.Text},
	"node":                {Path: "OS-EXT-SRV-ATTR:hypervisor_hostname", Type: dispatch.Text},
}

// ignoredKeys are sort keys that Nova drops (SERVER_LIST_IGNORE_SORT_KEY).
var ignoredKeys = []string{
	"architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted", "deleted_at",
	"disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "memory_mb",
	"os_type", "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode",
}

// list is "GET /servers" and "GET /servers/detail". Both ask the pods for details:
// a brief server does not show when it was created, by which lists are ordered.
func (a *api) list(detail bool) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		l, err := a.serverList(ctx, by, r, detail)
		if err != nil {
			return nil, err
		}
		if l.Limit == 0 {
			return gateway.JSON(http.StatusOK, map[string]any{"servers": []any{}}), nil
		}
		result, err := a.Dispatch.List(ctx, l)
		if err != nil {
			return nil, err
		}
		return gateway.MergedList(result), nil
	}
}

func (a *api) serverList(ctx context.Context, by identity.Caller, r *gateway.Request, detail bool) (dispatch.List, error) {
	query := r.URL.Query()
	v := versionOf(r)
	l := dispatch.List{
		By: by, Service: pod.Compute, Path: "/servers/detail", Header: versionHeaders(v),
		Kind: store.KindServer, Field: "servers", Next: "servers_links", PageSize: maxLimit,
		Marker: query.Get("marker"), SortQuery: sortQuery, AllProjects: by.IsAdmin() && allTenants(query),
	}
	var err error
	if l.Limit, err = limitOf(query); err != nil {
		return l, err
	}
	if l.Sort, err = serverSort(query, v); err != nil {
		return l, err
	}
	if l.Pods, err = a.zoneFilter(ctx, by, query, v); err != nil {
		return l, err
	}
	if by.IsAdmin() { // for others Nova ignores these
		if l.Pods, err = a.hostFilter(ctx, query, l.Pods, "host", "node"); err != nil {
			return l, err
		}
	}
	for _, name := range []string{"limit", "marker", "sort_key", "sort_dir"} {
		query.Del(name)
	}
	l.Query = query
	if err := a.listWaiting(ctx, by, r, &l, query, detail); err != nil {
		return l, err
	}
	l.Rewrite = a.serverRow(r, detail)
	l.Tail = nextLink(r, "servers_links")
	if v.AtLeast(2, 69) {
		l.Placeholder = a.placeholder(r, query, detail)
	}
	return l, nil
}

func versionHeaders(v gateway.Microversion) http.Header {
	return http.Header{versionHeader: {"compute " + v.String()}, legacyVersionHeader: {v.String()}}
}

// allTenants reads the flag as Nova does: its mere presence counts as true.
func allTenants(query url.Values) bool {
	values, ok := query["all_tenants"]
	if !ok {
		return false
	}
	switch strings.ToLower(values[0]) {
	case "0", "f", "false", "off", "n", "no":
		return false
	}
	return true
}

func limitOf(query url.Values) (int, error) {
	s, ok := query["limit"]
	if !ok {
		return maxLimit, nil
	}
	n, err := strconv.Atoi(s[0])
	if err != nil || n < 0 {
		return 0, fault.New(fault.Invalid, "", "Invalid input for query parameters limit. Value: %s. '%s' does not match '^[0-9]*$'", s[0], s[0])
	}
	return min(n, maxLimit), nil
}

// serverSort reads sort_key and sort_dir. A missing direction is that of the
// first key; the ID comes last, upwards, which makes the order total, as in Nova.
func serverSort(query url.Values, v gateway.Microversion) ([]dispatch.Key, error) {
	names, dirs := query["sort_key"], query["sort_dir"]
	if len(names) == 0 {
		names = []string{"created_at"}
	}
	for _, d := range dirs {
		if d != "asc" && d != "desc" {
			return nil, fault.New(fault.Invalid, "", "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
		}
	}
	if len(dirs) == 0 {
		dirs = []string{"desc"}
	}
	var keys []dispatch.Key
	total := false
	for i, name := range names {
		if slices.Contains(ignoredKeys, name) && !v.AtLeast(2, 75) || name == "locked" && !v.AtLeast(2, 73) {
			continue
		}
		key := serverKeys[name]
		key.Name, key.Desc = name, dirs[0] == "desc"
		if i < len(dirs) {
			key.Desc = dirs[i] == "desc"
		}
		keys = append(keys, key)
		if total = name == "uuid"; total {
			break
		}
	}
	if !total {
		last := serverKeys["uuid"]
		last.Name = "uuid"
		keys = append(keys, last)
	}
	return keys, nil
}

func sortQuery(keys []dispatch.Key) url.Values {
	q := url.Values{}
	for _, k := range keys {
		dir := "asc"
		if k.Desc {
			dir = "desc"
		}
		q.Add("sort_key", k.Name)
		q.Add("sort_dir", dir)
	}
	return q
}

// zoneFilter takes the zone out of the query and returns the pods of it; nil is
// all. Who may filter by it is as in Nova; for others it is ignored there too.
func (a *api) zoneFilter(ctx context.Context, by identity.Caller, query url.Values, v gateway.Microversion) ([]string, error) {
	name := query.Get("availability_zone")
	if _, given := query["availability_zone"]; !given || !by.IsAdmin() && !v.AtLeast(2, 83) {
		return nil, nil
	}
	query.Del("availability_zone")
	list, own, err := a.Fleet.PodZones(ctx, name)
	if err != nil {
		return nil, err
	}
	pods := []string{}
	for _, z := range list {
		pods = append(pods, z.Pod)
		if own { // a part of the pod: the pod must tell what is in it
			query.Set("availability_zone", z.Zone)
		}
	}
	return pods, nil
}

// serverRow writes a row as the client shall see it.
func (a *api) serverRow(r *gateway.Request, detail bool) func([]byte, dispatch.Row) []byte {
	views := map[string]view{}
	return func(dst []byte, row dispatch.Row) []byte {
		v, ok := views[row.Pod]
		if !ok {
			v = a.viewOf(r, row.Pod)
			views[row.Pod] = v
		}
		if row.Asked == nil { // a placeholder is ours already
			return append(dst, row.Raw...)
		}
		if detail {
			return append(dst, v.server(row.Raw)...)
		}
		return fmt.Appendf(dst, `{"id": %s, "name": %s, "links": %s}`, quote(row.ID), gjson.GetBytes(row.Raw, "name").Raw, v.serverLinks(row.ID))
	}
}

// serverLinks are the links of a server, as Nova writes them.
func (v view) serverLinks(id string) string {
	return fmt.Sprintf(`[{"rel": "self", "href": %s}, {"rel": "bookmark", "href": %s}]`,
		quote(v.root("self")+"/servers/"+id), quote(v.root("bookmark")+"/servers/"+id))
}

// nextLink adds the address of the next page to a list that its limit ended.
func nextLink(r *gateway.Request, field string) func([]byte, dispatch.Summary) []byte {
	return func(dst []byte, s dispatch.Summary) []byte {
		if !s.Full {
			return dst
		}
		return fmt.Appendf(dst, `, %s: [{"rel": "next", "href": %s}]`, quote(field), quote(nextURL(r, s.LastID)))
	}
}

func nextURL(r *gateway.Request, marker string) string {
	query := r.URL.Query()
	query.Set("marker", marker)
	return r.RootURL() + r.Path() + "?" + query.Encode()
}

// placeholder makes Nova's record of a server whose cell is down, for servers
// whose pod is away. A filter that the index cannot answer leaves them out.
func (a *api) placeholder(r *gateway.Request, query url.Values, detail bool) func(store.Entry) []byte {
	match := entryFilter(query)
	return func(e store.Entry) []byte {
		if !match(e) {
			return nil
		}
		links := a.viewOf(r, e.Pod).serverLinks(e.ID)
		if !detail {
			return fmt.Appendf(nil, `{"id": %s, "status": "UNKNOWN", "links": %s}`, quote(e.ID), links)
		}
		return fmt.Appendf(nil, `{"id": %s, "status": "UNKNOWN", "tenant_id": %s, "created": %s, "links": %s}`,
			quote(e.ID), quote(e.ProjectID), quote(e.CreatedAt.UTC().Format("2006-01-02T15:04:05Z")), links)
	}
}

// entryFilter is the client's filters as far as the index can tell.
func entryFilter(query url.Values) func(store.Entry) bool {
	var tests []func(store.Entry) bool
	for name, values := range query {
		want := values[0]
		switch name {
		case "all_tenants":
		case "name", "display_name":
			re, err := regexp.Compile("(?i)" + want)
			tests = append(tests, func(e store.Entry) bool { return err == nil && re.MatchString(e.Name) })
		case "project_id", "tenant_id":
			tests = append(tests, func(e store.Entry) bool { return e.ProjectID == want })
		case "user_id":
			tests = append(tests, func(e store.Entry) bool { return e.UserID == want })
		case "uuid":
			tests = append(tests, func(e store.Entry) bool { return e.ID == want })
		default:
			return func(store.Entry) bool { return false }
		}
	}
	return func(e store.Entry) bool {
		for _, test := range tests {
			if !test(e) {
				return false
			}
		}
		return true
	}
}
