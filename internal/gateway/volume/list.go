package volume

import (
	"context"
	"encoding/json"
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
	"github.com/tricircle/tricircle/internal/store"
)

// resource is a collection of the API.
type resource struct {
	kind   string
	path   string
	field  string   // of the list
	item   string   // of one
	brief  []string // what a brief row shows, beside links
	links  bool
	detail bool // the API has .../detail
}

func (o resource) at(path string) resource {
	o.path = path
	return o
}

var (
	volumes        = resource{kind: store.KindVolume, path: "/volumes", field: "volumes", item: "volume", brief: []string{"id", "name"}, links: true, detail: true}
	snapshots      = resource{kind: dispatch.KindSnapshot, path: "/snapshots", field: "snapshots", item: "snapshot", detail: true}
	backups        = resource{kind: dispatch.KindBackup, path: "/backups", field: "backups", item: "backup", brief: []string{"id", "name"}, links: true, detail: true}
	attachments    = resource{kind: dispatch.KindAttachment, path: "/attachments", field: "attachments", item: "attachment", detail: true}
	transfers      = resource{kind: dispatch.KindTransfer, path: "/volume-transfers", field: "transfers", item: "transfer", brief: []string{"id", "volume_id", "name"}, links: true, detail: true}
	groups         = resource{kind: dispatch.KindGroup, path: "/groups", field: "groups", item: "group", brief: []string{"id", "name"}, detail: true}
	groupSnapshots = resource{kind: dispatch.KindGroupSnapshot, path: "/group_snapshots", field: "group_snapshots", item: "group_snapshot", brief: []string{"id", "name"}, detail: true}
	messages       = resource{kind: dispatch.KindMessage, path: "/messages", field: "messages", item: "message"}
)

// view is which of the API's two lists a client asked for.
type view int

const (
	brief view = iota
	full
)

const maxLimit = 1000 // Cinder's osapi_max_limit

// keys are the sort keys whose values rows show. By others a list is in order
// within each pod only.
var keys = map[string]dispatch.Key{
	"id":          {Path: "id", Field: dispatch.ByID},
	"created_at":  {Path: "created_at", Type: dispatch.Time, Field: dispatch.ByCreated},
	"updated_at":  {Path: "updated_at", Type: dispatch.Time},
	"name":        {Path: "name", Type: dispatch.Text, Field: dispatch.ByName},
	"status":      {Path: "status", Type: dispatch.Text},
	"size":        {Path: "size"},
	"volume_id":   {Path: "volume_id"},
	"expires_at":  {Path: "guaranteed_until", Type: dispatch.Time},
	"event_id":    {Path: "event_id", Type: dispatch.Text},
	"resource_id": {Path: "resource_uuid"},
}

// list is the merged list of a resource. Both views ask the pods for details,
// since brief rows do not show what lists are ordered by; only attachments keep
// their own.
func (a *api) list(of resource, as view) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		query := r.URL.Query()
		order, err := sortOf(query)
		if err != nil {
			return nil, err
		}
		limit, skip, err := pageOf(query)
		if err != nil {
			return nil, err
		}
		if limit == 0 {
			return gateway.JSON(http.StatusOK, map[string]any{of.field: []any{}}), nil
		}
		path := of.path
		if of.detail && (as == full || of.kind != dispatch.KindAttachment) {
			path += "/detail"
		}
		list := dispatch.List{
			By: by, Service: pod.Volume, Path: path, Header: pageHeader(r),
			Kind: of.kind, Field: of.field, Next: of.field + "_links",
			Sort: order, SortQuery: sortQuery, Limit: limit, Skip: skip, Marker: query.Get("marker"),
			AllProjects: by.IsAdmin() && query.Has("all_tenants"),
			NoMarker: func(id string) error {
				return fault.New(fault.NotFound, "", "%s %s could not be found.", strings.ToUpper(of.item[:1])+of.item[1:], id)
			},
		}
		if list.Pods, err = a.zoneFilter(ctx, query); err != nil {
			return nil, err
		}
		for _, name := range []string{"limit", "offset", "marker", "sort", "sort_key", "sort_dir"} {
			query.Del(name)
		}
		list.Query = query
		zones, err := a.zoneNames(ctx)
		if err != nil {
			return nil, err
		}
		list.Rewrite = rowWriter(r, of, as, path, zones)
		list.Tail = tail(r, of)
		result, err := a.Dispatch.List(ctx, list)
		if err != nil {
			return nil, err
		}
		return gateway.MergedList(result), nil
	}
}

// pageHeader is what a list's questions carry on.
func pageHeader(r *gateway.Request) http.Header {
	return http.Header{versionHeader: r.Header.Values(versionHeader)}
}

// rowWriter makes rows as clients see them.
func rowWriter(r *gateway.Request, of resource, as view, path string, zones map[string]string) func([]byte, dispatch.Row) []byte {
	return func(dst []byte, row dispatch.Row) []byte {
		raw := gateway.SetField(row.Raw, "availability_zone", zones[row.Pod])
		if as == brief && of.brief != nil {
			raw = briefOf(raw, of)
		}
		if row.Asked == nil {
			return append(dst, raw...)
		}
		return gateway.LinksFrom(r, row.Asked, path).Append(dst, raw)
	}
}

// briefOf is the short form of a detailed row.
func briefOf(raw []byte, of resource) []byte {
	fields := of.brief
	if of.links {
		fields = append(fields[:len(fields):len(fields)], "links")
	}
	out := []byte{'{'}
	for _, name := range fields {
		found := gjson.GetBytes(raw, name)
		if !found.Exists() {
			continue
		}
		if len(out) > 1 {
			out = append(out, ", "...)
		}
		out = fmt.Appendf(out, `"%s": %s`, name, found.Raw)
	}
	return append(out, '}')
}

// tail adds the next page's link and the count, if the client asked for it.
func tail(r *gateway.Request, of resource) func([]byte, dispatch.Summary) []byte {
	return func(dst []byte, s dispatch.Summary) []byte {
		if s.Full && s.Count > 0 {
			query := r.URL.Query()
			query.Set("marker", s.LastID)
			query.Del("offset")
			link := r.RootURL() + r.Path() + "?" + query.Encode()
			dst = fmt.Appendf(dst, `, "%s_links": [{"rel": "next", "href": %s}]`, of.field, gateway.Quote(link))
		}
		total, counted := int64(0), false
		for _, members := range s.Members {
			if n, err := strconv.ParseInt(string(members["count"]), 10, 64); err == nil {
				total, counted = total+n, true
			}
		}
		if counted {
			dst = fmt.Appendf(dst, `, "count": %d`, total)
		}
		return dst
	}
}

// sortOf reads the order in Cinder's two forms and makes it total.
func sortOf(query url.Values) ([]dispatch.Key, error) {
	var order []dispatch.Key
	add := func(name, dir string) error {
		if dir == "" {
			dir = "desc"
		}
		if dir != "asc" && dir != "desc" {
			return fault.New(fault.Invalid, "", "Invalid input received: Unknown sort direction, must be one of: asc, desc.")
		}
		k := keys[name]
		k.Name, k.Desc = name, dir == "desc"
		order = append(order, k)
		return nil
	}
	switch {
	case query.Has("sort") && (query.Has("sort_key") || query.Has("sort_dir")):
		return nil, fault.New(fault.Invalid, "",
			"The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.")
	case query.Has("sort"):
		for part := range strings.SplitSeq(strings.TrimSpace(query.Get("sort")), ",") {
			name, dir, _ := strings.Cut(part, ":")
			if err := add(strings.TrimSpace(name), strings.TrimSpace(dir)); err != nil {
				return nil, err
			}
		}
	default:
		name := strings.TrimSpace(query.Get("sort_key"))
		if name == "" {
			name = "created_at"
		}
		if err := add(name, strings.TrimSpace(query.Get("sort_dir"))); err != nil {
			return nil, err
		}
	}
	last := order[len(order)-1]
	if last.Name != "id" {
		id := keys["id"]
		id.Name, id.Desc = "id", last.Desc
		order = append(order, id)
	}
	return order, nil
}

func sortQuery(order []dispatch.Key) url.Values {
	parts := make([]string, len(order))
	for i, k := range order {
		parts[i] = k.Name + ":asc"
		if k.Desc {
			parts[i] = k.Name + ":desc"
		}
	}
	return url.Values{"sort": {strings.Join(parts, ",")}}
}

func pageOf(query url.Values) (limit, skip int, err error) {
	if limit, err = number(query, "limit", maxLimit); err != nil {
		return 0, 0, err
	}
	skip, err = number(query, "offset", 0)
	return min(limit, maxLimit), skip, err
}

func number(query url.Values, name string, absent int) (int, error) {
	if !query.Has(name) {
		return absent, nil
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil {
		return 0, fault.New(fault.Invalid, "", "%s param must be an integer", name)
	}
	if n < 0 {
		return 0, fault.New(fault.Invalid, "", "%s param must be positive", name)
	}
	return n, nil
}

// gather is a list without order or pages: every pod's rows, one pod after the
// other.
func (a *api) gather(field string) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		answers, away, err := a.askAll(ctx, by, r, "list "+field)
		if err != nil {
			return nil, err
		}
		zones, err := a.zoneNames(ctx)
		if err != nil {
			return nil, err
		}
		rows := []json.RawMessage{}
		for _, answer := range answers {
			for _, row := range gjson.GetBytes(answer.Body, field).Array() {
				raw := gateway.SetField([]byte(row.Raw), "zone", zones[answer.Pod])
				rows = append(rows, raw)
			}
		}
		return gateway.JSON(http.StatusOK, map[string]any{field: rows}).Without(away...), nil
	}
}
