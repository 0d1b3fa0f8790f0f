package glance

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// kept is how long a task can be seen.
const kept = 48 * time.Hour

// newTask makes the task of an import.
func (s *Server) newTask(r *rest.Request, i *image, in rest.Doc) rest.Doc {
	task := rest.Doc{
		"id": uuid.NewString(), "type": "api_image_import", "status": "processing", "owner": r.Caller.ProjectID, "user_id": r.Caller.UserID,
		"request_id": r.ID, "image_id": i.id(), "input": rest.Doc{"image_id": i.id(), "import_req": in, "backend": []any{nil}},
		"created_at": s.stamp(), "updated_at": s.stamp(), "expires_at": s.Now().Add(kept).UTC().Format("2006-01-02T15:04:05Z"), "result": nil, "message": "",
	}
	s.tasks = append(s.tasks, task)
	return task
}

// imageTasks are an image's, the newest first. They have another form than tasks
// by themselves: that of the database.
func (s *Server) imageTasks(r *rest.Request) (*rest.Reply, error) {
	if _, err := s.find(r); err != nil {
		return nil, fail(http.StatusNotFound, "The resource could not be found.")
	}
	out := []rest.Doc{}
	for _, task := range slices.Backward(s.tasks) {
		if task["image_id"] == r.Param("id") {
			task = maps.Clone(task)
			task["deleted"], task["deleted_at"] = false, nil
			out = append(out, task)
		}
	}
	return rest.OK(rest.Doc{"tasks": out})
}

func (s *Server) listTasks(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, fail(http.StatusForbidden, "You are not authorized to complete tasks_api_access action.")
	}
	limit, err := readLimit(r.URL.Query())
	if err != nil {
		return nil, err
	}
	out := []rest.Doc{}
	for _, task := range slices.Backward(s.tasks) {
		if status := r.Query("status"); status != "" && task["status"] != status {
			continue
		}
		stub := viewTask(task)
		for _, name := range []string{"input", "message", "result", "image_id", "request_id", "user_id"} {
			delete(stub, name)
		}
		out = append(out, stub)
	}
	if marker := r.Query("marker"); marker != "" {
		at := slices.IndexFunc(out, func(d rest.Doc) bool { return d["id"] == marker })
		if at < 0 {
			return nil, badRequest("Could not find task %s", marker)
		}
		out = out[at+1:]
	}
	d := rest.Doc{"first": linkTo("/v2/tasks", r.URL.Query(), ""), "schema": "/v2/schemas/tasks"}
	if limit > 0 && len(out) >= limit {
		out = out[:limit]
		d["next"] = linkTo("/v2/tasks", r.URL.Query(), rest.Str(out[limit-1], "id"))
	}
	d["tasks"] = out
	return rest.OK(d)
}

func (s *Server) showTask(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, fail(http.StatusForbidden, "You are not authorized to complete tasks_api_access action.")
	}
	for _, task := range s.tasks {
		if task["id"] == r.Param("task") {
			return rest.OK(viewTask(task))
		}
	}
	return nil, fail(http.StatusNotFound, "Could not find task %s", r.Param("task"))
}

func viewTask(task rest.Doc) rest.Doc {
	d := maps.Clone(task)
	d["self"], d["schema"] = "/v2/tasks/"+rest.Str(d, "id"), "/v2/schemas/task"
	return d
}
