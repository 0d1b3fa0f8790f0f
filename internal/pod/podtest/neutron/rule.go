package neutron

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// protocols are the names that Neutron knows, with their numbers.
var protocols = map[string]int{
	"ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ip": 4, "ipip": 4,
	"ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43,
	"ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}

func (s *Server) ruleKind() *resource {
	return &resource{
		server: s, path: "security-group-rules", single: "security_group_rule", plural: "security_group_rules", store: &s.rules,
		attrs: standard(map[string]attribute{
			"security_group_id":       {post: true, required: true, kind: "uuid"},
			"direction":               {post: true, required: true, values: []string{"ingress", "egress"}},
			"ethertype":               {post: true},
			"protocol":                {post: true, null: true},
			"port_range_min":          {post: true, null: true},
			"port_range_max":          {post: true, null: true},
			"remote_ip_prefix":        {post: true, null: true},
			"remote_group_id":         {post: true, null: true},
			"remote_address_group_id": {post: true, null: true},
			"normalized_cidr":         {},
		}),
		visible: func(c rest.Caller, d rest.Doc) bool { return c.Sees(d["project_id"]) },
		missing: func(id string) error {
			return rest.Errorf(404, "SecurityGroupRuleNotFound", "Security group rule %s does not exist", id)
		},
		make:   s.makeRule,
		change: func(_ rest.Caller, d, in rest.Doc) error { copyIn(d, in, "description"); return nil },
		drop:   func(rest.Caller, rest.Doc) error { return nil },
	}
}

func (s *Server) makeRule(c rest.Caller, in rest.Doc) (rest.Doc, error) {
	group := s.groups.Find(rest.Str(in, "security_group_id"))
	if group == nil || !c.Sees(group["project_id"]) {
		return nil, groupMissing(rest.Str(in, "security_group_id"))
	}
	in["project_id"] = group["project_id"]
	d := rest.Doc{
		"id": uuid.NewString(), "security_group_id": group["id"], "direction": in["direction"], "ethertype": "IPv4",
		"protocol": nil, "port_range_min": nil, "port_range_max": nil, "remote_ip_prefix": nil, "normalized_cidr": nil,
		"remote_group_id": nil, "remote_address_group_id": nil, "description": rest.Str(in, "description"),
	}
	for _, step := range []func(d, in rest.Doc) error{ruleEther, ruleProtocol, rulePorts, ruleRemote} {
		if err := step(d, in); err != nil {
			return nil, err
		}
	}
	if remote := rest.Str(d, "remote_address_group_id"); remote != "" {
		if g := s.addressGroups.Find(remote); g == nil || !c.Sees(g["project_id"]) {
			return nil, addressGroupMissing(remote)
		}
	}
	if remote := rest.Str(d, "remote_group_id"); remote != "" {
		if g := s.groups.Find(remote); g == nil || !c.Sees(g["project_id"]) {
			return nil, groupMissing(remote)
		}
	}
	for _, other := range s.rulesOf(rest.Str(group, "id")) {
		if ruleKey(other) == ruleKey(d) {
			return nil, conflict("SecurityGroupRuleExists", "Security group rule already exists. Rule id is %s.", other["id"])
		}
	}
	return d, nil
}

func ruleEther(d, in rest.Doc) error {
	text := rest.Str(in, "ethertype")
	if text == "" {
		return nil
	}
	for _, known := range []string{"IPv4", "IPv6"} {
		if strings.EqualFold(text, known) {
			d["ethertype"] = known
			return nil
		}
	}
	return rest.Errorf(400, "SecurityGroupRuleInvalidEtherType", "Security group rule for ethertype '%s' not supported. Allowed values are ['IPv4', 'IPv6'].", text)
}

// number is a protocol's number, and false for one that is unknown.
func number(protocol string) (int, bool) {
	if n, err := strconv.Atoi(protocol); err == nil {
		return n, n >= 0 && n <= 255
	}
	n, ok := protocols[protocol]
	return n, ok
}

func ruleProtocol(d, in rest.Doc) error {
	if in["protocol"] == nil {
		return nil
	}
	protocol := strings.ToLower(rest.Text(in["protocol"]))
	n, ok := number(protocol)
	if !ok {
		names := []string{}
		for name := range protocols {
			names = append(names, "'"+name+"'")
		}
		slices.Sort(names)
		return rest.Errorf(400, "SecurityGroupRuleInvalidProtocol",
			"Security group rule protocol %s not supported. Only protocol values [None, %s] and integer representations [0 to 255] are supported.",
			protocol, strings.Join(names, ", "))
	}
	six := d["ethertype"] == "IPv6"
	if six && n == 1 {
		protocol = "ipv6-icmp"
	}
	if !six && slices.Contains([]int{41, 43, 44, 58, 59, 60}, n) {
		return rest.Errorf(400, "SecurityGroupEthertypeConflictWithProtocol", "Invalid ethertype %s for protocol %s.", d["ethertype"], protocol)
	}
	d["protocol"] = protocol
	return nil
}

func rulePorts(d, in rest.Doc) error {
	low, hasLow, err := portValue(in["port_range_min"])
	if err != nil {
		return err
	}
	high, hasHigh, err := portValue(in["port_range_max"])
	if err != nil {
		return err
	}
	if !hasLow && !hasHigh {
		return nil
	}
	if d["protocol"] == nil {
		return rest.Errorf(400, "SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given.")
	}
	if hasLow {
		d["port_range_min"] = low
	}
	if hasHigh {
		d["port_range_max"] = high
	}
	n, _ := number(rest.Str(d, "protocol"))
	switch n {
	case 6, 17, 33, 132, 136:
		if low == 0 || high == 0 {
			if (hasLow && low == 0) || (hasHigh && high == 0) {
				return rest.Errorf(400, "SecurityGroupInvalidPortValue", "Invalid value for port 0")
			}
		}
		if !hasLow || !hasHigh || low > high {
			return rest.Errorf(400, "SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max")
		}
	case 1, 58:
		if (hasLow && low > 255) || (hasHigh && high > 255) {
			return rest.Errorf(400, "SecurityGroupInvalidIcmpValue", "Invalid value for ICMP type/code (port_range_min/max). It must be 0 to 255.")
		}
		if hasHigh && !hasLow {
			return rest.Errorf(400, "SecurityGroupMissingIcmpType", "ICMP code (port-range-max) %d is provided but ICMP type (port-range-min) is missing.", high)
		}
	}
	return nil
}

func portValue(v any) (int, bool, error) {
	if v == nil {
		return 0, false, nil
	}
	text := rest.Text(v)
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 65535 {
		return 0, false, rest.Errorf(400, "SecurityGroupInvalidPortValue", "Invalid value for port %s", text)
	}
	return n, true, nil
}

func ruleRemote(d, in rest.Doc) error {
	prefix, group, addresses := rest.Str(in, "remote_ip_prefix"), rest.Str(in, "remote_group_id"), rest.Str(in, "remote_address_group_id")
	count := 0
	for _, v := range []string{prefix, group, addresses} {
		if v != "" {
			count++
		}
	}
	if count > 1 {
		return rest.Errorf(400, "SecurityGroupMultipleRemoteEntites", "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.")
	}
	if group != "" {
		d["remote_group_id"] = group
	}
	if addresses != "" {
		d["remote_address_group_id"] = addresses
	}
	if prefix == "" {
		return nil
	}
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		a, err := netip.ParseAddr(prefix)
		if err != nil {
			return rest.Errorf(400, "InvalidCIDR", "Invalid CIDR %s given as IP prefix.", prefix)
		}
		p = netip.PrefixFrom(a, a.BitLen())
		prefix = p.String()
	}
	if p.Addr().Is4() != (d["ethertype"] == "IPv4") {
		return rest.Errorf(400, "SecurityGroupRuleParameterConflict", "Conflicting value ethertype %s for CIDR %s", d["ethertype"], prefix)
	}
	d["remote_ip_prefix"], d["normalized_cidr"] = prefix, p.Masked().String()
	return nil
}

// ruleKey is what makes two rules the same: not the description, protocols by
// number, and any address written out is no address.
func ruleKey(d rest.Doc) string {
	protocol := ""
	if d["protocol"] != nil {
		n, _ := number(rest.Str(d, "protocol"))
		protocol = strconv.Itoa(n)
	}
	prefix := rest.Str(d, "remote_ip_prefix")
	if prefix == "0.0.0.0/0" || prefix == "::/0" {
		prefix = ""
	}
	return fmt.Sprint(d["direction"], "|", d["ethertype"], "|", protocol, "|", d["port_range_min"], "|", d["port_range_max"], "|",
		prefix, "|", rest.Str(d, "remote_group_id"), "|", rest.Str(d, "remote_address_group_id"))
}
