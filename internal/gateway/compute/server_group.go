package compute

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// createServerGroup is "POST /os-server-groups": the group is ours, and in no pod
// until its first member is.
func (a *api) createServerGroup(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if by.ProjectID == "" {
		return nil, fault.New(fault.Forbidden, "", "Policy doesn't allow os_compute_api:os-server-groups:create to be performed.")
	}
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	g, err := parseServerGroup(body, versionOf(r))
	if err != nil {
		return nil, err
	}
	a.learnDefaults(ctx)
	g.ProjectID, g.UserID = by.ProjectID, by.UserID
	if g, err = a.Store.CreateServerGroup(ctx, g); err != nil {
		return nil, err
	}
	return gateway.JSON(http.StatusOK, map[string]any{"server_group": groupView(g, nil, versionOf(r))}), nil
}

// groupView is the group as Nova shows it in the version.
func groupView(g store.ServerGroup, members []string, v gateway.Microversion) map[string]any {
	if members == nil {
		members = []string{}
	}
	doc := map[string]any{"id": g.ID, "name": g.Name, "members": members}
	if v.AtLeast(2, 64) {
		rules := map[string]int{}
		if g.MaxPerHost > 0 {
			rules["max_server_per_host"] = g.MaxPerHost
		}
		doc["policy"], doc["rules"] = g.Policy, rules
	} else {
		doc["policies"], doc["metadata"] = []string{g.Policy}, struct{}{}
	}
	if v.AtLeast(2, 13) {
		doc["project_id"], doc["user_id"] = g.ProjectID, g.UserID
	}
	return doc
}

// serverGroupOf is our ID of a pod's server group; the pod's if it is not ours.
func (a *api) serverGroupOf(ctx context.Context, podName, podID string) string {
	found, err := a.Store.ListMappings(ctx, store.MappingQuery{Kind: store.KindServerGroup, Pod: podName, PodID: podID, Limit: 1})
	if err != nil || len(found) == 0 {
		return podID
	}
	return found[0].ID
}

// ownServerGroup finds a group of ours that the caller may see.
func (a *api) ownServerGroup(ctx context.Context, by identity.Caller, id string) (store.ServerGroup, error) {
	g, err := a.Store.FindServerGroup(ctx, id)
	if err == nil && g.ProjectID != by.ProjectID && !by.IsAdmin() {
		return store.ServerGroup{}, store.NoServerGroup(id)
	}
	return g, err
}

// showServerGroup is "GET /os-server-groups/{id}".
func (a *api) showServerGroup(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	g, err := a.ownServerGroup(ctx, by, r.Param("id"))
	if fault.Is(err, fault.NotFound) {
		n, answers, err := a.podServerGroup(ctx, by, r.Param("id"), versionOf(r))
		if err != nil {
			return nil, err
		}
		return a.replyFrom(r, n, answers), nil
	}
	if err != nil {
		return nil, err
	}
	members, away, err := a.membersOf(ctx, by, g)
	if err != nil {
		return nil, err
	}
	return gateway.JSON(http.StatusOK, map[string]any{"server_group": groupView(g, members, versionOf(r))}).Without(away...), nil
}

// membersOf asks the group's pod for the servers in it. While the pod is away, its
// name comes back, with the servers that were created in the group through us.
func (a *api) membersOf(ctx context.Context, by identity.Caller, g store.ServerGroup) (members, away []string, err error) {
	if g.Pod == "" {
		return nil, nil, nil
	}
	m, err := a.Store.FindMapping(ctx, store.Target{Kind: store.KindServerGroup, ID: g.ID, Pod: g.Pod})
	if fault.Is(err, fault.NotFound) || err == nil && m.PodID == "" {
		return nil, nil, nil // the first member is on its way
	}
	if err != nil {
		return nil, nil, err
	}
	n := a.ask(ctx, by, g.Pod, question{Method: http.MethodGet, Path: groupPath(m.PodID), Version: minVersion, Op: "show server group"})
	switch {
	case n.Away():
		return g.Members, []string{n.Pod}, nil
	case fault.Is(n.Err, fault.NotFound):
		return nil, nil, nil // deleted there, past us
	}
	return texts(gjson.GetBytes(n.Body, "server_group.members")), nil, n.Err
}

func groupPath(id string) string { return "/os-server-groups/" + url.PathEscape(id) }

func texts(list gjson.Result) []string {
	var all []string
	for _, item := range list.Array() {
		all = append(all, item.String())
	}
	return all
}

// podServerGroup finds a group that was made in a pod directly. Another project's
// is as absent as none, and ours is not known by the ID that it has in its pod.
func (a *api) podServerGroup(ctx context.Context, by identity.Caller, id string, v gateway.Microversion) (answer, []answer, error) {
	answers, err := a.askAll(ctx, by, question{Method: http.MethodGet, Path: groupPath(id), Version: v, Op: "show server group"})
	if err != nil {
		return answer{}, nil, err
	}
	for _, n := range succeeded(answers) {
		if plan.MarkedServerGroup(gjson.GetBytes(n.Body, "server_group.name").Str) == "" {
			return n, answers, nil
		}
	}
	if err := worst(answers); err != nil && !fault.Is(err, fault.NotFound) {
		return answer{}, answers, err
	}
	return answer{}, answers, store.NoServerGroup(id)
}

// deleteServerGroup is "DELETE /os-server-groups/{id}". A job removes ours from
// its pod; its members stay as they are.
func (a *api) deleteServerGroup(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	g, err := a.ownServerGroup(ctx, by, id)
	if err == nil {
		err = a.Store.DeleteServerGroup(ctx, g.ID)
	}
	if err == nil {
		return gateway.Empty(http.StatusNoContent), nil
	}
	if !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	n, answers, err := a.podServerGroup(ctx, by, id, minVersion)
	if err != nil {
		return nil, err
	}
	gone := a.ask(ctx, by, n.Pod, question{Method: http.MethodDelete, Path: groupPath(id), Version: versionOf(r), Op: "delete server group"})
	if gone.Err != nil {
		return nil, gone.Err
	}
	return a.replyFrom(r, gone, answers), nil
}

// listServerGroups is "GET /os-server-groups": ours, the oldest first, then those
// that were made in pods directly, in the order of the pods.
func (a *api) listServerGroups(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	w, err := groupWindowOf(r, by)
	if err != nil {
		return nil, err
	}
	answers, err := a.podServerGroups(ctx, by, versionOf(r), w.all)
	if err != nil {
		return nil, err
	}
	var ours []store.ServerGroup
	if w.all {
		ours, err = a.Store.ListServerGroups(ctx, "")
	} else if by.ProjectID != "" { // empty means all to the store
		ours, err = a.Store.ListServerGroups(ctx, by.ProjectID)
	}
	if err != nil {
		return nil, err
	}
	list := mergeGroups(ours, answers, versionOf(r))
	return a.merged(map[string]any{"server_groups": w.cut(list)}, answers), nil
}

// podServerGroups reads the groups of every pod. That one is away spoils nothing;
// that none answers, and not all for being away, does.
func (a *api) podServerGroups(ctx context.Context, by identity.Caller, v gateway.Microversion, all bool) ([]answer, error) {
	names, err := a.podNames(ctx)
	if err != nil {
		return nil, err
	}
	q := question{Method: http.MethodGet, Path: "/os-server-groups", Query: url.Values{}, Version: v, Op: "list server groups"}
	if all {
		q.Query.Set("all_projects", "true")
	}
	answers := make([]answer, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { answers[i] = a.everyGroup(ctx, by, name, q) })
	}
	wg.Wait()
	if err := worst(answers); len(succeeded(answers)) == 0 && len(missing(answers)) < len(answers) {
		return nil, err
	}
	return answers, nil
}

// everyGroup reads the list of one pod to its end. A page has as many groups as
// the pod's [api] max_limit says; one with fewer than anybody sets it to is the last.
func (a *api) everyGroup(ctx context.Context, by identity.Caller, podName string, q question) answer {
	const shortPage = 50
	var items []string
	for {
		page := q
		page.Query = url.Values{"offset": {strconv.Itoa(len(items))}}
		for k, v := range q.Query {
			page.Query[k] = v
		}
		n := a.ask(ctx, by, podName, page)
		if n.Err != nil {
			return n
		}
		list := gjson.GetBytes(n.Body, "server_groups")
		if !gjson.ValidBytes(n.Body) || !list.IsArray() {
			n.Err = &fault.Error{Kind: fault.Unavailable, Pod: podName, Message: q.Op + ": the answer is not the JSON that was expected"}
			return n
		}
		found := list.Array()
		for _, item := range found {
			items = append(items, item.Raw)
		}
		if len(found) < shortPage {
			n.Body = []byte(`{"server_groups": [` + strings.Join(items, ", ") + `]}`)
			return n
		}
	}
}

// mergeGroups puts the members that pods know of into our groups, and adds the
// pods' own groups.
func mergeGroups(ours []store.ServerGroup, answers []answer, v gateway.Microversion) []json.RawMessage {
	type place struct{ group, pod string }
	live := map[place][]string{}
	away := missing(answers)
	var foreign []json.RawMessage
	for _, n := range succeeded(answers) {
		for _, item := range gjson.GetBytes(n.Body, "server_groups").Array() {
			id := plan.MarkedServerGroup(item.Get("name").Str)
			if id == "" {
				foreign = append(foreign, json.RawMessage(item.Raw))
				continue
			}
			live[place{id, n.Pod}] = texts(item.Get("members"))
		}
	}
	list := make([]json.RawMessage, 0, len(ours)+len(foreign))
	for _, g := range ours {
		members := live[place{g.ID, g.Pod}]
		if slices.Contains(away, g.Pod) {
			members = g.Members
		}
		list = append(list, mustJSON(groupView(g, members, v)))
	}
	return append(list, foreign...)
}

// groupWindow is the part of the list that is asked for.
type groupWindow struct {
	offset, limit int
	all           bool // of all projects
}

// groupWindowOf reads the query. Nova takes the flag from admins alone and lets
// others believe that they have seen all.
func groupWindowOf(r *gateway.Request, by identity.Caller) (w groupWindow, err error) {
	query := r.URL.Query()
	if versionOf(r).AtLeast(2, 75) {
		if err := onlyParameters(query, "all_projects", "limit", "offset"); err != nil {
			return w, err
		}
	}
	if w.limit, err = countOf(query, "limit"); err != nil {
		return w, err
	}
	if w.limit == 0 || w.limit > maxLimit {
		w.limit = maxLimit
	}
	if w.offset, err = countOf(query, "offset"); err != nil {
		return w, err
	}
	w.all = query.Has("all_projects") && by.IsAdmin()
	return w, nil
}

func (w groupWindow) cut(list []json.RawMessage) []json.RawMessage {
	from := min(w.offset, len(list))
	return list[from:min(from+w.limit, len(list))]
}
