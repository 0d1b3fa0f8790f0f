package neutron

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// kinds lists the resources of the API.
func (s *Server) kinds() []*resource {
	return []*resource{s.networkKind(), s.subnetKind(), s.portKind(), s.groupKind(), s.ruleKind(), s.routerKind(), s.policyKind(),
		s.trunkKind(), s.addressGroupKind(), s.rbacKind(), s.floatingKind()}
}

func (s *Server) networkKind() *resource {
	return &resource{
		server: s, path: "networks", single: "network", plural: "networks", store: &s.networks,
		attrs: standard(map[string]attribute{
			"name":                      {post: true, put: true, kind: "string"},
			"admin_state_up":            {post: true, put: true, kind: "bool"},
			"shared":                    {post: true, put: true, kind: "bool", admin: true},
			"router:external":           {post: true, put: true, kind: "bool", admin: true},
			"is_default":                {post: true, put: true, kind: "bool", admin: true},
			"mtu":                       {post: true, put: true},
			"port_security_enabled":     {post: true, put: true, kind: "bool"},
			"provider:network_type":     {post: true, admin: true, hidden: true, kind: "string"},
			"provider:physical_network": {post: true, admin: true, hidden: true, kind: "string", null: true},
			"provider:segmentation_id":  {post: true, put: true, admin: true, hidden: true, null: true},
			"segments":                  {post: true, admin: true, hidden: true},
			"availability_zone_hints":   {post: true, kind: "list"},
			"availability_zones":        {},
			"dns_domain":                {post: true, put: true},
			"qos_policy_id":             {post: true, put: true},
			"ipv4_address_scope":        {},
			"ipv6_address_scope":        {},
			"subnets":                   {},
			"vlan_transparent":          {post: true},
		}),
		visible: s.seesNetwork,
		missing: func(id string) error { return missing("Network", id) },
		make:    s.makeNetwork, change: s.changeNetwork, drop: s.dropNetwork, render: s.renderNetwork,
	}
}

func (s *Server) seesNetwork(c rest.Caller, d rest.Doc) bool {
	return c.Sees(d["project_id"]) || rest.Bool(d, "shared") || rest.Bool(d, "router:external") ||
		s.sharedWith(c.ProjectID, d["id"])
}

func (s *Server) renderNetwork(d rest.Doc) rest.Doc {
	subnets := []string{}
	zones := []string{}
	for _, sub := range s.subnetsOf(rest.Str(d, "id")) {
		subnets = append(subnets, rest.Str(sub, "id"))
		if rest.Bool(sub, "enable_dhcp") && len(s.dhcpAgents()) > 0 {
			zones = []string{s.Zone}
		}
	}
	d["subnets"] = subnets
	d["availability_zones"] = zones
	return d
}

func (s *Server) makeNetwork(c rest.Caller, in rest.Doc) (rest.Doc, error) {
	if err := s.namesPolicy(c, in); err != nil {
		return nil, err
	}
	if err := s.within("network", rest.Str(in, "project_id")); err != nil {
		return nil, err
	}
	segment, err := s.segments(in)
	if err != nil {
		return nil, err
	}
	mtu := 1500
	if segment["provider:network_type"] == "vxlan" {
		mtu = 1450
	}
	hints := either(in, "availability_zone_hints", []string{})
	d := rest.Doc{
		"id": uuid.NewString(), "name": "", "admin_state_up": true, "status": "ACTIVE", "mtu": mtu, "shared": false,
		"router:external": false, "port_security_enabled": true, "availability_zone_hints": hints,
		"ipv4_address_scope": nil, "ipv6_address_scope": nil, "qos_policy_id": nil, "description": "",
	}
	copyIn(d, in, "name", "admin_state_up", "shared", "router:external", "port_security_enabled", "description", "qos_policy_id", "dns_domain")
	if n, ok := rest.Number(in["mtu"]); ok && n > 0 {
		d["mtu"] = int(n)
	}
	if rest.Bool(d, "router:external") {
		d["is_default"] = either(in, "is_default", false)
	}
	for k, v := range segment {
		d[k] = v
	}
	s.EnsureDefaultGroup(rest.Str(in, "project_id"))
	return d, nil
}

// segments is segment for a network that may have several.
func (s *Server) segments(in rest.Doc) (rest.Doc, error) {
	wanted := rest.Docs(in, "segments")
	all := make([]rest.Doc, 0, len(wanted))
	for _, one := range wanted {
		segment, err := s.segment(one)
		if err != nil {
			return nil, err
		}
		all = append(all, segment)
	}
	switch len(all) {
	case 0:
		return s.segment(in)
	case 1:
		return all[0], nil
	}
	return rest.Doc{"segments": all}, nil
}

// segment settles the provider attributes of a new network, and refuses what
// the type drivers refuse.
func (s *Server) segment(in rest.Doc) (rest.Doc, error) {
	kind := rest.Str(in, "provider:network_type")
	physical := rest.Str(in, "provider:physical_network")
	id, hasID := rest.Number(in["provider:segmentation_id"])
	if kind == "" && (physical != "" || hasID) {
		return nil, invalid("network_type required.")
	}
	var err error
	segmentID := int(id)
	switch kind {
	case "":
		kind, segmentID, err = "vxlan", s.freeTunnel(), nil
	case "vlan":
		physical, segmentID, err = s.vlan(physical, segmentID, hasID)
	case "flat":
		err = s.flat(physical, hasID)
	case "local":
		err = local(physical, hasID)
	case "vxlan":
		segmentID, err = s.tunnel(physical, segmentID, hasID)
	default:
		err = invalid("network_type value '%s' not supported.", kind)
	}
	if err != nil {
		return nil, err
	}
	out := rest.Doc{"provider:network_type": kind, "provider:physical_network": nil, "provider:segmentation_id": nil}
	if physical != "" {
		out["provider:physical_network"] = physical
	}
	if segmentID != 0 {
		out["provider:segmentation_id"] = segmentID
	}
	return out, nil
}

func (s *Server) vlan(physical string, id int, hasID bool) (string, int, error) {
	if physical == "" {
		if hasID {
			return "", 0, invalid("segmentation_id requires physical_network for VLAN provider network.")
		}
		return s.freeVLAN()
	}
	if _, ok := s.Physical[physical]; !ok {
		return "", 0, invalid("physical_network '%s' unknown for VLAN provider network.", physical)
	}
	if !hasID {
		span := s.Physical[physical]
		for n := span[0]; n <= span[1]; n++ {
			if !s.segmentUsed("vlan", physical, n) {
				return physical, n, nil
			}
		}
		return "", 0, rest.Errorf(503, "NoNetworkAvailable", "Unable to create the network. No tenant network is available for allocation.")
	}
	if id < 1 || id > 4094 {
		return "", 0, invalid("segmentation_id out of range (1 through 4094).")
	}
	if s.segmentUsed("vlan", physical, id) {
		return "", 0, conflict("VlanIdInUse", "Unable to create the network. The VLAN %d on physical network %s is in use.", id, physical)
	}
	return physical, id, nil
}

func (s *Server) freeVLAN() (string, int, error) {
	names := []string{}
	for name := range s.Physical {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for n := s.Physical[name][0]; n <= s.Physical[name][1]; n++ {
			if !s.segmentUsed("vlan", name, n) {
				return name, n, nil
			}
		}
	}
	return "", 0, rest.Errorf(503, "NoNetworkAvailable", "Unable to create the network. No tenant network is available for allocation.")
}

func (s *Server) flat(physical string, hasID bool) error {
	switch {
	case physical == "":
		return invalid("physical_network required for flat provider network.")
	case s.Physical[physical] == [2]int{}:
		return invalid("physical_network '%s' unknown for flat provider network.", physical)
	case hasID:
		return invalid("segmentation_id prohibited for flat provider network.")
	case s.segmentUsed("flat", physical, 0):
		return conflict("FlatNetworkInUse", "Unable to create the flat network. Physical network %s is in use.", physical)
	}
	return nil
}

func local(physical string, hasID bool) error {
	if physical != "" {
		return invalid("physical_network prohibited for local provider network.")
	}
	if hasID {
		return invalid("segmentation_id prohibited for local provider network.")
	}
	return nil
}

func (s *Server) tunnel(physical string, id int, hasID bool) (int, error) {
	if physical != "" {
		return 0, invalid("provider:physical_network specified for vxlan network.")
	}
	if !hasID {
		return s.freeTunnel(), nil
	}
	if s.segmentUsed("vxlan", "", id) {
		return 0, conflict("TunnelIdInUse", "Unable to create the network. The tunnel ID %d is in use.", id)
	}
	return id, nil
}

func (s *Server) freeTunnel() int {
	n := 1001
	for s.segmentUsed("vxlan", "", n) {
		n++
	}
	return n
}

func (s *Server) segmentUsed(kind, physical string, id int) bool {
	for _, d := range s.networks.All() {
		if d["provider:network_type"] != kind || rest.Str(d, "provider:physical_network") != physical {
			continue
		}
		n, _ := rest.Number(d["provider:segmentation_id"])
		if int(n) == id {
			return true
		}
	}
	return false
}

func (s *Server) changeNetwork(c rest.Caller, d, in rest.Doc) error {
	if err := s.namesPolicy(c, in); err != nil {
		return err
	}
	if shared, ok := in["shared"].(bool); ok && !shared && rest.Bool(d, "shared") {
		for _, p := range s.portsOf(rest.Str(d, "id")) {
			if p["project_id"] != d["project_id"] && !strings.HasPrefix(rest.Str(p, "device_owner"), "network:") {
				return conflict("InvalidSharedSetting", "Unable to reconfigure sharing settings for network %s. Multiple tenants are using it.", d["name"])
			}
		}
	}
	if external, ok := in["router:external"].(bool); ok && !external && rest.Bool(d, "router:external") && s.hasGateway(rest.Str(d, "id")) {
		return conflict("ExternalNetworkInUse", "External network %s cannot be updated to be made non-external, since it has existing gateway ports.", d["id"])
	}
	if id, ok := rest.Number(in["provider:segmentation_id"]); ok && in["provider:segmentation_id"] != d["provider:segmentation_id"] {
		if d["provider:network_type"] != "vlan" {
			return invalid("Only VLAN type networks can be updated.")
		}
		if _, _, err := s.vlan(rest.Str(d, "provider:physical_network"), int(id), true); err != nil {
			return err
		}
		d["provider:segmentation_id"] = int(id)
	}
	copyIn(d, in, "name", "admin_state_up", "shared", "router:external", "port_security_enabled", "description", "qos_policy_id", "dns_domain", "is_default")
	if n, ok := rest.Number(in["mtu"]); ok {
		d["mtu"] = int(n)
	}
	return nil
}

// dropNetwork refuses while ports are there that do not go by themselves.
func (s *Server) dropNetwork(_ rest.Caller, d rest.Doc) error {
	id := rest.Str(d, "id")
	used := []string{}
	for _, p := range s.portsOf(id) {
		if p["device_owner"] != ownerDHCP {
			used = append(used, rest.Str(p, "id"))
		}
	}
	if len(used) > 0 {
		slices.Sort(used)
		return conflict("NetworkInUse",
			"Unable to complete operation on network %s. There are one or more ports still in use on the network, id for these ports is: %s.",
			id, strings.Join(used, ","))
	}
	for _, g := range s.grants.All() {
		if g["object_id"] == id {
			s.grants.Delete(rest.Str(g, "id"))
		}
	}
	for _, p := range s.portsOf(id) {
		s.ports.Delete(rest.Str(p, "id"))
	}
	for _, sub := range s.subnetsOf(id) {
		s.subnets.Delete(rest.Str(sub, "id"))
	}
	return nil
}

func (s *Server) subnetsOf(network string) []rest.Doc {
	out := s.subnets.Where(func(d rest.Doc) bool { return d["network_id"] == network })
	rest.Sort(out, []rest.SortKey{{Name: "id"}})
	return out
}

func (s *Server) portsOf(network string) []rest.Doc {
	return s.ports.Where(func(d rest.Doc) bool { return d["network_id"] == network })
}
