package network

import (
	"cmp"
	"context"
	"encoding/json"
	"net/netip"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

var vnicTypes = readOneOf(nil, topology.VNICNormal, "direct", "macvtap", "baremetal", "direct-physical",
	"virtio-forwarder", "smart-nic", "vdpa", "accelerator-direct", "accelerator-direct-physical", "remote-managed")

var portAttributes = tagged(
	attribute{name: "tags", read: readTexts, post: true, filter: asIs}, // ports alone take them on creation
	attribute{name: "name", read: readText(255), fallback: "", post: true, put: true, filter: asIs, sort: true},
	attribute{name: "network_id", read: readUUID, required: true, post: true, filter: asIs, sort: true},
	attribute{name: "admin_state_up", read: readFlag, fallback: true, post: true, put: true, filter: filterFlag, sort: true},
	attribute{name: "mac_address", read: readMAC, post: true, put: true, guard: true, filter: filterMAC, sort: true},
	attribute{name: "fixed_ips", read: readFixedIPs, post: true, put: true, guard: true, parts: []string{"subnet_id", "ip_address"}, filter: asIs},
	attribute{name: "device_id", read: readText(255), fallback: "", post: true, put: true, filter: asIs, sort: true},
	attribute{name: "device_owner", read: readText(255), fallback: "", post: true, put: true, guard: true, filter: asIs, sort: true},
	attribute{name: "status", filter: asIs, sort: true},
	attribute{name: "port_security_enabled", read: readFlag, post: true, put: true, guard: true},
	attribute{name: "security_groups", read: readUUIDs, post: true, put: true, filter: asIs},
	attribute{name: "allowed_address_pairs", read: readPairs, post: true, put: true, guard: true, parts: []string{"ip_address", "mac_address"}},
	qosAttribute,
	attribute{name: "qos_network_policy_id"},
	attribute{name: "trunk_details"},
	attribute{name: "binding:vnic_type", read: vnicTypes, fallback: topology.VNICNormal, post: true, put: true, guard: true, filter: asIs},
	attribute{name: "binding:host_id", read: readText(255), fallback: "", post: true, put: true, guard: true, filter: asIs},
	attribute{name: "binding:profile", read: readProfile, post: true, put: true, guard: true},
	attribute{name: "binding:vif_type"},
	attribute{name: "binding:vif_details"},
	attribute{name: "extra_dhcp_opts", read: readDHCPOptions, post: true, put: true},
	attribute{name: "numa_affinity_policy", read: readNUMAPolicy, post: true, put: true},
	attribute{name: "device_profile", read: readTextOrNull, post: true},
	attribute{name: "resource_request"},
)

func readFixedIPs(name string, v any) (any, error) {
	elements, ok := v.([]any)
	if !ok {
		return nil, unfit(name, "Invalid data format for fixed IP: '%s'", python(v))
	}
	wants := []topology.WantIP{}
	seen := map[netip.Addr]bool{}
	for _, e := range elements {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, unfit(name, "Invalid data format for fixed IP: '%s'", python(e))
		}
		var w topology.WantIP
		if ip, given := m["ip_address"]; given {
			var reason string
			if w.Address, reason = parseIP(ip); reason != "" {
				return nil, unfit(name, "%s", reason)
			}
			if seen[w.Address] {
				return nil, unfit(name, "Duplicate IP address '%s'", python(ip))
			}
			seen[w.Address] = true
		}
		if id, given := m["subnet_id"]; given {
			if _, err := readUUID(name, id); err != nil {
				return nil, err
			}
			w.SubnetID = id.(string)
		}
		wants = append(wants, w)
	}
	return wants, nil
}

func readPairs(_ string, v any) (any, error) {
	if v == nil {
		return []topology.AddressPair{}, nil
	}
	elements, ok := v.([]any)
	if !ok {
		return nil, badRequest("Allowed address pairs must be a list.")
	}
	pairs := []topology.AddressPair{}
	seen := map[topology.AddressPair]bool{}
	for _, e := range elements {
		p, err := readPair(e)
		if err != nil {
			return nil, err
		}
		if seen[p] {
			shown := p.MACAddress
			if shown == "" {
				shown = "None"
			}
			return nil, fault.New(fault.Invalid, "DuplicateAddressPairInRequest",
				"Request contains duplicate address pair: mac_address %s ip_address %s.", shown, p.IPAddress)
		}
		seen[p] = true
		pairs = append(pairs, p)
	}
	return pairs, nil
}

func readPair(v any) (p topology.AddressPair, err error) {
	m, _ := v.(map[string]any)
	ip, ok := m["ip_address"]
	if !ok {
		return p, fault.New(fault.Invalid, "AllowedAddressPairsMissingIP", "AllowedAddressPair must contain ip_address")
	}
	for name := range m {
		if name != "ip_address" && name != "mac_address" {
			return p, badRequest("Unrecognized attribute(s) '%s'", name)
		}
	}
	if mac, given := m["mac_address"]; given && mac != nil {
		text, _ := mac.(string)
		if p.MACAddress, ok = topology.ParseMAC(text); !ok {
			return p, badRequest("'%s' is not a valid MAC address", python(mac))
		}
	}
	text, _ := ip.(string)
	prefix, err := topology.ParsePrefix(text)
	if err != nil {
		kind := "IP address"
		if strings.Contains(text, "/") {
			kind = "IP subnet"
		}
		return p, badRequest("'%s' is not a valid %s", python(ip), kind)
	}
	p.IPAddress = prefix.String()
	if !strings.Contains(text, "/") {
		p.IPAddress = prefix.Addr().String()
	}
	return p, nil
}

func readProfile(name string, v any) (any, error) {
	if v == nil {
		return map[string]any{}, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, unfit(name, "'%s' is not a dictionary", python(v))
	}
	if text, _ := json.Marshal(m); len(text) > profileLimit {
		return nil, invalidInput("binding:profile value too large")
	}
	return plain(m), nil
}

// profileLimit is Neutron's.
const profileLimit = 4095

// readNUMAPolicy reads a policy; null is none.
func readNUMAPolicy(name string, v any) (any, error) {
	if v == nil {
		return "", nil
	}
	return readOneOf(nil, "required", "preferred", "legacy")(name, v)
}

func (a *api) ports() *resource[topology.Port] {
	return &resource[topology.Port]{
		tags: store.TaggedPorts, store: a.Store,
		one: "port", many: "ports", attributes: portAttributes, missing: topology.NoPort,
		list: a.listPorts,
		find: a.Store.FindPort,
		facts: func(p *topology.Port) map[string]any {
			return map[string]any{"project_id": p.ProjectID, "network_id": p.NetworkID, "device_owner": p.DeviceOwner}
		},
		belongs: a.parentsOf,
		view:    a.viewPorts, create: a.createPorts, update: a.updatePort, remove: a.deletePort,
	}
}

// listPorts lists ports. Where they are selected by what the pods say of them, that
// must be known before.
func (a *api) listPorts(ctx context.Context, q store.Query) ([]topology.Port, error) {
	if a.Pods != nil && len(q.Filters["status"])+len(q.Filters["binding:host_id"]) > 0 {
		if err := a.Pods.FreshenMoving(ctx, q.ProjectID); err != nil {
			return nil, err
		}
	}
	return a.Store.ListPorts(ctx, q)
}

func (a *api) createPorts(ctx context.Context, by identity.Caller, all []values) ([]topology.Port, error) {
	specs, places := make([]topology.PortSpec, len(all)), make([]placement, len(all))
	for i, v := range all {
		spec := &specs[i]
		set(v, "project_id", &spec.ProjectID)
		set(v, "network_id", &spec.NetworkID)
		err := a.onNetwork(ctx, by, spec.NetworkID, func(n *topology.Network) error {
			if !trusted(by) && by.ProjectID != n.ProjectID && !n.Shared { // an external network: all see it, few attach to it
				return fault.New(fault.Forbidden, "HTTPForbidden", "Tenant %s not allowed to create port on this network", spec.ProjectID)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if places[i], err = a.place(ctx, v, true); err != nil {
			return nil, err
		}
		setPort(spec, v)
		places[i].bind(&spec.Port, v)
		if err := a.checkDevice(ctx, by, spec.DeviceID); err != nil {
			return nil, err
		}
		if err := a.checkSubnets(ctx, by, spec); err != nil {
			return nil, err
		}
		if err := a.checkGroups(ctx, by, spec); err != nil {
			return nil, err
		}
		if err := a.checkQoS(ctx, by, v, ""); err != nil {
			return nil, err
		}
	}
	made, err := a.Store.CreatePorts(ctx, specs)
	for i := range made {
		a.bringTo(ctx, places[i], &made[i])
	}
	return made, err
}

// setPort takes over what may also be changed later.
func setPort(spec *topology.PortSpec, v values) {
	set(v, "name", &spec.Name)
	set(v, "description", &spec.Description)
	set(v, "admin_state_up", &spec.AdminStateUp)
	set(v, "mac_address", &spec.MACAddress)
	set(v, "device_id", &spec.DeviceID)
	set(v, "device_owner", &spec.DeviceOwner)
	set(v, "binding:vnic_type", &spec.VNICType)
	set(v, "tags", &spec.Tags)
	set(v, "allowed_address_pairs", &spec.AllowedAddressPairs)
	set(v, "fixed_ips", &spec.WantIPs)
	set(v, "security_groups", &spec.WantGroups)
	set(v, "qos_policy_id", &spec.QoSPolicyID)
	set(v, "extra_dhcp_opts", &spec.WantOptions)
	set(v, "numa_affinity_policy", &spec.NUMAPolicy)
	set(v, "device_profile", &spec.DeviceProfile)
	if security, sent := v["port_security_enabled"].(bool); sent {
		spec.WantSecurity = &security
	}
}

// checkDevice keeps a port from passing for an interface of somebody else's router.
func (a *api) checkDevice(ctx context.Context, by identity.Caller, id string) error {
	if id == "" || by.IsAdmin() {
		return nil
	}
	r, err := a.Store.FindRouter(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err == nil && !mine(by, r.ProjectID):
		return fault.New(fault.Conflict, "DeviceIDNotOwnedByTenant",
			"The following device_id %s is not owned by your tenant or matches another tenants router.", id)
	}
	return err
}

// checkSubnets hides the subnets that the caller does not see. Those that he sees
// but that are of another network are for the store to refuse.
func (a *api) checkSubnets(ctx context.Context, by identity.Caller, spec *topology.PortSpec) error {
	if by.IsAdmin() {
		return nil
	}
	for _, w := range spec.WantIPs {
		if w.SubnetID == "" {
			continue
		}
		seen, err := a.Store.ListSubnets(ctx, store.Query{Filters: map[string][]string{"id": {w.SubnetID}}, ProjectID: by.ProjectID})
		if err != nil {
			return err
		}
		if len(seen) == 0 {
			return topology.NoSubnet(w.SubnetID)
		}
	}
	return nil
}

// checkGroups refuses groups that the port's project does not have, nor is given.
func (a *api) checkGroups(ctx context.Context, by identity.Caller, spec *topology.PortSpec) error {
	if spec.WantSecurity != nil && !*spec.WantSecurity {
		return nil // refused whatever they are
	}
	for _, id := range spec.WantGroups {
		q := store.Query{Filters: map[string][]string{"id": {id}}, ProjectID: spec.ProjectID}
		if by.IsAdmin() {
			q.ProjectID = ""
		}
		usable, err := a.Store.ListSecurityGroups(ctx, q)
		if err != nil {
			return err
		}
		if len(usable) == 0 {
			return topology.NoSecurityGroup(id)
		}
	}
	return nil
}

func (a *api) updatePort(ctx context.Context, by identity.Caller, old *topology.Port, v values, match revision) (topology.Port, error) {
	place, err := a.place(ctx, v, false)
	if err == nil {
		err = a.movable(ctx, place, old, v)
	}
	if err != nil {
		return topology.Port{}, err
	}
	spec := topology.PortSpec{Port: *old}
	setPort(&spec, v)
	if err := a.checkDevice(ctx, by, spec.DeviceID); err != nil {
		return topology.Port{}, err
	}
	if err := a.checkSubnets(ctx, by, &spec); err != nil {
		return topology.Port{}, err
	}
	if err := a.checkGroups(ctx, by, &spec); err != nil {
		return topology.Port{}, err
	}
	if err := a.checkQoS(ctx, by, v, old.QoSPolicyID); err != nil {
		return topology.Port{}, err
	}
	made, err := a.Store.UpdatePort(ctx, old.ID, func(spec *topology.PortSpec) error {
		if err := check(match, spec.Revision); err != nil {
			return err
		}
		if _, sent := v["numa_affinity_policy"]; sent && spec.Bound() {
			return fault.New(fault.Conflict, "PortBoundNUMAAffinityPolicy", "Unable to complete operation on port %s, port is already bound to host %s "+
				"and NUMA affinity policy cannot be changed.", spec.ID, spec.Host)
		}
		releaseCard(&spec.Port, v)
		setPort(spec, v)
		place.bind(&spec.Port, v)
		return nil
	})
	if err == nil {
		a.bringTo(ctx, place, &made)
	}
	return made, err
}

// releaseCard gives a port a MAC address of its own again when it no longer has a
// whole network card: the card's goes to the next port.
func releaseCard(p *topology.Port, v values) {
	device, sent := v["device_id"]
	if sent && device == "" && v["device_owner"] == "" && p.DeviceID != "" && p.VNICType == topology.VNICDirectPhysical {
		p.MACAddress = ""
	}
}

// serving says that ports with this owner go with what they serve, never by
// themselves.
func serving(owner string) bool {
	return topology.IsRouterPort(owner) || owner == topology.OwnerFloatingIP
}

// deletePort also takes the port from a server that has it: Nova detaches it.
// The pods' own DHCP ports go with their network.
func (a *api) deletePort(ctx context.Context, _ identity.Caller, old *topology.Port, match revision) error {
	return a.Store.DeletePort(ctx, old.ID, func(p *topology.Port) error {
		if p.Pod != "" {
			return fault.New(fault.Conflict, "ServicePortInUse",
				"Port %s cannot be deleted directly via the port API: it serves DHCP in pod %s.", p.ID, p.Pod)
		}
		if p.DeviceID != "" && serving(p.DeviceOwner) {
			return fault.New(fault.Conflict, "ServicePortInUse",
				"Port %s cannot be deleted directly via the port API: has device owner %s.", p.ID, p.DeviceOwner)
		}
		return check(match, p.Revision)
	})
}

func (a *api) viewPorts(ctx context.Context, _ identity.Caller, all []topology.Port) ([]map[string]any, error) {
	if a.Pods != nil {
		if err := a.Pods.Freshen(ctx, all); err != nil {
			return nil, err
		}
	}
	shown := make([]map[string]any, len(all))
	for i, p := range all {
		m := owned(p.ID, p.ProjectID, p.Description, p.CreatedAt, p.UpdatedAt, p.Revision)
		m["name"], m["network_id"], m["admin_state_up"] = p.Name, p.NetworkID, p.AdminStateUp
		m["mac_address"], m["fixed_ips"], m["status"] = p.MACAddress, p.FixedIPs, p.Status
		m["device_id"], m["device_owner"] = p.DeviceID, p.DeviceOwner
		m["port_security_enabled"], m["security_groups"] = p.PortSecurityEnabled, p.SecurityGroups
		m["allowed_address_pairs"], m["binding:vnic_type"] = p.AllowedAddressPairs, p.VNICType
		m["qos_policy_id"], m["qos_network_policy_id"] = orNull(p.QoSPolicyID), orNull(p.QoSNetworkPolicyID)
		m["binding:host_id"], m["binding:vif_type"] = p.Host, p.VIFType
		m["binding:profile"], m["binding:vif_details"] = p.Profile, p.VIFDetails
		m["extra_dhcp_opts"], m["resource_request"] = p.DHCPOptions, nil
		if request, err := a.requestOf(ctx, &p); err != nil {
			return nil, err
		} else if request != nil {
			m["resource_request"] = request
		}
		if p.NUMAPolicy != "" {
			m["numa_affinity_policy"] = p.NUMAPolicy
		}
		if p.DeviceProfile != "" {
			m["device_profile"] = p.DeviceProfile
		}
		shown[i] = m
	}
	return shown, a.addTrunks(ctx, shown)
}

// requestOf is what the port needs of its host, for the Nova that asks; nil is
// nothing. Few ports have guarantees, so they are looked at one by one.
func (a *api) requestOf(ctx context.Context, p *topology.Port) (*topology.ResourceRequest, error) {
	id := cmp.Or(p.QoSPolicyID, p.QoSNetworkPolicyID)
	if id == "" {
		return nil, nil
	}
	policy, err := a.Store.QoSPolicies().Find(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return nil, nil // gone at this moment
	}
	if err != nil {
		return nil, err
	}
	n, err := a.Store.FindNetwork(ctx, p.NetworkID)
	return p.Request(policy.Rules, n.PhysicalNetwork), err
}
