package admin

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/jobs"
)

// Service is the admin API as a service of the gateway.
func (a *Admin) Service() gateway.Service {
	route := func(method, pattern, note string, h gateway.Handler) gateway.Route {
		return gateway.Route{Method: method, Pattern: pattern, Strategy: gateway.Central, Admin: true, Handle: h, Note: note}
	}
	return gateway.Service{
		Name: "admin", Prefix: "/admin", Version: "/v1", Error: gateway.AdminError,
		Routes: slices.Concat([]gateway.Route{
			{Method: http.MethodGet, Pattern: "//", Strategy: gateway.Public, Handle: a.versions, Note: "which versions there are"},
			route(http.MethodGet, "/whoami", "who the token is", a.whoami),
			route(http.MethodGet, "/version", "which Tricircle answers", a.version),
			route(http.MethodGet, "/region", "name, URL, zones", a.showRegion),
			route(http.MethodPost, "/region/register", "services and endpoints in Keystone", a.registerRegion),
			route(http.MethodGet, "/pods", "all pods", a.listPods),
			route(http.MethodPost, "/pods", "add a pod, and check it", a.addPod),
			route(http.MethodGet, "/pods/{name}", "one pod with counts", a.showPod),
			route(http.MethodPatch, "/pods/{name}", "change, cordon, uncordon", a.changePod),
			route(http.MethodDelete, "/pods/{name}", "remove an empty pod", a.removePod),
			route(http.MethodPost, "/pods/{name}/check", "what is wrong with a pod", a.checkPod),
			route(http.MethodGet, "/bindings", "which project uses which pod", a.listBindings),
			route(http.MethodGet, "/decisions/{id}", "why a server, or the servers of a request, went where they did", a.showDecision),
			route(http.MethodPost, "/explain/server", "where a server would go", a.explainServer),
			route(http.MethodGet, "/resources/{id}", "where a thing is", a.whereResource),
			route(http.MethodGet, "/jobs", "jobs that are not done", a.listJobs),
			route(http.MethodGet, "/jobs/{id}", "one job", a.showJob),
			route(http.MethodPost, "/jobs/{id}/retry", "try now", a.retryJob),
		}, a.networkRoutes(route), a.imageRoutes(route), a.volumeRoutes(route), a.driftRoutes(route)),
	}
}

// wrapped is the reply {"name": value}.
func wrapped[T any](name string, value T, err error) (*gateway.Reply, error) {
	if err != nil {
		return nil, err
	}
	return gateway.JSON(http.StatusOK, map[string]T{name: value}), nil
}

func (a *Admin) versions(_ context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	return gateway.JSON(http.StatusOK, map[string]any{"versions": []map[string]any{{
		"id": "v1", "status": "CURRENT",
		"links": []map[string]string{{"rel": "self", "href": r.PrefixURL() + "/v1"}},
	}}}), nil
}

// Me is who the caller is.
type Me struct {
	UserID      string   `json:"user_id"`
	UserName    string   `json:"user_name"`
	ProjectID   string   `json:"project_id"`
	ProjectName string   `json:"project_name"`
	Roles       []string `json:"roles"`
}

func (a *Admin) whoami(_ context.Context, by identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
	return wrapped("caller", Me{by.UserID, by.UserName, by.ProjectID, by.ProjectName, by.Roles}, nil)
}

func (a *Admin) version(_ context.Context, _ identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
	return wrapped("version", a.Version, nil)
}

func (a *Admin) showRegion(ctx context.Context, _ identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
	region, err := a.Region(ctx)
	return wrapped("region", region, err)
}

func (a *Admin) registerRegion(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	var in struct {
		PublicURL string `json:"public_url"`
	}
	if err := r.JSON(&in); err != nil {
		return nil, err
	}
	done, err := a.Register(ctx, by, in.PublicURL)
	return wrapped("registration", done, err)
}

func (a *Admin) listPods(ctx context.Context, _ identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
	pods, err := a.Pods(ctx)
	return wrapped("pods", pods, err)
}

// addPod adds the pod even when the check finds errors: it may be repaired, or
// started, later. With check=false nothing is asked of it.
func (a *Admin) addPod(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	var in struct{ Pod PodSpec }
	if err := r.JSON(&in); err != nil {
		return nil, err
	}
	check, err := wantsCheck(r)
	if err != nil {
		return nil, err
	}
	pod, err := a.AddPod(ctx, in.Pod)
	if err != nil {
		return nil, err
	}
	findings := []Finding{}
	if check {
		if findings, err = a.Check(ctx, pod.Name); err != nil {
			return nil, err
		}
	}
	return gateway.JSON(http.StatusCreated, map[string]any{"pod": pod, "findings": findings}), nil
}

func wantsCheck(r *gateway.Request) (bool, error) {
	value := r.URL.Query().Get("check")
	if value == "" {
		return true, nil
	}
	check, err := strconv.ParseBool(value)
	if err != nil {
		return false, fault.New(fault.Invalid, "", "check must be true or false, not %q", value)
	}
	return check, nil
}

func (a *Admin) showPod(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	pod, err := a.Pod(ctx, r.Param("name"))
	return wrapped("pod", pod, err)
}

func (a *Admin) changePod(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	var in struct{ Pod PodChange }
	if err := r.JSON(&in); err != nil {
		return nil, err
	}
	pod, err := a.ChangePod(ctx, r.Param("name"), in.Pod)
	return wrapped("pod", pod, err)
}

func (a *Admin) removePod(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := a.RemovePod(ctx, r.Param("name")); err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusNoContent), nil
}

func (a *Admin) checkPod(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	findings, err := a.Check(ctx, r.Param("name"))
	return wrapped("findings", findings, err)
}

func (a *Admin) listBindings(ctx context.Context, _ identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
	bindings, err := a.Bindings(ctx)
	return wrapped("bindings", bindings, err)
}

func (a *Admin) whereResource(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	resource, err := a.Where(ctx, r.Param("id"))
	return wrapped("resource", resource, err)
}

func (a *Admin) listJobs(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	values := r.URL.Query()
	q := jobs.Query{Pod: values.Get("pod"), Kind: values.Get("kind"), State: values.Get("state"), Resource: values.Get("resource")}
	if limit := values.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 {
			return nil, fault.New(fault.Invalid, "", "limit must be a number above 0, not %q", limit)
		}
		q.Limit = n
	}
	found, err := a.Jobs.List(ctx, q)
	return wrapped("jobs", found, err)
}

func (a *Admin) showJob(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	job, err := a.Jobs.Show(ctx, id)
	return wrapped("job", job, err)
}

func (a *Admin) retryJob(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	job, err := a.Jobs.Retry(ctx, id)
	return wrapped("job", job, err)
}

func jobID(r *gateway.Request) (int64, error) {
	id, err := strconv.ParseInt(r.Param("id"), 10, 64)
	if err != nil {
		return 0, fault.New(fault.NotFound, "", "no job %s: job IDs are numbers", r.Param("id"))
	}
	return id, nil
}
