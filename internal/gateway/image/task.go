package image

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
)

var taskKeys = map[string]dispatch.Key{
	"created_at": {Path: "created_at", Type: dispatch.Time},
	"updated_at": {Path: "updated_at", Type: dispatch.Time},
	"expires_at": {Path: "expires_at", Type: dispatch.Time},
	"id":         {Path: "id"},
	"status":     {Path: "status", Type: dispatch.Text},
	"type":       {Path: "type", Type: dispatch.Text},
	"owner":      {Path: "owner", Type: dispatch.Text},
}

// listTasks is the list of all pods' tasks.
func (a *api) listTasks(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	query := r.URL.Query()
	limit, err := limitOf(query)
	if err != nil {
		return nil, err
	}
	order, err := taskOrder(query)
	if err != nil {
		return nil, err
	}
	marker := query.Get("marker")
	for _, name := range []string{"limit", "marker", "sort_key", "sort_dir"} {
		query.Del(name)
	}
	if limit == 0 {
		return none("tasks", r), nil
	}
	result, err := a.Dispatch.List(ctx, dispatch.List{
		By: by, Service: pod.Image, Path: "/tasks", Query: query, Header: asJSON, Field: "tasks", Next: "next",
		Sort: order, SortQuery: taskSort, Limit: limit, Marker: marker, FindMarker: a.taskPlace(by), Tail: tailOf("tasks", r),
		NoMarker: func(id string) error { return fault.New(fault.Invalid, "", "No task found with ID %s", id) },
	})
	if err != nil {
		return nil, err
	}
	return gateway.MergedList(result), nil
}

// taskOrder is Glance's: by one key, then by ID.
func taskOrder(query url.Values) ([]dispatch.Key, error) {
	name, dir := query.Get("sort_key"), query.Get("sort_dir")
	if name == "" {
		name = "created_at"
	}
	if dir == "" {
		dir = "desc"
	}
	k, ok := taskKeys[name]
	if !ok {
		return nil, fault.New(fault.Invalid, "", "Sort key supplied was not valid.")
	}
	if dir != "asc" && dir != "desc" {
		return nil, badDirection(dir)
	}
	k.Name, k.Desc = name, dir == "desc"
	order := []dispatch.Key{k}
	if name != "id" {
		last := taskKeys["id"]
		last.Name, last.Desc = "id", k.Desc
		order = append(order, last)
	}
	return order, nil
}

func taskSort(order []dispatch.Key) url.Values {
	dir := "asc"
	if order[0].Desc {
		dir = "desc"
	}
	return url.Values{"sort_key": {order[0].Name}, "sort_dir": {dir}}
}

// taskPlace finds the pod of the task that a marker names.
func (a *api) taskPlace(by identity.Caller) func(context.Context, string) (dispatch.Place, error) {
	return func(ctx context.Context, id string) (dispatch.Place, error) {
		answers, err := a.Dispatch.All(ctx, nil, pod.Request{
			Service: pod.Image, Method: get, Path: "/tasks/" + url.PathEscape(id), As: &by, Op: "look for task",
		})
		if err != nil {
			return dispatch.Place{}, err
		}
		failed := error(fault.New(fault.NotFound, "", "no task %s", id))
		for _, answer := range answers {
			if answer.Err == nil {
				return dispatch.Place{Pod: answer.Pod, ID: id, Raw: answer.Body}, nil
			}
			if answer.Away() {
				failed = answer.Err
			}
		}
		return dispatch.Place{}, failed
	}
}

// createTask is carried out by the pod in which the project's new images go.
func (a *api) createTask(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	names, err := a.homes(ctx, by)
	if err != nil {
		return nil, err
	}
	if _, err := r.Bytes(); err != nil {
		return nil, err
	}
	for _, name := range names {
		var reply *gateway.Reply
		if reply, err = a.forward(ctx, by, r, name); !pod.NotSent(err) {
			return reply, err
		}
	}
	return nil, err
}

// tailOf adds what Glance writes after the rows. Its addresses begin with the
// version, whatever prefix the service has.
func tailOf(field string, r *gateway.Request) func([]byte, dispatch.Summary) []byte {
	address := func(query url.Values) []byte {
		if len(query) == 0 {
			return gateway.Quote("/v2/" + field)
		}
		return gateway.Quote("/v2/" + field + "?" + query.Encode())
	}
	return func(dst []byte, s dispatch.Summary) []byte {
		query := url.Values{}
		for name, values := range r.URL.Query() {
			query.Set(name, values[len(values)-1]) // as Glance: of several the last
		}
		query.Del("marker")
		dst = fmt.Appendf(dst, `, "first": %s, "schema": "/v2/schemas/%s"`, address(query), field)
		if s.Full {
			query.Set("marker", s.LastID)
			dst = fmt.Appendf(dst, `, "next": %s`, address(query))
		}
		return dst
	}
}

// none is a list for a client that wants no rows.
func none(field string, r *gateway.Request) *gateway.Reply {
	body := append([]byte(`{"`+field+`": []`), tailOf(field, r)(nil, dispatch.Summary{})...)
	return &gateway.Reply{Body: append(body, '}')}
}

func badDirection(dir string) error {
	return fault.New(fault.Invalid, "", "Invalid sort direction: %s", dir)
}

// regional is a pod's refusal as the region's own: any pod would say the same.
func regional(err error) error {
	if f, ok := faultOf(err); ok && f.Upstream != nil && f.Upstream.Status < http.StatusInternalServerError {
		said := *f
		said.Pod = ""
		return &said
	}
	return err
}
