package topology

import "testing"

func num(n int) *int { return &n }

func TestNormalizeRule(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   Rule
		code string
		want string // protocol afterwards
	}{
		"any":             {in: Rule{}},
		"tcp port":        {in: Rule{Protocol: "tcp", PortMin: num(22), PortMax: num(22)}, want: "tcp"},
		"icmp in v6":      {in: Rule{EtherType: IPv6, Protocol: "icmp"}, want: "ipv6-icmp"},
		"1 in v6":         {in: Rule{EtherType: IPv6, Protocol: "1"}, want: "58"},
		"icmp type, code": {in: Rule{Protocol: "icmp", PortMin: num(8), PortMax: num(0)}, want: "icmp"},
		"reversed":        {in: Rule{Protocol: "tcp", PortMin: num(23), PortMax: num(22)}, code: "SecurityGroupInvalidPortRange"},
		"half":            {in: Rule{Protocol: "6", PortMin: num(23)}, code: "SecurityGroupInvalidPortRange"},
		"zero":            {in: Rule{Protocol: "udp", PortMin: num(0), PortMax: num(22)}, code: "SecurityGroupInvalidPortValue"},
		"no protocol":     {in: Rule{PortMin: num(1), PortMax: num(2)}, code: "SecurityGroupProtocolRequiredWithPorts"},
		"gre port":        {in: Rule{Protocol: "gre", PortMin: num(1), PortMax: num(2)}, code: "SecurityGroupInvalidProtocolForPort"},
		"icmp type high":  {in: Rule{Protocol: "icmp", PortMin: num(256)}, code: "SecurityGroupInvalidIcmpValue"},
		"icmp code alone": {in: Rule{Protocol: "icmp", PortMax: num(0)}, code: "SecurityGroupMissingIcmpType"},
		"v6 only":         {in: Rule{Protocol: "ipv6-icmp"}, code: "SecurityGroupEthertypeConflictWithProtocol"},
		"prefix of v6":    {in: Rule{RemoteIPPrefix: "fd00::/8"}, code: "SecurityGroupRuleParameterConflict"},
		"no prefix":       {in: Rule{RemoteIPPrefix: "x"}, code: "InvalidCIDR"},
		"two remotes":     {in: Rule{RemoteIPPrefix: "10.0.0.0/8", RemoteGroupID: "g"}, code: "SecurityGroupMultipleRemoteEntites"},
	} {
		r := c.in
		if r.EtherType == "" {
			r.EtherType = IPv4
		}
		err := r.Normalize()
		if codeOf(err) != c.code || err == nil && r.Protocol != c.want {
			t.Errorf("%s: %s, %v, want %s %s", name, r, err, c.want, c.code)
		}
	}
}

func TestRuleKey(t *testing.T) {
	t.Parallel()
	tcp := Rule{Direction: Ingress, EtherType: IPv4, Protocol: "tcp", PortMin: num(22), PortMax: num(22)}
	six := tcp
	six.Protocol = "6"
	all, none := tcp, tcp
	all.RemoteIPPrefix = "0.0.0.0/0"
	for _, same := range []Rule{six, all, none} {
		if same.Key() != tcp.Key() {
			t.Errorf("%s and %s differ", same, tcp)
		}
	}
	other := tcp
	other.PortMax = num(23)
	if other.Key() == tcp.Key() {
		t.Errorf("%s and %s are the same", other, tcp)
	}
	whole := Rule{Direction: Ingress, EtherType: IPv4, Protocol: "tcp", PortMin: num(1), PortMax: num(65535)}
	if err := whole.Normalize(); err != nil || whole.PortMin != nil {
		t.Errorf("the whole range: %+v, %v", whole, err)
	}
}

func TestParseProtocol(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"TCP": "tcp", "255": "255", "ah": "ah", "icmpv6": "icmpv6"} {
		if got, err := ParseProtocol(in); err != nil || got != want {
			t.Errorf("ParseProtocol(%s) = %s, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "any", "256", "-1"} {
		if _, err := ParseProtocol(in); codeOf(err) != "SecurityGroupRuleInvalidProtocol" {
			t.Errorf("ParseProtocol(%q): %v", in, err)
		}
	}
}

func TestDefaultRules(t *testing.T) {
	t.Parallel()
	if n := len(DefaultRules("g", "p", true)); n != 4 {
		t.Errorf("the default group has %d rules", n)
	}
	if n := len(DefaultRules("g", "p", false)); n != 2 {
		t.Errorf("a new group has %d rules", n)
	}
}
