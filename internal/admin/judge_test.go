package admin

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

func goodRow() store.Pod {
	return store.Pod{Name: "pod1", Region: "Pod1", Zone: "az1", PodZone: "nova", Interface: "public", DHCPPorts: 1}
}

// goodFacts are those of a pod without fault.
func goodFacts() facts {
	exts := append([]string{}, usefulExtensions...)
	for _, e := range neededExtensions {
		exts = append(exts, e.alias)
	}
	return facts{
		account: "admin at http://keystone/v3", roles: []string{"admin", "member"}, regions: []string{"Pod1", "RegionOne"},
		services: map[pod.Service]reached{
			pod.Compute: {url: "http://pod1/compute", max: "2.93"},
			pod.Network: {url: "http://pod1/network"},
			pod.Volume:  {url: "http://pod1/volume", max: "3.70"},
			pod.Image:   {url: "http://pod1/image"},
		},
		zones:    []string{"internal", "nova"},
		computes: []computeHost{{"node1", "up", "enabled"}},
		exts:     exts,
		agents: []agent{
			{Type: "Open vSwitch agent", Host: "node1", Alive: true, Networks: []string{"bridge", "extern"}, Mapped: true},
			{Type: dhcpAgent, Host: "node1", Alive: true},
			{Type: "L3 agent", Host: "node1", Alive: true},
		},
	}
}

func TestJudgeGoodPod(t *testing.T) {
	t.Parallel()
	want := []Finding{
		{LevelOK, "credentials", "logged in as admin at http://keystone/v3", ""},
		{LevelOK, "region", "Keystone has region Pod1", ""},
		{LevelOK, "compute endpoint", "http://pod1/compute answers, API up to 2.93", ""},
		{LevelOK, "network endpoint", "http://pod1/network answers", ""},
		{LevelOK, "volumev3 endpoint", "http://pod1/volume answers, API up to 3.70", ""},
		{LevelOK, "image endpoint", "http://pod1/image answers", ""},
		{LevelOK, "pod zone", "zone az1 is the pod's zone nova", ""},
		{LevelOK, "compute hosts", "1 up", ""},
		{LevelOK, "network extensions", "all that is needed is among the 13 there", ""},
		{LevelOK, "physical networks", "bridge, extern on all hosts (1)", ""},
		{LevelOK, "DHCP agents", "1 alive, as many as ports reserved", ""},
	}
	got := judge(goodRow(), goodFacts(), []string{"bridge", "extern"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("judge of a good pod (-want +got):\n%s", diff)
	}
}

// TestJudge spoils one thing at a time and looks at the findings that are not ok.
func TestJudge(t *testing.T) {
	t.Parallel()
	unavailable := func(msg string) error { return fault.New(fault.Unavailable, "", "%s", msg) }
	tests := []struct {
		name     string
		spoil    func(*store.Pod, *facts)
		physical []string
		want     []Finding
	}{
		{name: "wrong password", spoil: func(_ *store.Pod, f *facts) {
			f.loginErr = &fault.Error{Kind: fault.Unavailable, Message: "Keystone refuses the service account admin", Err: pod.ErrCredentials}
		}, want: []Finding{{LevelError, "credentials", "Tricircle's own account: Keystone refuses the service account admin: credentials refused",
			"correct user, password and project where the server reads them, or name others with --cloud"}}},
		{name: "credentials missing", spoil: func(p *store.Pod, f *facts) {
			p.Cloud = "paris"
			f.loginErr = &fault.Error{Kind: fault.Unavailable, Pod: "pod1", Message: "cannot read the credentials paris", Err: errors.New("no such cloud")}
		}, want: []Finding{{LevelError, "credentials", "cannot log in with the credentials paris: cannot read the credentials paris: no such cloud",
			"see that the server can reach Keystone and read its credentials"}}},
		{name: "no admin role", spoil: func(_ *store.Pod, f *facts) { f.roles = []string{"member"} },
			want: []Finding{{LevelError, "role", "admin at http://keystone/v3 has no admin role, only member",
				"openstack role add --user USER --project PROJECT admin"}}},
		{name: "no such region", spoil: func(p *store.Pod, _ *facts) { p.Region = "pod1" },
			want: []Finding{{LevelError, "region", "Keystone has no region pod1; it has Pod1, RegionOne",
				"tricircle pod set pod1 --region REGION (capitals count)"}}},
		{name: "endpoint missing", spoil: func(_ *store.Pod, f *facts) {
			f.services[pod.Image] = reached{endpointErr: unavailable("the catalog has no public endpoint for image in region Pod1")}
		}, want: []Finding{{LevelError, "image endpoint", "the catalog has no public endpoint for image in region Pod1",
			"openstack endpoint create --region Pod1 image public URL"}}},
		{name: "compute down", spoil: func(_ *store.Pod, f *facts) {
			f.services[pod.Compute] = reached{url: "http://pod1:8774", err: &fault.Error{Kind: fault.Unavailable, Pod: "pod1", Message: "connection refused"}}
			f.zonesErr, f.computesErr = unavailable("x"), unavailable("x")
		}, want: []Finding{{LevelError, "compute endpoint", "no good answer from http://pod1:8774: connection refused",
			"see that the service runs and that the Tricircle server can reach that address"}}},
		{name: "token refused", spoil: func(_ *store.Pod, f *facts) {
			f.services[pod.Volume] = reached{url: "http://pod1/volume", err: fault.New(fault.Unauthenticated, "", "please log in")}
		}, want: []Finding{{LevelError, "volumev3 endpoint", "http://pod1/volume refuses the token: please log in",
			"the service checks tokens with another Keystone, or its clock is wrong"}}},
		{name: "old API", spoil: func(_ *store.Pod, f *facts) {
			f.services[pod.Compute] = reached{url: "http://pod1", max: "2.9"}
		}, want: []Finding{{LevelWarn, "compute version", "its API goes up to 2.9 only; below 2.69 it cannot name servers in cells that are down",
			"upgrade the service when you can"}}},
		{name: "no such pod zone", spoil: func(p *store.Pod, _ *facts) { p.PodZone = "nva" },
			want: []Finding{{LevelError, "pod zone", "the pod has no availability zone nva; it has internal, nova", "tricircle pod set pod1 --pod-zone ZONE"}}},
		{name: "not admin for Nova", spoil: func(_ *store.Pod, f *facts) { f.computesErr = fault.New(fault.Forbidden, "", "no") },
			want: []Finding{{LevelError, "role", "Nova does not let the account list its hosts: it is no admin there",
				"openstack role add --user USER --project PROJECT admin"}}},
		{name: "hosts down", spoil: func(_ *store.Pod, f *facts) {
			f.computes = append(f.computes, computeHost{"node3", "down", "enabled"}, computeHost{"node2", "up", "disabled"})
		}, want: []Finding{{LevelWarn, "compute hosts", "1 of 3 hosts are up; down or disabled: node2, node3", "openstack compute service list"}}},
		{name: "extensions missing", spoil: func(_ *store.Pod, f *facts) {
			f.exts = []string{"agent", "allowed-address-pairs", "binding", "port-security", "security-group", "standard-attr-description", "external-net", "router"}
		},
			want: []Finding{
				{LevelError, "network extensions", "extension provider is missing: networks could not be put on a given VLAN",
					"enable the plugin or extension driver in the pod's neutron.conf and ml2_conf.ini"},
				{LevelWarn, "network extensions", "without extra_dhcp_opt, extraroute, net-mtu, project-id some requests of tenants will fail in this pod", ""}}},
		{name: "physical network missing", physical: []string{"bridge", "datacentre"}, spoil: func(*store.Pod, *facts) {},
			want: []Finding{{LevelError, "physical networks", "physical network datacentre is on no host; the pod has bridge, extern",
				"add it to bridge_mappings of the pod's network agents, or to physical_networks in Tricircle's configuration as the pod calls it"}}},
		{name: "physical network missing on a host", physical: []string{"bridge"}, spoil: func(_ *store.Pod, f *facts) {
			f.agents = append(f.agents, agent{Type: "Open vSwitch agent", Host: "node2", Alive: true, Mapped: true})
		}, want: []Finding{{LevelWarn, "physical networks", "physical network bridge is missing on node2: servers there get no network",
			"add it to bridge_mappings of the agents there"}}},
		{name: "agents down", physical: []string{"bridge"}, spoil: func(_ *store.Pod, f *facts) {
			for i := range f.agents[:2] {
				f.agents[i].Alive = false
			}
		}, want: []Finding{
			{LevelWarn, "network agents", "not alive: DHCP agent on node1, Open vSwitch agent on node1", "openstack network agent list"},
			{LevelError, "physical networks", "no network agent that carries physical networks is alive", "openstack network agent list"},
			{LevelError, "DHCP agents", "none is alive: servers will get no address by DHCP", "start neutron-dhcp-agent in the pod"}}},
		{name: "no agents shown", spoil: func(_ *store.Pod, f *facts) { f.agents = nil },
			want: []Finding{{LevelWarn, "network agents", "Neutron shows no agents: physical networks and DHCP could not be checked",
				"give the account the admin role, unless the pod's network driver has no agents"}}},
		{name: "more DHCP ports than agents", spoil: func(p *store.Pod, _ *facts) { p.DHCPPorts = 3 },
			want: []Finding{{LevelWarn, "DHCP agents", "3 ports are reserved per network, but only 1 alive", "tricircle pod set pod1 --dhcp-ports 1, or start the others"}}},
		{name: "agents without ports", spoil: func(p *store.Pod, _ *facts) { p.DHCPPorts = 0 },
			want: []Finding{{LevelError, "DHCP agents", "1 alive, but no ports are reserved for them: they would find no address",
				"tricircle pod set pod1 --dhcp-ports 1 (the pod's dhcp_agents_per_network)"}}},
		{name: "message bus away", spoil: func(p *store.Pod, f *facts) {
			p.MessageBus, f.busErr = "env:BUS", errors.New("cannot reach the message bus at rabbit:5672: connection refused")
		}, want: []Finding{{LevelError, "message bus", "cannot reach the message bus at rabbit:5672: connection refused: vxlan networks do not reach other pods",
			"see what env:BUS holds on the Tricircle server: amqp://USER:PASSWORD@HOST:PORT/VHOST of the pod's Neutron"}}},
		{name: "message bus without tunnels", spoil: func(p *store.Pod, f *facts) {
			p.MessageBus = "env:BUS"
			f.agents[0].Tunnel.End = "192.0.2.1"
		}, want: []Finding{{LevelWarn, "message bus", "no tunnels that follow Neutron on node1: vxlan networks do not reach other pods there",
			"set local_ip, tunnel_types = vxlan and l2_population = true for the Open vSwitch agents, and the mechanism driver l2population"}}},
		{name: "message bus", spoil: func(p *store.Pod, f *facts) {
			p.MessageBus = "env:BUS"
			f.agents[0].Tunnel = tunnel{"192.0.2.1", true}
		}},
		{name: "OVN", spoil: func(_ *store.Pod, f *facts) {
			f.agents = []agent{{Type: "OVN Controller agent", Host: "n", Alive: true}}
		},
			want: []Finding{{LevelWarn, "DHCP agents", "the pod's DHCP is OVN's own, which needs no reserved ports", "tricircle pod set pod1 --dhcp-ports 0"}}},
		{name: "OVN without ports", spoil: func(p *store.Pod, f *facts) {
			p.DHCPPorts = 0
			f.agents = []agent{{Type: "OVN Controller agent", Host: "n", Alive: true}}
		}},
		{name: "more agents than ports", spoil: func(_ *store.Pod, f *facts) {
			f.agents = append(f.agents, agent{Type: dhcpAgent, Host: "node2", Alive: true})
		}},
		{name: "questions not answered", spoil: func(_ *store.Pod, f *facts) {
			err := unavailable("busy")
			f.regionErr, f.zonesErr, f.computesErr, f.extsErr, f.agentsErr = err, err, err, err, err
		}, want: []Finding{
			{LevelWarn, "region", "cannot list Keystone's regions: busy", ""},
			{LevelWarn, "pod zone", "cannot list the pod's availability zones: busy", ""},
			{LevelWarn, "compute hosts", "cannot list the hosts: busy", ""},
			{LevelWarn, "network extensions", "cannot list Neutron's extensions: busy", ""},
			{LevelWarn, "network agents", "cannot list the agents: busy", ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			row, f := goodRow(), goodFacts()
			tt.spoil(&row, &f)
			var got []Finding
			for _, x := range judge(row, f, tt.physical) {
				if x.Level != LevelOK {
					got = append(got, x)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("judge (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOlder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a, b string
		want bool
	}{
		{"2.9", "2.69", true}, {"2.69", "2.69", false}, {"2.100", "2.69", false}, {"1.99", "2.1", true}, {"", "2.1", true}, {"3", "2.99", false},
	}
	for _, tt := range tests {
		if got := older(tt.a, tt.b); got != tt.want {
			t.Errorf("older(%q, %q) = %t, want %t", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestConfigurations(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		in     configurations
		want   []string
		mapped bool
	}{
		{"Open vSwitch", configurations{"bridge_mappings": []byte(`{"extern": "br-ext", "bridge": "br-vlan"}`)}, []string{"bridge", "extern"}, true},
		{"none", configurations{"bridge_mappings": []byte(`{}`)}, nil, true},
		{"OVN", configurations{"bridge-mappings": []byte(`"a:br-a, b:br-b"`)}, []string{"a", "b"}, true},
		{"SR-IOV", configurations{"device_mappings": []byte(`{"phys": ["ens4", "ens5"]}`)}, []string{"phys"}, true},
		{"DHCP", configurations{"dhcp_driver": []byte(`"dnsmasq"`)}, nil, false},
		{"garbage", configurations{"bridge_mappings": []byte(`7`)}, nil, true},
	}
	for _, tt := range tests {
		got, mapped := tt.in.networks()
		if diff := cmp.Diff(tt.want, got); diff != "" || mapped != tt.mapped {
			t.Errorf("%s: networks() = %v, %t, want %v, %t", tt.name, got, mapped, tt.want, tt.mapped)
		}
	}
}
