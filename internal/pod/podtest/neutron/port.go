package neutron

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// Device owners and IDs with a meaning.
const (
	ownerDHCP     = "network:dhcp"
	reservedDHCP  = "reserved_dhcp_port"
	routerOwner   = "network:router_interface"
	statusActive  = "ACTIVE"
	statusDown    = "DOWN"
	vifUnbound    = "unbound"
	bindingHost   = "binding:host_id"
	bindingVIF    = "binding:vif_type"
	bindingDetail = "binding:vif_details"
)

func (s *Server) portKind() *resource {
	return &resource{
		server: s, path: "ports", single: "port", plural: "ports", store: &s.ports,
		attrs: standard(map[string]attribute{
			"name":                    {post: true, put: true, kind: "string"},
			"network_id":              {post: true, required: true, kind: "uuid"},
			"admin_state_up":          {post: true, put: true, kind: "bool"},
			"mac_address":             {post: true, put: true, kind: "mac"},
			"fixed_ips":               {post: true, put: true, kind: "list"},
			"device_id":               {post: true, put: true, kind: "string"},
			"device_owner":            {post: true, put: true, kind: "string"},
			"security_groups":         {post: true, put: true, kind: "list", null: true},
			"port_security_enabled":   {post: true, put: true, kind: "bool"},
			"allowed_address_pairs":   {post: true, put: true, kind: "list", null: true},
			"extra_dhcp_opts":         {post: true, put: true},
			"binding:vnic_type":       {post: true, put: true, values: []string{"normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder", "smart-nic", "accelerator-direct", "accelerator-direct-physical", "vdpa", "remote-managed"}},
			bindingHost:               {post: true, put: true, admin: true, hidden: true, kind: "string", null: true},
			"binding:profile":         {post: true, put: true, admin: true, hidden: true, kind: "dict", null: true},
			bindingVIF:                {hidden: true},
			bindingDetail:             {hidden: true},
			"resource_request":        {hidden: true},
			"qos_policy_id":           {post: true, put: true},
			"qos_network_policy_id":   {},
			"dns_name":                {post: true, put: true},
			"propagate_uplink_status": {post: true},
			"numa_affinity_policy":    {post: true, put: true},
			"device_profile":          {post: true},
		}),
		visible: s.seesPort,
		missing: func(id string) error { return missing("Port", id) },
		make:    s.makePort, change: s.changePort, drop: s.dropPort,
	}
}

// seesPort: one's own ports, and all on one's own networks.
func (s *Server) seesPort(c rest.Caller, d rest.Doc) bool {
	if c.Sees(d["project_id"]) {
		return true
	}
	network := s.networks.Find(rest.Str(d, "network_id"))
	return network != nil && network["project_id"] == c.ProjectID
}

func (s *Server) makePort(c rest.Caller, in rest.Doc) (rest.Doc, error) {
	network := s.networks.Find(rest.Str(in, "network_id"))
	if network == nil || !s.seesNetwork(c, network) {
		return nil, missing("Network", rest.Str(in, "network_id"))
	}
	if err := onlyOwner(c, network, in); err != nil {
		return nil, err
	}
	if err := s.namesPolicy(c, in); err != nil {
		return nil, err
	}
	if err := s.within("port", rest.Str(in, "project_id")); err != nil {
		return nil, err
	}
	d := rest.Doc{
		"id": uuid.NewString(), "name": "", "network_id": network["id"], "admin_state_up": true, "status": statusDown,
		"device_id": "", "device_owner": "", "description": "", "fixed_ips": []rest.Doc{}, "allowed_address_pairs": []rest.Doc{},
		"extra_dhcp_opts": []any{}, "binding:vnic_type": "normal", "binding:profile": rest.Doc{}, bindingHost: "",
		bindingVIF: vifUnbound, bindingDetail: rest.Doc{}, "resource_request": nil, "qos_policy_id": nil,
		"qos_network_policy_id": network["qos_policy_id"],
	}
	copyIn(d, in, "name", "admin_state_up", "device_id", "device_owner", "description", "binding:vnic_type", "binding:profile", "numa_affinity_policy", "device_profile", "dns_name", "qos_policy_id")
	d["extra_dhcp_opts"] = dhcpOptions(nil, rest.Docs(in, "extra_dhcp_opts"))
	var err error
	if d["mac_address"], err = s.mac(network, rest.Str(in, "mac_address"), ""); err != nil {
		return nil, err
	}
	if err := s.protect(c, network, d, in); err != nil {
		return nil, err
	}
	if d["fixed_ips"], err = s.addresses(c, network, in, rest.Str(d, "mac_address")); err != nil {
		return nil, err
	}
	if err := secured(d, true); err != nil {
		return nil, err
	}
	s.bind(d, rest.Str(in, bindingHost))
	return d, nil
}

// onlyOwner refuses what only the network's owner may choose.
func onlyOwner(c rest.Caller, network, in rest.Doc) error {
	if c.Sees(network["project_id"]) {
		return nil
	}
	for _, name := range []string{"mac_address", "device_owner"} {
		v := rest.Str(in, name)
		if v != "" && (name == "mac_address" || strings.HasPrefix(v, "network:")) {
			return denied(fmt.Sprintf("(rule:create_port and rule:create_port:%s)", name))
		}
	}
	for _, ip := range rest.Docs(in, "fixed_ips") {
		if rest.Str(ip, "ip_address") != "" {
			return denied("(rule:create_port and (rule:create_port:fixed_ips and rule:create_port:fixed_ips:ip_address))")
		}
	}
	return nil
}

// mac checks a wanted address, or makes one.
func (s *Server) mac(network rest.Doc, want, self string) (string, error) {
	used := func(mac string) bool {
		return slices.ContainsFunc(s.portsOf(rest.Str(network, "id")), func(p rest.Doc) bool {
			return p["id"] != self && strings.EqualFold(rest.Str(p, "mac_address"), mac)
		})
	}
	if want != "" {
		if used(want) {
			return "", conflict("MacAddressInUse", "Unable to complete operation for network %s. The mac address %s is in use.", network["id"], want)
		}
		return want, nil
	}
	for {
		var b [3]byte
		_, _ = rand.Read(b[:]) // never fails
		if mac := fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", b[0], b[1], b[2]); !used(mac) {
			return mac, nil
		}
	}
}

// trusted ports belong to Neutron's own devices: no security there.
func trusted(d rest.Doc) bool {
	owner := rest.Str(d, "device_owner")
	return strings.HasPrefix(owner, "network:") || strings.HasPrefix(owner, "neutron:")
}

// protect settles port security, groups and address pairs of a new port.
func (s *Server) protect(c rest.Caller, network, d, in rest.Doc) error {
	security := rest.Bool(network, "port_security_enabled") && !trusted(d)
	if v, ok := in["port_security_enabled"].(bool); ok {
		security = v
	}
	d["port_security_enabled"] = security
	d["security_groups"] = []string{}
	if groups, given := in["security_groups"]; given && groups != nil {
		ids, err := s.groupIDs(c, groups)
		if err != nil {
			return err
		}
		d["security_groups"] = ids
	} else if security {
		d["security_groups"] = []string{s.EnsureDefaultGroup(rest.Str(in, "project_id"))}
	}
	pairs, err := addressPairs(in, rest.Str(d, "mac_address"))
	if pairs != nil {
		d["allowed_address_pairs"] = pairs
	}
	return err
}

// secured refuses groups and pairs on a port without security.
func secured(d rest.Doc, create bool) error {
	if rest.Bool(d, "port_security_enabled") {
		return nil
	}
	if len(rest.Strings(d, "security_groups")) > 0 {
		if create {
			return conflict("PortSecurityAndIPRequiredForSecurityGroups", "Port security must be enabled and port must have an IP address in order to use security groups.")
		}
		return conflict("PortSecurityPortHasSecurityGroup", "Port has security group associated. Cannot disable port security or IP address until security group is removed.")
	}
	if len(rest.Docs(d, "allowed_address_pairs")) > 0 {
		return conflict("AddressPairAndPortSecurityRequired", "Port Security must be enabled in order to have allowed address pairs on a port.")
	}
	return nil
}

func (s *Server) groupIDs(c rest.Caller, list any) ([]string, error) {
	ids := rest.Strings(rest.Doc{"l": list}, "l")
	for _, id := range ids {
		if !isUUID(id) {
			return nil, badRequest("Invalid input for security_groups. Reason: '%s' is not a valid UUID.", id)
		}
		if g := s.groups.Find(id); g == nil || !c.Sees(g["project_id"]) {
			return nil, rest.Errorf(404, "SecurityGroupNotFound", "Security group %s does not exist", id)
		}
	}
	out := slices.Clone(ids)
	slices.Sort(out)
	return slices.Compact(out), nil
}

func addressPairs(in rest.Doc, mac string) ([]rest.Doc, error) {
	list, ok := in["allowed_address_pairs"]
	if !ok {
		return nil, nil
	}
	out := []rest.Doc{}
	for _, p := range rest.Docs(rest.Doc{"l": list}, "l") {
		ip := rest.Str(p, "ip_address")
		if ip == "" {
			return nil, rest.Errorf(400, "AddressPairMissingIP", "AllowedAddressPair must contain ip_address")
		}
		m := rest.Str(p, "mac_address")
		if m == "" {
			m = mac
		}
		out = append(out, rest.Doc{"mac_address": m, "ip_address": ip})
	}
	return out, nil
}

func (s *Server) changePort(c rest.Caller, d, in rest.Doc) error {
	network := s.networks.Find(rest.Str(d, "network_id"))
	next := rest.Doc{}
	for k, v := range d {
		next[k] = v
	}
	if err := s.namesPolicy(c, in); err != nil {
		return err
	}
	copyIn(next, in, "qos_policy_id", "name", "admin_state_up", "device_id", "device_owner", "description", "binding:vnic_type", "port_security_enabled", "numa_affinity_policy", "dns_name")
	next["extra_dhcp_opts"] = dhcpOptions(rest.Docs(d, "extra_dhcp_opts"), rest.Docs(in, "extra_dhcp_opts"))
	if p, ok := in["binding:profile"].(rest.Doc); ok {
		next["binding:profile"] = p
	}
	if mac := rest.Str(in, "mac_address"); mac != "" && mac != d["mac_address"] {
		if !c.Admin() {
			return denied("(rule:update_port and rule:update_port:mac_address)")
		}
		if next[bindingVIF] != vifUnbound {
			return conflict("PortBound", "Unable to complete operation on port %s, port is already bound, port type: %s, old_mac %s, new_mac %s.", d["id"], d[bindingVIF], d["mac_address"], mac)
		}
		if _, err := s.mac(network, mac, rest.Str(d, "id")); err != nil {
			return err
		}
		next["mac_address"] = mac
	}
	if groups, ok := in["security_groups"]; ok {
		ids, err := s.groupIDs(c, groups)
		if err != nil {
			return err
		}
		next["security_groups"] = ids
	}
	pairs, err := addressPairs(in, rest.Str(next, "mac_address"))
	if err != nil {
		return err
	}
	if pairs != nil {
		next["allowed_address_pairs"] = pairs
	}
	if err := secured(next, false); err != nil {
		return err
	}
	if list, ok := in["fixed_ips"]; ok {
		if next["fixed_ips"], err = s.readdress(c, network, d, list); err != nil {
			return err
		}
	}
	for k, v := range next {
		d[k] = v
	}
	if host, ok := in[bindingHost]; ok {
		s.bind(d, rest.Text(host))
	}
	return nil
}

// dhcpOptions changes those named; without a value one goes, and the others stay.
func dhcpOptions(have, change []rest.Doc) []rest.Doc {
	out := slices.Clone(have)
	if out == nil {
		out = []rest.Doc{}
	}
	for _, c := range change {
		version, ok := rest.Number(c["ip_version"])
		if !ok {
			version = 4
		}
		out = slices.DeleteFunc(out, func(o rest.Doc) bool { return o["opt_name"] == c["opt_name"] && o["ip_version"] == int(version) })
		if c["opt_value"] != nil {
			out = append(out, rest.Doc{"opt_name": c["opt_name"], "opt_value": c["opt_value"], "ip_version": int(version)})
		}
	}
	return out
}

// bind puts a port on a host, or takes it off with an empty one.
func (s *Server) bind(d rest.Doc, host string) {
	d[bindingHost] = host
	d[bindingDetail] = rest.Doc{}
	switch {
	case host == "":
		d[bindingVIF], d["status"] = vifUnbound, statusDown
	case s.played(host):
		d[bindingVIF], d["status"] = "ovs", statusDown // until PortUp
	case host != s.Host:
		d[bindingVIF], d["status"] = "binding_failed", statusDown
	default:
		d[bindingVIF], d["status"] = "ovs", statusActive
		d[bindingDetail] = rest.Doc{"connectivity": "l2", "port_filter": true, "ovs_hybrid_plug": false,
			"datapath_type": "netdev", "bridge_name": "br-int", "bound_drivers": rest.Doc{"0": "openvswitch"}}
	}
}

func (s *Server) dropPort(_ rest.Caller, d rest.Doc) error {
	if err := s.trunked(d); err != nil {
		return err
	}
	if s.ownedByL3(d) && len(rest.Docs(d, "fixed_ips")) > 0 {
		return conflict("ServicePortInUse", "Port %s cannot be deleted directly via the port API: has device owner %s.", d["id"], d["device_owner"])
	}
	s.forgetPort(d)
	return nil
}

// ownedByL3 says whether a port is that of a router or floating IP that exists.
func (s *Server) ownedByL3(d rest.Doc) bool {
	owner, device := rest.Str(d, "device_owner"), rest.Str(d, "device_id")
	if owner == floatingOwner {
		return s.floats.Find(device) != nil
	}
	return (owner == routerOwner || owner == gatewayOwner) && s.routers.Find(device) != nil
}
