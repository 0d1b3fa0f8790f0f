package volume

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
)

// keys are the sort keys whose values detailed rows show.
var keys = map[string]dispatch.Key{
	"id":            {Name: "id", Path: "id", Field: dispatch.ByID},
	"created_at":    {Name: "created_at", Path: "created_at", Type: dispatch.Time, Field: dispatch.ByCreated},
	"updated_at":    {Name: "updated_at", Path: "updated_at", Type: dispatch.Time},
	"name":          {Name: "name", Path: "name", Type: dispatch.Text, Field: dispatch.ByName},
	"display_name":  {Name: "display_name", Path: "name", Type: dispatch.Text, Field: dispatch.ByName},
	"status":        {Name: "status", Path: "status", Type: dispatch.Text},
	"size":          {Name: "size", Path: "size"},
	"volume_size":   {Name: "volume_size", Path: "size"},
	"volume_id":     {Name: "volume_id", Path: "volume_id"},
	"user_id":       {Name: "user_id", Path: "user_id"},
	"expires_at":    {Name: "expires_at", Path: "guaranteed_until", Type: dispatch.Time},
	"event_id":      {Name: "event_id", Path: "event_id", Type: dispatch.Text},
	"resource_uuid": {Name: "resource_uuid", Path: "resource_uuid"},
	"message_level": {Name: "message_level", Path: "message_level", Type: dispatch.Text},
}

// The orders of lists that have no other.
var (
	oldestFirst = []dispatch.Key{keys["created_at"], keys["id"]}
	newestFirst = []dispatch.Key{falling(keys["created_at"]), falling(keys["id"])}
)

// never is beyond all versions.
var never = gateway.Microversion{Major: math.MaxInt32}

func falling(k dispatch.Key) dispatch.Key {
	k.Desc = true
	return k
}

// order reads the order in Cinder's two forms and makes it total as Cinder does:
// by time and ID, in the direction of the first key.
func (o resource) order(query url.Values) ([]dispatch.Key, error) {
	var order []dispatch.Key
	add := func(name, dir string) error {
		if dir == "" {
			dir = "desc"
		}
		if dir != "asc" && dir != "desc" {
			return fault.New(fault.Invalid, "", "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.")
		}
		k := o.shows[name]
		k.Name, k.Desc = name, dir == "desc"
		order = append(order, k)
		return nil
	}
	parts := []string{"created_at:" + query.Get("sort_dir")}
	switch {
	case query.Has("sort") && (query.Has("sort_key") || query.Has("sort_dir")):
		return nil, fault.New(fault.Invalid, "",
			"The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.")
	case query.Has("sort"):
		parts = strings.Split(strings.TrimSpace(query.Get("sort")), ",")
	case query.Has("sort_key"):
		parts = []string{strings.TrimSpace(query.Get("sort_key")) + ":" + query.Get("sort_dir")}
	}
	for _, part := range parts {
		name, dir, _ := strings.Cut(part, ":")
		if err := add(strings.TrimSpace(name), strings.TrimSpace(dir)); err != nil {
			return nil, err
		}
	}
	return o.total(order), nil
}

func (o resource) total(order []dispatch.Key) []dispatch.Key {
	for _, name := range []string{"created_at", "id"} {
		// Nothing that comes after the ID matters.
		if !slices.ContainsFunc(order, func(k dispatch.Key) bool { return k.Name == name || k.Name == "id" }) {
			k := o.shows[name]
			k.Name, k.Desc = name, order[0].Desc
			order = append(order, k)
		}
	}
	return order
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

// pageOf reads limit and offset.
func pageOf(query url.Values) (limit, skip int, err error) {
	limit = maxLimit
	if query.Has("limit") {
		if limit, err = strconv.Atoi(strings.TrimSpace(query.Get("limit"))); err != nil {
			return 0, 0, fault.New(fault.Invalid, "", "limit param must be an integer")
		}
	}
	if limit < 0 {
		return 0, 0, fault.New(fault.Invalid, "", "limit param must be positive")
	}
	if query.Has("offset") {
		skip, err = strconv.Atoi(strings.TrimSpace(query.Get("offset")))
	}
	switch {
	case err != nil:
		return 0, 0, fault.New(fault.Invalid, "", "offset must be an integer")
	case skip < 0:
		return 0, 0, fault.New(fault.Invalid, "", "offset must be >= 0")
	case skip > math.MaxInt32:
		return 0, 0, fault.New(fault.Invalid, "", "offset must be <= %d", math.MaxInt32)
	}
	return min(limit, maxLimit), skip, nil
}
