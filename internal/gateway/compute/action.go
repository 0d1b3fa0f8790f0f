package compute

import (
	"context"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/compute/legacy"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// serverActions are what "POST /servers/{id}/action" knows by name.
func (a *api) serverActions() []gateway.Action {
	actions := []gateway.Action{
		{Name: "rebuild", Strategy: gateway.Routed, Handle: a.onServer(a.rebuild)},
		{Name: "unshelve", Strategy: gateway.Routed, Handle: a.onServer(a.unshelve), Note: "a zone named must be the server's own"},
		{Name: "migrate", Strategy: gateway.Routed, Handle: a.onServer(a.toHost("migrate")), Note: withinPod},
		{Name: "os-migrateLive", Strategy: gateway.Routed, Handle: a.onServer(a.toHost("os-migrateLive")), Note: withinPod},
		{Name: "evacuate", Strategy: gateway.Routed, Handle: a.onServer(a.toHost("evacuate")), Note: withinPod},
		{Name: "resize", Strategy: gateway.Routed, Handle: a.onServer(a.resize), Note: "counts against the region's quota"},
		{Name: "createImage", Strategy: gateway.Routed, Handle: a.onServer(a.snapshot), Note: "the image is in the server's pod"},
		{Name: "createBackup", Strategy: gateway.Routed, Handle: a.onServer(a.snapshot), Note: "the image is in the server's pod"},
		{Name: "forceDelete", Strategy: gateway.Routed, Handle: a.onServer(a.forceDelete)},
		{Name: "restore", Strategy: gateway.Routed, Handle: a.onServer(a.restore)},
		{Name: "addSecurityGroup", Strategy: gateway.Central, Handle: a.onServer(a.addGroup)},
		{Name: "removeSecurityGroup", Strategy: gateway.Central, Handle: a.onServer(a.removeGroup)},
		{Name: "addFixedIp", Strategy: gateway.Central, Handle: legacy.Until(legacy.LastAddress, a.onServer(a.changeAddresses(a.doors.AddFixedIP)))},
		{Name: "removeFixedIp", Strategy: gateway.Central, Handle: legacy.Until(legacy.LastAddress, a.onServer(a.changeAddresses(a.doors.RemoveFixedIP)))},
		{Name: "addFloatingIp", Strategy: gateway.Proxied, Handle: legacy.Until(legacy.LastAddress, a.onOwnServer(a.doors.AddFloatingIP)), Note: legacy.Network},
		{Name: "removeFloatingIp", Strategy: gateway.Proxied, Handle: legacy.Until(legacy.LastAddress, a.onOwnServer(a.doors.RemoveFloatingIP)), Note: legacy.Network},
	}
	actions = append(actions, legacy.GoneActions()...)
	for name := range strings.FieldsSeq(routedActions) {
		actions = append(actions, gateway.Action{Name: name, Strategy: gateway.Routed, Handle: a.onServer(a.pass)})
	}
	return actions
}

// withinPod is what all moves of a server have in common.
const withinPod = "within the server's pod"

// routedActions concern the server's pod alone.
const routedActions = `
	os-start os-stop reboot pause unpause suspend resume lock unlock
	confirmResize revertResize rescue unrescue shelve shelveOffload
	changePassword trigger_crash_dump os-resetState injectNetworkInfo
	os-getConsoleOutput os-getVNCConsole os-getSPICEConsole os-getRDPConsole os-getSerialConsole
`

// act is "POST /servers/{id}/action". An action that has no line is the pod's to
// know or to refuse.
func (a *api) act(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	name, err := legacy.ActionName(body)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(r.Route.Actions, func(x gateway.Action) bool { return x.Name == name }); i >= 0 {
		return r.Route.Actions[i].Handle(ctx, by, r)
	}
	reply, err := a.routed(ctx, by, r)
	if fault.Is(err, fault.NotFound) {
		err = legacy.NoAction(name) // whose server it is does not matter
	}
	return reply, err
}

// onServer is a handler for what is done where the server is.
func (a *api) onServer(do func(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error)) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		podName, err := a.serverPod(ctx, by, r.Param("id"))
		if err != nil {
			return nil, err
		}
		return do(ctx, by, r, podName)
	}
}

// forceDelete and restore keep our idea of whether the server is wanted in step.
func (a *api) forceDelete(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	reply, err := a.pass(ctx, by, r, podName)
	if err == nil && reply.Status < 300 {
		a.unwant(ctx, r.Param("id"))
	}
	return reply, err
}

// A server that was kept back after its deletion does not count until it is
// restored.
func (a *api) restore(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	id := r.Param("id")
	target := store.Target{Kind: store.KindServer, ID: id, Pod: podName}
	if m, err := a.Store.FindMapping(ctx, target); err == nil && (m.ProjectID == by.ProjectID || by.IsAdmin()) {
		if err := a.Store.AdmitRestore(ctx, target); err != nil {
			return nil, err
		}
	}
	reply, err := a.pass(ctx, by, r, podName)
	if err != nil || reply.Status >= 300 {
		return reply, err // if it stays deleted, the job of the deletion notes that again
	}
	if _, err := a.Store.Want(ctx, by.ProjectID, target); err != nil {
		a.Log.ErrorContext(ctx, "cannot record that a server is restored", "server", id, "error", err)
	}
	return reply, nil
}

func (a *api) addGroup(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	return a.changeGroups(ctx, by, r, podName, "addSecurityGroup")
}

func (a *api) removeGroup(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	return a.changeGroups(ctx, by, r, podName, "removeSecurityGroup")
}
