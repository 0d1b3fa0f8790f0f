package compute

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// changeGroups serves addSecurityGroup and removeSecurityGroup. The groups of a
// server are those of its ports, which are ours: the pod only follows.
func (a *api) changeGroups(ctx context.Context, by identity.Caller, r *gateway.Request, podName, action string) (*gateway.Reply, error) {
	var body map[string]struct {
		Name string `json:"name"`
	}
	if err := r.JSON(&body); err != nil || body[action].Name == "" {
		return nil, fault.New(fault.Invalid, "", "Invalid input for field/attribute %s. 'name' is a required property", action)
	}
	if _, err := a.ownServer(ctx, by, r); err != nil {
		return nil, err
	}
	group, err := a.namedGroup(ctx, by, body[action].Name)
	if err != nil {
		return nil, err
	}
	id := r.Param("id")
	ports, err := a.Store.PortsByDevice(ctx, id)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	changed := false
	for _, p := range ports {
		did, err := a.changePortGroups(ctx, p, podName, group, action == "addSecurityGroup")
		if err != nil {
			return nil, err
		}
		changed = changed || did
	}
	if !changed && action == "removeSecurityGroup" {
		return nil, fault.New(fault.NotFound, "", "Security group %s not associated with the instance %s", body[action].Name, id)
	}
	return gateway.Empty(http.StatusAccepted), nil
}

// namedGroup finds a group of the caller's project by name or ID; absent is 404
// here, unlike in a creation.
func (a *api) namedGroup(ctx context.Context, by identity.Caller, name string) (string, error) {
	if _, err := a.Store.EnsureDefaultGroup(ctx, by.ProjectID); err != nil {
		return "", err
	}
	groups, err := a.Store.ListSecurityGroups(ctx, store.Query{ProjectID: by.ProjectID})
	if err != nil {
		return "", err
	}
	id, err := pickGroup(groups, name)
	if fault.Is(err, fault.Invalid) {
		return "", fault.New(fault.NotFound, "", "Security group %s not found for project %s.", name, by.ProjectID)
	}
	return id, err
}

// changePortGroups adds the group to a port, or takes it off, and waits until the
// pod has the change.
func (a *api) changePortGroups(ctx context.Context, p topology.Port, podName, group string, add bool) (bool, error) {
	if !p.PortSecurityEnabled || slices.Contains(p.SecurityGroups, group) == add {
		return false, nil
	}
	_, err := a.Store.UpdatePort(ctx, p.ID, func(p *topology.PortSpec) error {
		groups := slices.DeleteFunc(slices.Clone(p.SecurityGroups), func(g string) bool { return g == group })
		if add {
			groups = append(groups, group)
		}
		p.WantGroups = groups
		return nil
	})
	if err != nil {
		return false, err
	}
	return true, a.Reconciler.Ensure(ctx, store.Target{Kind: store.KindPort, ID: p.ID, Pod: podName}, nil)
}

// serverGroups is "GET /servers/{id}/os-security-groups", in Nova's old form.
func (a *api) serverGroups(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if _, err := a.ownServer(ctx, by, r); err != nil {
		return nil, err
	}
	return a.doors.ServerGroups(ctx, by, r.Param("id"))
}
