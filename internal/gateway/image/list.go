package image

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// Glance's limit_param_default and api_limit_max.
const (
	defaultLimit = 25
	maxLimit     = 1000
)

// keyNames are Glance's, in the order in which its error names them.
var keyNames = []string{"name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"}

var keys = map[string]dispatch.Key{
	"name":             {Path: "name", Type: dispatch.Text, Field: dispatch.ByName},
	"status":           {Path: "status", Type: dispatch.Text},
	"container_format": {Path: "container_format", Type: dispatch.Text},
	"disk_format":      {Path: "disk_format", Type: dispatch.Text},
	"size":             {Path: "size"},
	"id":               {Path: "id", Field: dispatch.ByID},
	"created_at":       {Path: "created_at", Type: dispatch.Time, Field: dispatch.ByCreated},
	"updated_at":       {Path: "updated_at", Type: dispatch.Time},
}

// list is the merged list: an image that several pods have is shown once.
func (a *api) list(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	query := r.URL.Query()
	order, err := sortOf(query)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(query)
	if err != nil {
		return nil, err
	}
	marker := query.Get("marker")
	for _, name := range []string{"limit", "marker", "sort", "sort_key", "sort_dir"} {
		query.Del(name)
	}
	if limit == 0 {
		return none("images", r), nil
	}
	result, err := a.Dispatch.List(ctx, dispatch.List{
		By: by, Service: pod.Image, Path: "/images", Query: query, Header: asJSON,
		Kind: store.KindImage, Field: "images", Next: "next", Unique: true,
		Sort: order, SortQuery: sortQuery, Limit: limit, Marker: marker, Tail: tailOf("images", r),
		NoMarker: func(id string) error { return fault.New(fault.Invalid, "", "No image found with ID %s", id) },
	})
	if err != nil {
		return nil, err
	}
	return gateway.MergedList(result), nil
}

func limitOf(query url.Values) (int, error) {
	if !query.Has("limit") {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(query.Get("limit"))
	if err != nil {
		return 0, fault.New(fault.Invalid, "", "limit param must be an integer")
	}
	if n < 0 {
		return 0, fault.New(fault.Invalid, "", "limit param must be positive")
	}
	return min(n, maxLimit), nil
}

// sortOf reads the order in Glance's two forms and makes it total, as Glance does:
// by created_at and id after what was asked for.
func sortOf(query url.Values) ([]dispatch.Key, error) {
	names, dirs, err := askedSort(query)
	if err != nil {
		return nil, err
	}
	last := "desc"
	if len(dirs) > 0 {
		last = dirs[len(dirs)-1]
	}
	for _, name := range []string{"created_at", "id"} {
		missing := true
		for _, n := range names {
			missing = missing && n != name
		}
		if missing {
			names, dirs = append(names, name), append(dirs, last)
		}
	}
	order := make([]dispatch.Key, len(names))
	for i, name := range names {
		k, ok := keys[name]
		if !ok {
			return nil, fault.New(fault.Invalid, "", "Invalid sort key: %s. It must be one of the following: %s.", name, strings.Join(keyNames, ", "))
		}
		if dirs[i] != "asc" && dirs[i] != "desc" {
			return nil, badDirection(dirs[i])
		}
		k.Name, k.Desc = name, dirs[i] == "desc"
		order[i] = k
	}
	return order, nil
}

func askedSort(query url.Values) (names, dirs []string, err error) {
	if query.Has("sort") {
		if query.Has("sort_key") || query.Has("sort_dir") {
			return nil, nil, fault.New(fault.Invalid, "", "Old and new sorting syntax cannot be combined")
		}
		for part := range strings.SplitSeq(query.Get("sort"), ",") {
			name, dir, found := strings.Cut(strings.TrimSpace(part), ":")
			if !found {
				dir = "desc"
			}
			names, dirs = append(names, strings.TrimSpace(name)), append(dirs, strings.TrimSpace(dir))
		}
		return names, dirs, nil
	}
	names, dirs = query["sort_key"], query["sort_dir"]
	if len(names) == 0 {
		names = []string{"created_at"}
	}
	switch {
	case len(dirs) == 0:
		dirs = []string{"desc"}
	case len(dirs) > 1 && len(dirs) != len(names):
		return nil, nil, fault.New(fault.Invalid, "", "Number of sort dirs does not match the number of sort keys")
	}
	full := make([]string, len(names))
	for i := range names {
		full[i] = dirs[min(i, len(dirs)-1)]
	}
	return append([]string(nil), names...), full, nil
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
