package network

import (
	"context"
	"maps"
	"net/netip"

	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

var floatingIPAttributes = tagged(
	attribute{name: "floating_network_id", read: readUUID, required: true, post: true, filter: asIs, sort: true},
	attribute{name: "floating_ip_address", read: readIP, post: true, guard: true, filter: filterIP, sort: true},
	attribute{name: "subnet_id", read: orNothing(readUUID), post: true, see: nobody},
	attribute{name: "port_id", read: orNothing(readUUID), post: true, put: true, filter: asIs},
	attribute{name: "fixed_ip_address", read: readIP, post: true, put: true, filter: filterIP, sort: true},
	qosAttribute,
	attribute{name: "router_id", filter: asIs, sort: true},
	attribute{name: "status", filter: asIs, sort: true},
	attribute{name: "port_details"},
	attribute{name: "port_forwardings"},
)

// orNothing reads null as an empty string.
func orNothing(read reader) reader {
	return func(name string, v any) (any, error) {
		if v == nil {
			return "", nil
		}
		return read(name, v)
	}
}

func (a *api) floatingIPs() *resource[topology.FloatingIP] {
	return &resource[topology.FloatingIP]{
		tags: store.TaggedFloatingIPs, store: a.Store,
		one: "floatingip", many: "floatingips", attributes: floatingIPAttributes, missing: topology.NoFloatingIP,
		list: a.listFloatingIPs, find: a.Store.FindFloatingIP,
		facts: func(f *topology.FloatingIP) map[string]any { return map[string]any{"project_id": f.ProjectID} },
		view:  a.viewFloatingIPs, create: a.createFloatingIPs, update: a.updateFloatingIP,
		remove: func(ctx context.Context, _ identity.Caller, old *topology.FloatingIP, match revision) error {
			return a.Store.DeleteFloatingIP(ctx, old.ID, func(f *topology.FloatingIP) error { return check(match, f.Revision) })
		},
	}
}

// listFloatingIPs lists floating IPs. Where they are selected by status, what their pods
// say must be known before.
func (a *api) listFloatingIPs(ctx context.Context, q store.Query) ([]topology.FloatingIP, error) {
	if a.Pods != nil && len(q.Filters["status"]) > 0 {
		all := q
		all.Filters = maps.Clone(q.Filters)
		delete(all.Filters, "status")
		found, err := a.Store.ListFloatingIPs(ctx, all)
		if err != nil {
			return nil, err
		}
		if err := a.Pods.FreshenFloatingIPs(ctx, found); err != nil {
			return nil, err
		}
	}
	return a.Store.ListFloatingIPs(ctx, q)
}

func (a *api) createFloatingIPs(ctx context.Context, by identity.Caller, all []values) ([]topology.FloatingIP, error) {
	specs := make([]store.FloatingIPSpec, len(all))
	for i, v := range all {
		spec := &specs[i]
		set(v, "project_id", &spec.ProjectID)
		set(v, "description", &spec.Description)
		set(v, "floating_network_id", &spec.NetworkID)
		set(v, "floating_ip_address", &spec.Address)
		set(v, "subnet_id", &spec.SubnetID)
		set(v, "qos_policy_id", &spec.QoSPolicyID)
		if err := a.checkQoS(ctx, by, v, ""); err != nil {
			return nil, err
		}
		err := a.onNetwork(ctx, by, spec.NetworkID, func(*topology.Network) error { return nil })
		if err != nil {
			return nil, err
		}
		if _, err := a.setServed(ctx, by, &spec.FloatingIP, v); err != nil {
			return nil, err
		}
	}
	return a.Store.CreateFloatingIPs(ctx, specs)
}

// setServed takes over which address the floating IP shall serve; false if the
// client left that as it is.
func (a *api) setServed(ctx context.Context, by identity.Caller, f *topology.FloatingIP, v values) (bool, error) {
	port, sent := v["port_id"].(string)
	fixed, _ := v["fixed_ip_address"].(netip.Addr)
	if fixed.IsValid() && port == "" {
		return false, topology.BadFloatingIP("fixed_ip_address cannot be specified without a port_id")
	}
	if !sent && (len(v) > 0 || f.ID == "") {
		return false, nil
	}
	// An update of nothing at all ends the association, as ever.
	f.PortID, f.FixedAddress = port, fixed
	if port == "" {
		return true, nil
	}
	p, err := a.ports().get(ctx, by, port)
	if err != nil {
		return false, err
	}
	if p.ProjectID != f.ProjectID && !by.IsAdmin() {
		return false, topology.BadFloatingIP("Cannot process floating IP association with Port %s, since that port is owned by a different tenant", port)
	}
	return true, nil
}

func (a *api) updateFloatingIP(ctx context.Context, by identity.Caller, old *topology.FloatingIP, v values, match revision) (topology.FloatingIP, error) {
	if err := a.checkQoS(ctx, by, v, ""); err != nil { // who owns it may take any off
		return *old, err
	}
	wanted := *old
	serves, err := a.setServed(ctx, by, &wanted, v)
	if err != nil {
		return wanted, err
	}
	return a.Store.UpdateFloatingIP(ctx, old.ID, func(f *topology.FloatingIP) (bool, error) {
		set(v, "description", &f.Description)
		set(v, "qos_policy_id", &f.QoSPolicyID)
		if serves {
			f.PortID, f.FixedAddress = wanted.PortID, wanted.FixedAddress
		}
		return serves, check(match, f.Revision)
	})
}

func (a *api) viewFloatingIPs(ctx context.Context, _ identity.Caller, all []topology.FloatingIP) ([]map[string]any, error) {
	if a.Pods != nil {
		if err := a.Pods.FreshenFloatingIPs(ctx, all); err != nil {
			return nil, err
		}
	}
	ports, err := a.portsServed(ctx, all)
	if err != nil {
		return nil, err
	}
	forwardings, err := a.forwardingsOf(ctx, all)
	if err != nil {
		return nil, err
	}
	shown := make([]map[string]any, len(all))
	for i, f := range all {
		m := owned(f.ID, f.ProjectID, f.Description, f.CreatedAt, f.UpdatedAt, f.Revision)
		m["floating_network_id"], m["floating_ip_address"], m["status"] = f.NetworkID, f.Address, f.Status
		m["port_id"], m["router_id"], m["fixed_ip_address"], m["port_details"] = orNull(f.PortID), orNull(f.RouterID), nil, nil
		m["qos_policy_id"] = orNull(f.QoSPolicyID)
		m["port_forwardings"] = forwardings[f.ID]
		if f.FixedAddress.IsValid() {
			m["fixed_ip_address"] = f.FixedAddress
		}
		if p, ok := ports[f.PortID]; ok {
			m["port_details"] = map[string]any{
				"name": p.Name, "network_id": p.NetworkID, "mac_address": p.MACAddress, "admin_state_up": p.AdminStateUp,
				"status": p.Status, "device_id": p.DeviceID, "device_owner": p.DeviceOwner,
			}
		}
		shown[i] = m
	}
	return shown, nil
}

func (a *api) portsServed(ctx context.Context, all []topology.FloatingIP) (map[string]topology.Port, error) {
	var ids []string
	for _, f := range all {
		if f.PortID != "" {
			ids = append(ids, f.PortID)
		}
	}
	served := map[string]topology.Port{}
	if len(ids) == 0 {
		return served, nil
	}
	ports, err := a.Store.ListPorts(ctx, store.Query{Filters: map[string][]string{"id": ids}})
	for _, p := range ports {
		served[p.ID] = p
	}
	return served, err
}
