package volume

import (
	"context"
	"net/http"
	"net/url"

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
	next   string   // beside it, where there is another page; empty: the API does not say
	item   string   // of one
	brief  []string // what a brief row shows; nil: the same as others
	detail bool     // the API has .../detail
	// paged is the version from which on the list has pages and an order of the
	// client's choice. Before that it is whole, in its own order; limited means that
	// limit and offset held already.
	paged   gateway.Microversion
	limited bool
	own     []dispatch.Key
	// shows are the sort keys whose values rows show. By others a list is in order
	// within each pod only.
	shows map[string]dispatch.Key
	// zoned: everybody may filter by zone. Admins may filter whatever has one.
	zoned bool
}

var (
	volumes = resource{kind: store.KindVolume, path: "/volumes", field: "volumes", next: "volumes_links", item: "volume", detail: true, zoned: true,
		brief: []string{"id", "name", "links"}, shows: keys}
	snapshots = resource{kind: dispatch.KindSnapshot, path: "/snapshots", field: "snapshots", next: "snapshots_links", item: "snapshot", detail: true, zoned: true,
		brief: []string{"id", "created_at", "updated_at", "name", "description", "volume_id", "status", "size", "metadata"}, shows: keys}
	backups = resource{kind: dispatch.KindBackup, path: "/backups", field: "backups", next: "backups_links", item: "backup", detail: true,
		brief: []string{"id", "name", "links"}, shows: keys}
	// Rows of attachments do not show when they were made, by which all orders end.
	attachments = resource{kind: dispatch.KindAttachment, path: "/attachments", field: "attachments", item: "attachment", detail: true,
		brief: []string{"id", "status", "instance", "volume_id"}, shows: map[string]dispatch.Key{"id": keys["id"]}}
	transfers = resource{kind: dispatch.KindTransfer, path: "/volume-transfers", field: "transfers", next: "transfers_links", item: "transfer", detail: true,
		brief: []string{"id", "volume_id", "name", "links"}, shows: keys, paged: gateway.Microversion{Major: 3, Minor: 59}, limited: true, own: oldestFirst}
	oldTransfers = resource{kind: dispatch.KindTransfer, path: "/os-volume-transfer", field: "transfers", next: "transfers_links", item: "transfer", detail: true,
		brief: []string{"id", "volume_id", "name", "links"}, shows: keys, paged: never, limited: true, own: oldestFirst}
	groups = resource{kind: dispatch.KindGroup, path: "/groups", field: "groups", next: "group_links", item: "group", detail: true,
		brief: []string{"id", "name"}, shows: keys}
	groupSnapshots = resource{kind: dispatch.KindGroupSnapshot, path: "/group_snapshots", field: "group_snapshots", next: "group_snapshot_links", item: "group_snapshot", detail: true,
		brief: []string{"id", "name"}, shows: keys, paged: gateway.Microversion{Major: 3, Minor: 29}, own: newestFirst}
	consistencyGroups = resource{kind: dispatch.KindConsistencyGroup, path: "/consistencygroups", field: "consistencygroups", next: "consistencygroup_links", item: "consistencygroup", detail: true,
		brief: []string{"id", "name"}, shows: keys}
	cgSnapshots = resource{kind: dispatch.KindCGSnapshot, path: "/cgsnapshots", field: "cgsnapshots", item: "cgsnapshot", detail: true,
		brief: []string{"id", "name"}, shows: keys, paged: never, limited: true, own: newestFirst}
	messages = resource{kind: dispatch.KindMessage, path: "/messages", field: "messages", next: "messages_links", item: "message",
		shows: keys, paged: gateway.Microversion{Major: 3, Minor: 5}, own: newestFirst}
)

// view is which of the API's two lists a client asked for.
type view int

const (
	brief view = iota
	full
)

const maxLimit = 1000 // Cinder's osapi_max_limit

// list is the merged list of a resource. Both views ask the pods for details,
// since brief rows do not show what lists are ordered by.
func (a *api) list(of resource, as view) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		query := r.URL.Query()
		list := dispatch.List{
			By: by, Service: pod.Volume, Path: of.path, Header: pageHeader(r),
			Kind: of.kind, Field: of.field, Next: of.next, Sort: of.own, PageSize: maxLimit,
			AllProjects: by.IsAdmin() && query.Has("all_tenants"),
			NoMarker: func(id string) error {
				return fault.New(fault.NotFound, "", "%s", dispatch.Absent(of.kind, id))
			},
		}
		if of.detail {
			list.Path += "/detail"
		}
		if err := of.paging(&list, r.Version, query); err != nil {
			return nil, err
		}
		var err error
		if list.Pods, err = a.listPods(ctx, by, of, query); err != nil {
			return nil, err
		}
		list.Query = query
		if list.Limit == 0 && !list.Whole {
			return a.emptyList(ctx, by, r, of, list.Pods)
		}
		if list.Rewrite, err = a.rowWriter(ctx, r, of, as, list.Path); err != nil {
			return nil, err
		}
		list.Tail = tail(r, of)
		result, err := a.Dispatch.List(ctx, list)
		if err != nil {
			return nil, err
		}
		return gateway.MergedList(result), nil
	}
}

// paging reads order and page from the query, and takes them out of it.
func (o resource) paging(list *dispatch.List, version gateway.Microversion, query url.Values) (err error) {
	defer func() {
		for _, name := range []string{"limit", "offset", "marker", "sort", "sort_key", "sort_dir"} {
			query.Del(name)
		}
	}()
	list.Whole = version.Less(o.paged)
	if list.Whole && !o.limited {
		return nil
	}
	if list.Limit, list.Skip, err = pageOf(query); err != nil || list.Whole {
		if list.Limit == 0 { // Cinder takes it for none
			list.Limit = maxLimit
		}
		return err
	}
	list.Marker, list.SortQuery = query.Get("marker"), sortQuery
	list.Sort, err = o.order(query)
	return err
}

// emptyList is a list with "limit=0": the pods say whether the rest of the request
// is right, and how many things there would be.
func (a *api) emptyList(ctx context.Context, by identity.Caller, r *gateway.Request, of resource, pods []string) (*gateway.Reply, error) {
	answers, away, err := a.askThese(ctx, by, r, pods, "list "+of.field)
	if err != nil {
		return nil, err
	}
	list := map[string]any{of.field: []any{}}
	if total, counted := countOf(answers); counted {
		list["count"] = total
	}
	return gateway.JSON(http.StatusOK, list).Without(away...), nil
}

// pageHeader is what a list's questions carry on.
func pageHeader(r *gateway.Request) http.Header {
	return http.Header{versionHeader: r.Header.Values(versionHeader)}
}

// listPods takes zones and hosts, which the region names in its own way, out of a
// list's filters: they say which pods to ask; nil is all.
func (a *api) listPods(ctx context.Context, by identity.Caller, of resource, query url.Values) ([]string, error) {
	var pods []string
	if of.zoned || by.IsAdmin() { // the pods refuse it, or do not look at it, for others
		var err error
		if pods, err = a.zoneFilter(ctx, query, "availability_zone"); err != nil {
			return nil, err
		}
	}
	if !by.IsAdmin() {
		return pods, nil
	}
	return a.hostFilter(ctx, query, pods, "host", "cluster_name")
}
