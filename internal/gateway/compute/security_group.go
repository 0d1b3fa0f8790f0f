package compute

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// changeGroups serves addSecurityGroup and removeSecurityGroup. The groups of a
// server are those of its ports, which are ours: the pod only follows.
func (a *api) changeGroups(ctx context.Context, by identity.Caller, r *gateway.Request, podName, action string) (*gateway.Reply, error) {
	if _, err := a.ownServer(ctx, by, r); err != nil {
		return nil, err
	}
	name, err := groupNamed(r, action)
	if err != nil {
		return nil, err
	}
	group, err := a.namedGroup(ctx, by, name)
	if err != nil {
		return nil, err
	}
	id := r.Param("id")
	ports, err := a.Store.PortsByDevice(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(ports) == 0 {
		return nil, fault.New(fault.NotFound, "", "instance_id %s could not be found as device id on any ports", id)
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
		return nil, fault.New(fault.NotFound, "", "Security group %s not associated with the instance %s", name, id)
	}
	return gateway.Empty(http.StatusAccepted), nil
}

// groupNamed reads the name of a group out of an action's body.
func groupNamed(r *gateway.Request, action string) (string, error) {
	body, err := r.Bytes()
	if err != nil {
		return "", err
	}
	asked := gjson.GetBytes(body, action)
	name := asked.Get("name")
	switch {
	case !asked.IsObject():
		return "", fault.New(fault.Invalid, "", "Missing parameter dict")
	case !name.Exists():
		return "", fault.New(fault.Invalid, "", "Security group not specified")
	case strings.TrimSpace(name.String()) == "":
		return "", fault.New(fault.Invalid, "", "Security group name cannot be empty")
	}
	return name.String(), nil
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
		return "", fault.New(fault.NotFound, "", "Security group %s is not found for project %s", name, by.ProjectID)
	}
	return id, err
}

// changePortGroups adds the group to a port, or takes it off, and waits until the
// pod has the change.
func (a *api) changePortGroups(ctx context.Context, p topology.Port, podName, group string, add bool) (bool, error) {
	switch {
	case add && (!p.PortSecurityEnabled || len(p.FixedIPs) == 0):
		return false, fault.New(fault.Invalid, "", "Network requires port_security_enabled and subnet associated in order to apply security groups.")
	case add && slices.Contains(p.SecurityGroups, group): // Nova lets Neutron say so
		return false, fault.New(fault.Invalid, "", "Invalid input for security_groups. Reason: Duplicate items in the list: '%s'.", group)
	case !add && !slices.Contains(p.SecurityGroups, group):
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
