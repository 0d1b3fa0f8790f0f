package legacy

import (
	"context"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// The fields of nova-network that a network no longer has: they stay, as null.
var (
	emptyFields = []string{"cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6"}
	adminFields = []string{
		"created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address", "vpn_public_port",
		"vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface", "multi_host", "priority", "rxtx_base", "mtu",
		"dhcp_server", "enable_dhcp", "share_address",
	}
)

type networkView func(by identity.Caller, n gjson.Result) object

// networkOfNova is a network as /os-networks shows it.
func networkOfNova(by identity.Caller, n gjson.Result) object {
	shown := object{"id": raw(n.Get("id")), "label": raw(n.Get("name"))}
	for _, name := range emptyFields {
		shown[name] = nil
	}
	if by.IsAdmin() {
		for _, name := range adminFields {
			shown[name] = nil
		}
	}
	return shown
}

// tenantNetwork is a network as /os-tenant-networks shows it: its "cidr" is the
// word None, which clients have come to expect.
func tenantNetwork(_ identity.Caller, n gjson.Result) object {
	return object{"id": raw(n.Get("id")), "cidr": "None", "label": raw(n.Get("name"))}
}

func (d *Doors) listNetworks(view networkView) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
		s, err := d.ask(ctx, by, http.MethodGet, networks+"networks", nil)
		if err != nil {
			return nil, err
		}
		if !s.ok() {
			return nil, s.fault()
		}
		shown := []object{}
		for _, n := range s.get("networks").Array() {
			shown = append(shown, view(by, n))
		}
		return reply(http.StatusOK, object{"networks": shown}), nil
	}
}

func (d *Doors) showNetwork(view networkView) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		s, err := d.ask(ctx, by, http.MethodGet, below(networks+"networks", r.Param("id")), nil)
		switch {
		case err != nil:
			return nil, err
		case s.Status == http.StatusNotFound:
			return nil, notFound("Network not found")
		case !s.ok():
			return nil, s.fault()
		}
		return reply(http.StatusOK, object{"network": view(by, s.get("network"))}), nil
	}
}
