package compute

import (
	"context"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
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
		{Name: "createImage", Strategy: gateway.Routed, Handle: a.onServer(a.snapshot), Note: "the image is in the server's pod"},
		{Name: "createBackup", Strategy: gateway.Routed, Handle: a.onServer(a.snapshot), Note: "the image is in the server's pod"},
		{Name: "forceDelete", Strategy: gateway.Routed, Handle: a.onServer(a.forceDelete)},
		{Name: "restore", Strategy: gateway.Routed, Handle: a.onServer(a.restore)},
		{Name: "addSecurityGroup", Strategy: gateway.Central, Handle: a.onServer(a.addGroup)},
		{Name: "removeSecurityGroup", Strategy: gateway.Central, Handle: a.onServer(a.removeGroup)},
		{Name: "addFixedIp", Strategy: gateway.Refused, Handle: a.onServer(a.refuseFixedIP), Note: useNetwork},
		{Name: "removeFixedIp", Strategy: gateway.Refused, Handle: a.onServer(a.refuseFixedIP), Note: useNetwork},
	}
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
	resize confirmResize revertResize rescue unrescue shelve shelveOffload
	changePassword trigger_crash_dump os-resetState injectNetworkInfo resetNetwork
	os-getConsoleOutput os-getVNCConsole os-getSPICEConsole os-getRDPConsole os-getSerialConsole
	addFloatingIp removeFloatingIp
`

// act is "POST /servers/{id}/action". An action that has no line is the pod's to
// know or to refuse.
func (a *api) act(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	name := actionName(body)
	i := slices.IndexFunc(r.Route.Actions, func(x gateway.Action) bool { return x.Name == name })
	if i < 0 {
		return a.routed(ctx, by, r)
	}
	return r.Route.Actions[i].Handle(ctx, by, r)
}

// actionName is the only key of an action's body; empty if there is not one.
func actionName(body []byte) (name string) {
	if !gjson.ValidBytes(body) {
		return ""
	}
	gjson.ParseBytes(body).ForEach(func(k, _ gjson.Result) bool {
		name = k.Str
		return true // Python's last key wins, and Nova refuses two different ones
	})
	return name
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

func (a *api) refuseFixedIP(_ context.Context, _ identity.Caller, r *gateway.Request, _ string) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	return nil, fault.New(fault.Refused, "", "%s is not offered in this region: the addresses of a port are changed in the Network API, and interfaces by os-interface.", actionName(body))
}

// forceDelete and restore keep our idea of whether the server is wanted in step.
func (a *api) forceDelete(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	reply, err := a.pass(ctx, by, r, podName)
	if err == nil && reply.Status < 300 {
		a.unwant(ctx, r.Param("id"))
	}
	return reply, err
}

func (a *api) restore(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	reply, err := a.pass(ctx, by, r, podName)
	if err != nil || reply.Status >= 300 {
		return reply, err
	}
	id := r.Param("id")
	if _, err := a.Store.Want(ctx, by.ProjectID, store.Target{Kind: store.KindServer, ID: id, Pod: podName}); err != nil {
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
