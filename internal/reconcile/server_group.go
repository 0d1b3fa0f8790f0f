package reconcile

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// serverGroup makes a server group right in the pod of its members. Nova gives a
// group to the project of whoever creates it, and lets no other project use it: so
// only the user who waits for his first member can make it. A job takes over what
// he left behind, and removes.
func (r *Reconciler) serverGroup(by *identity.Caller) actor {
	return func(ctx context.Context, c *pod.Client, m store.Mapping) error {
		in := novaGroup{c: c, by: by, of: m}
		if !m.Wanted {
			return dismiss(ctx, r, m, in)
		}
		want, err := r.store.FindServerGroup(ctx, m.ID)
		if fault.Is(err, fault.NotFound) {
			return nil // deleted meanwhile; the mapping has changed with it
		}
		if err != nil {
			return err
		}
		if by == nil {
			return r.leftBehind(ctx, m, in)
		}
		in.want = want
		_, _, err = realise(ctx, r, m, want.ProjectID, in)
		return err
	}
}

// leftBehind ends well when the group is in the pod. Otherwise it waits: either
// a user is creating it at this moment, or his creation has failed and is about
// to be given up, and the group with it.
func (r *Reconciler) leftBehind(ctx context.Context, m store.Mapping, in novaGroup) error {
	if m.PodID != "" {
		return nil
	}
	if m.Tried {
		if _, ok, err := adopt(ctx, r, m, m.ProjectID, in); err != nil || ok {
			return err
		}
	}
	return &jobs.Again{After: min(r.grace/4, 5*time.Second), Reason: "the group is made with its first server"}
}

// novaGroup is the shelf of a server group: its mark is its name.
type novaGroup struct {
	c    *pod.Client
	by   *identity.Caller // nil: the service account
	of   store.Mapping
	want store.ServerGroup
}

// shownSince is the microversion that shows a group's project, and more.
const shownSince = "2.15"

func (g novaGroup) ask(ctx context.Context, r pod.Request, version string, in, out any) error {
	r.Service = pod.Compute
	r.Header = http.Header{"Openstack-Api-Version": {"compute " + version}, "X-Openstack-Nova-Api-Version": {version}}
	return g.c.JSON(ctx, r, in, out)
}

func groupPath(podID string) string { return "/os-server-groups/" + url.PathEscape(podID) }

func (g novaGroup) get(ctx context.Context, podID string) (obj plan.ServerGroup, found bool, err error) {
	var out struct {
		Group plan.ServerGroup `json:"server_group"`
	}
	err = g.ask(ctx, pod.Request{Method: http.MethodGet, Path: groupPath(podID), Op: "show server group"}, shownSince, nil, &out)
	if fault.Is(err, fault.NotFound) {
		return obj, false, nil
	}
	return out.Group, err == nil, err
}

// A page of Nova's list has as many groups as [api] max_limit says, 1000 unless
// it was changed. Nobody sets it below shortPage: a page with less is the last.
const shortPage = 50

// marked reads the groups of the user's project, or for a job those of all. The
// pages overlap, since what others delete meanwhile moves the rest towards the
// first page: a group that we miss would be made twice.
func (g novaGroup) marked(ctx context.Context) ([]plan.ServerGroup, error) {
	q := url.Values{}
	if g.by == nil {
		q.Set("all_projects", "true")
	}
	var all []plan.ServerGroup
	seen := map[string]bool{}
	for offset := 0; ; {
		q.Set("offset", strconv.Itoa(offset))
		page, err := g.page(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			if o.Name == plan.Mark(g.of.Kind, g.of.ID) && o.ProjectID == g.of.ProjectID && !seen[o.ID] {
				seen[o.ID] = true
				all = append(all, o)
			}
		}
		if len(page) < shortPage {
			return all, nil
		}
		offset += len(page) - len(page)/10
	}
}

func (g novaGroup) page(ctx context.Context, q url.Values) ([]plan.ServerGroup, error) {
	r := pod.Request{Method: http.MethodGet, Path: "/os-server-groups", Query: q, As: g.by, Op: "list server groups"}
	var out struct {
		Groups *[]plan.ServerGroup `json:"server_groups"`
	}
	if err := g.ask(ctx, r, shownSince, nil, &out); err != nil {
		return nil, err
	}
	if out.Groups == nil {
		return nil, unintelligible(g.c, r, "server_groups")
	}
	return *out.Groups, nil
}

func (g novaGroup) create(ctx context.Context) (obj plan.ServerGroup, err error) {
	body, version := plan.NewServerGroup(g.want)
	r := pod.Request{Method: http.MethodPost, Path: "/os-server-groups", As: g.by, Op: "create server group"}
	var out struct {
		Group plan.ServerGroup `json:"server_group"`
	}
	err = g.ask(ctx, r, version, map[string]any{"server_group": body}, &out)
	if err == nil && out.Group.ID == "" {
		err = unintelligible(g.c, r, "server_group")
	}
	return out.Group, err
}

func (g novaGroup) remove(ctx context.Context, podID string) error {
	r := pod.Request{Method: http.MethodDelete, Path: groupPath(podID), Op: "delete server group"}
	err := g.ask(ctx, r, shownSince, nil, nil)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
