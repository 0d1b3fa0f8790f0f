//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestClientNetworkResources walks with the client through every resource of the
// Network API: made, listed, shown, changed, deleted; and refused where it must be.
func TestClientNetworkResources(t *testing.T) {
	leavesNothing(t, login(t, "alt"))
	user, admin := session(t, "alt"), session(t, "admin")
	user.run("network create walk-net")
	t.Cleanup(func() { user.in(t).run("network delete walk-net") })
	user.run("subnet create --network walk-net --subnet-range 10.96.0.0/24 walk-subnet")
	for _, part := range []struct {
		name string
		walk func(user, admin Client)
	}{
		{"networks", walkNetworks}, {"subnets", walkSubnets}, {"ports", walkPorts}, {"groups", walkGroups}, {"routers", walkRouters},
		{"floating", walkFloating}, {"pools", walkPools}, {"addresses", walkAddressGroups}, {"qos", walkQoS}, {"trunks", walkTrunks},
		{"rbac", walkRBAC}, {"flavors", walkFlavors}, {"quotas", walkQuotas}, {"operators", walkOperators}, {"topology", walkTopology},
		{"absent", walkAbsent},
	} {
		t.Run(part.name, func(t *testing.T) { part.walk(user.in(t), admin.in(t)) })
	}
}

func walkNetworks(user, admin Client) {
	user.run("network create --description one --mtu 1400 --disable-port-security --availability-zone-hint az1 --tag red walk-more")
	user.atEnd("network delete walk-more")
	user.wantShown("network show walk-more", "mtu", "1400")
	user.wantShown("network show walk-more", "port_security_enabled", "false")
	user.wantListed("network list --tags red", "Name", "walk-more")
	user.run("network set --description two --disable --tag blue walk-more")
	user.wantShown("network show walk-more", "description", "two")
	user.wantListed("network list --any-tags blue,green", "Name", "walk-more")
	user.run("network unset --tag red walk-more")
	user.wantNotListed("network list --tags red", "Name", "walk-more")
	user.wantListed("network list --disable --long", "Name", "walk-more")
	user.wantNotListed("network list --not-tags blue", "Name", "walk-more")
	user.refused("network create --share walk-shared")
	user.refused("network create --external walk-external")
	user.refused("network create --availability-zone-hint nowhere walk-nowhere")
	user.refused("network show walk-nowhere")

	admin.run("network create --share --provider-network-type vlan --provider-physical-network bridge walk-shared")
	admin.atEnd("network delete walk-shared")
	admin.wantListed("network list --share", "Name", "walk-shared")
	admin.wantListed("network list --provider-network-type vlan", "Name", "walk-shared", "walk-net")
	admin.wantShown("network show walk-shared", "provider:network_type", "vlan")
	user.wantShown("network show walk-shared", "shared", "true")
	user.refused("network delete walk-shared")
}

func walkSubnets(user, _ Client) {
	user.run("subnet create --network walk-net --subnet-range 10.96.1.0/24 --gateway 10.96.1.254 --no-dhcp --dns-nameserver 192.0.2.53 " +
		"--allocation-pool start=10.96.1.10,end=10.96.1.20 --host-route destination=198.18.0.0/24,gateway=10.96.1.9 " +
		"--service-type compute:nova --tag red walk-whole")
	user.atEnd("subnet delete walk-whole")
	user.wantShown("subnet show walk-whole", "gateway_ip", "10.96.1.254")
	user.run("subnet set --name walk-whole --dhcp --allocation-pool start=10.96.1.30,end=10.96.1.40 --dns-nameserver 192.0.2.54 walk-whole")
	user.run("subnet unset --dns-nameserver 192.0.2.53 --host-route destination=198.18.0.0/24,gateway=10.96.1.9 --service-type compute:nova walk-whole")
	user.wantShown("subnet show walk-whole", "enable_dhcp", "true")
	user.wantListed("subnet list --gateway 10.96.1.254", "Name", "walk-whole")
	user.wantListed("subnet list --tags red", "Name", "walk-whole")
	user.refused("subnet create --network walk-net --subnet-range 10.96.1.128/25 walk-overlap")
	for _, mode := range []string{"slaac", "dhcpv6-stateful", "dhcpv6-stateless"} {
		name := "walk-" + mode
		user.run("subnet create --network walk-net --ip-version 6 --subnet-range 2001:db8:96::/64 --ipv6-ra-mode " + mode +
			" --ipv6-address-mode " + mode + " " + name)
		user.wantShown("subnet show "+name, "ipv6_address_mode", mode)
		user.run("subnet delete " + name)
	}
	user.refused("subnet set --allocation-pool start=10.97.0.1,end=10.97.0.9 walk-whole")
}

func walkPorts(user, admin Client) {
	user.run("port create --network walk-net --fixed-ip subnet=walk-subnet,ip-address=10.96.0.50 --mac-address fa:16:3e:96:00:01 " +
		"--allowed-address ip-address=10.96.0.200 --extra-dhcp-option name=bootfile-name,value=boot --vnic-type normal --tag red walk-port")
	user.atEnd("port delete walk-port")
	user.wantShown("port show walk-port", "mac_address", "fa:16:3e:96:00:01")
	user.wantListed("port list --fixed-ip ip-address=10.96.0.50", "Name", "walk-port")
	user.wantListed("port list --network walk-net --tags red --long", "Name", "walk-port")
	user.wantListed("port list --mac-address fa:16:3e:96:00:01", "Name", "walk-port")
	user.run("port set --fixed-ip subnet=walk-subnet,ip-address=10.96.0.51 --description two walk-port")
	user.run("port unset --fixed-ip subnet=walk-subnet,ip-address=10.96.0.50 --allowed-address ip-address=10.96.0.200,mac-address=fa:16:3e:96:00:01 walk-port")
	user.wantListed("port list --fixed-ip ip-address=10.96.0.51", "Name", "walk-port")
	user.run("port set --no-security-group --disable-port-security walk-port")
	user.wantShown("port show walk-port", "port_security_enabled", "false")
	user.refused("port set --security-group default walk-port")
	user.run("port set --enable-port-security walk-port")
	user.run("port set --security-group default walk-port")
	user.refused("port set --mac-address fa:16:3e:96:00:02 walk-port")
	user.refused("port set --host nowhere walk-port")
	id := user.show("port show walk-port").text("id")
	admin.run("port set --mac-address fa:16:3e:96:00:02 --binding-profile colour=red " + id)
	admin.wantShown("port show "+id, "mac_address", "fa:16:3e:96:00:02")
	user.refused("port create --network walk-net --fixed-ip ip-address=10.96.0.51 walk-double")
}

func walkGroups(user, _ Client) {
	user.run("security group create --description one --stateless --tag red walk-group")
	user.atEnd("security group delete walk-group")
	user.wantShown("security group show walk-group", "stateful", "false")
	user.run("security group set --name walk-group --description two --stateful walk-group")
	user.run("security group unset --tag red walk-group")
	user.wantListed("security group list", "Name", "walk-group", "default")
	var rules []string
	for _, form := range []string{
		"--protocol tcp --dst-port 22:23 --remote-ip 192.0.2.0/24", "--protocol icmp --icmp-type 8 --icmp-code 0",
		"--protocol 50 --egress", "--ethertype IPv6 --protocol ipv6-icmp", "--protocol udp --remote-group walk-group", "--protocol any",
	} {
		rules = append(rules, user.show("security group rule create "+form+" walk-group").text("id"))
	}
	user.wantListed("security group rule list walk-group", "ID", rules...)
	user.wantListed("security group rule list --protocol tcp --ingress walk-group", "Port Range", "22:23")
	user.wantShown("security group rule show "+rules[0], "remote_ip_prefix", "192.0.2.0/24")
	user.refused("security group rule create --protocol tcp --dst-port 22:23 --remote-ip 192.0.2.0/24 walk-group")
	user.run("security group rule delete " + strings.Join(rules, " "))
}

func walkRouters(user, admin Client) {
	user.run("router create --description one --tag red walk-router")
	user.atEnd("router delete walk-router")
	user.run("router set --description two --disable walk-router")
	user.run("router unset --tag red walk-router")
	user.wantShown("router show walk-router", "description", "two")
	user.run("router set --enable walk-router")
	user.run("router add subnet walk-router walk-subnet")
	user.refused("router add subnet walk-router walk-subnet")
	user.refused("subnet delete walk-subnet")
	user.run("router add route --route destination=198.18.1.0/24,gateway=10.96.0.9 walk-router")
	user.run("router set --route destination=198.18.2.0/24,gateway=10.96.0.9 walk-router")
	user.refused("router remove subnet walk-router walk-subnet")
	user.run("router remove route --route destination=198.18.1.0/24,gateway=10.96.0.9 walk-router")
	user.run("router unset --route destination=198.18.2.0/24,gateway=10.96.0.9 walk-router")
	user.wantListed("port list --router walk-router", "Status", "ACTIVE")
	user.refused("router delete walk-router")
	user.run("router remove subnet walk-router walk-subnet")
	user.run("port create --network walk-net walk-leg")
	user.run("router add port walk-router walk-leg")
	user.run("router remove port walk-router walk-leg")
	user.refused("router set --distributed walk-router")
	admin.wantListed("router list --long", "Name", "walk-router")
	admin.run("router create --centralized --no-ha walk-central")
	admin.run("router delete walk-central")
}

func walkFloating(user, admin Client) {
	admin.run("network create --external --provider-network-type vlan --provider-physical-network extern walk-external")
	admin.atEnd("network delete walk-external")
	admin.run("subnet create --network walk-external --subnet-range 203.0.113.0/24 --no-dhcp walk-external")
	user.wantListed("network list --external", "Name", "walk-external")
	user.run("router create walk-gateway")
	user.run("router set --external-gateway walk-external walk-gateway")
	user.run("router add subnet walk-gateway walk-subnet")
	user.run("port create --network walk-net --fixed-ip subnet=walk-subnet,ip-address=10.96.0.60 walk-behind")
	address := user.show("floating ip create --description one walk-external").text("floating_ip_address")
	user.run("floating ip set --port walk-behind --fixed-ip-address 10.96.0.60 " + address)
	user.wantListed("floating ip list --port walk-behind", "Floating IP Address", address)
	user.wantShown("floating ip show "+address, "fixed_ip_address", "10.96.0.60")
	user.refused("router unset --external-gateway walk-gateway")
	user.run("floating ip unset --port " + address)
	forwarding := user.show("floating ip port forwarding create --internal-ip-address 10.96.0.60 --port walk-behind --internal-protocol-port 80 " +
		"--external-protocol-port 8080 --protocol tcp " + address).text("id")
	user.wantListed("floating ip port forwarding list "+address, "ID", forwarding)
	user.run("floating ip port forwarding set --description web --external-protocol-port 8081 " + address + " " + forwarding)
	user.wantShown("floating ip port forwarding show "+address+" "+forwarding, "external_port", "8081")
	user.run("floating ip port forwarding delete " + address + " " + forwarding)
	user.run("floating ip delete " + address)
	user.run("port delete walk-behind")
	user.run("router remove subnet walk-gateway walk-subnet")
	user.run("router unset --external-gateway walk-gateway")
	user.run("router delete walk-gateway")
}

func walkPools(user, admin Client) {
	user.run("address scope create --ip-version 4 walk-scope")
	user.atEnd("address scope delete walk-scope-2")
	user.run("address scope set --name walk-scope-2 walk-scope")
	user.wantListed("address scope list --ip-version 4", "Name", "walk-scope-2")
	user.wantShown("address scope show walk-scope-2", "ip_version", "4")
	user.run("subnet pool create --pool-prefix 198.18.64.0/18 --default-prefix-length 26 --min-prefix-length 24 --max-prefix-length 28 " +
		"--address-scope walk-scope-2 --tag red walk-pool")
	user.atEnd("subnet pool delete walk-pool")
	user.run("subnet pool set --pool-prefix 203.0.113.0/24 --default-prefix-length 27 --default-quota 4096 walk-pool")
	user.wantListed("subnet pool list --long", "Name", "walk-pool")
	user.wantShown("subnet pool show walk-pool", "default_prefixlen", "27")
	user.run("subnet pool unset --tag red walk-pool")
	user.refused("address scope delete walk-scope-2")
	user.refused("subnet pool create --pool-prefix 198.18.64.0/24 --share walk-pool-2")

	user.run("network create walk-pooled")
	user.atEnd("network delete walk-pooled")
	user.run("subnet create --network walk-pooled --subnet-pool walk-pool --prefix-length 28 walk-pooled")
	user.wantListed("subnet list --subnet-pool walk-pool", "Name", "walk-pooled")
	user.refused("subnet create --network walk-pooled --subnet-pool walk-pool --prefix-length 30 walk-small")
	user.refused("subnet pool delete walk-pool")
	admin.wantListed("ip availability list", "Network Name", "walk-net")
	admin.wantShown("ip availability show walk-pooled", "total_ips", "13")
	user.run("subnet delete walk-pooled")
}

func walkAddressGroups(user, _ Client) {
	user.run("address group create --address 192.0.2.0/24 --address 198.51.100.7 walk-addresses")
	user.run("address group set --address 2001:db8::/32 --description two walk-addresses")
	user.run("address group unset --address 198.51.100.7 walk-addresses")
	user.wantListed("address group list", "Name", "walk-addresses")
	user.wantShown("address group show walk-addresses", "description", "two")
	user.run("security group create walk-addressed")
	user.run("security group rule create --protocol tcp --remote-address-group walk-addresses walk-addressed")
	user.refused("address group delete walk-addresses")
	user.run("security group delete walk-addressed")
	user.run("address group delete walk-addresses")
}

func walkQoS(user, admin Client) {
	project := login(user.t, "alt").Project
	admin.run("network qos policy create --project " + project + " --description one walk-policy")
	admin.atEnd("network qos policy delete walk-policy")
	admin.run("network qos policy set --description two walk-policy")
	user.wantShown("network qos policy show walk-policy", "description", "two")
	user.wantListed("network qos policy list", "Name", "walk-policy")
	user.refused("network qos policy create walk-policy-2")
	for kind, form := range map[string][2]string{
		"bandwidth-limit":   {"--max-kbps 1000 --max-burst-kbits 100 --egress", "--max-kbps 2000"},
		"dscp-marking":      {"--dscp-mark 26", "--dscp-mark 28"},
		"minimum-bandwidth": {"--min-kbps 500 --egress", "--min-kbps 600"},
	} {
		rule := admin.show("network qos rule create --type " + kind + " " + form[0] + " walk-policy").text("id")
		admin.wantListed("network qos rule list walk-policy", "ID", rule)
		admin.run("network qos rule set " + form[1] + " walk-policy " + rule)
		admin.run("network qos rule show walk-policy " + rule)
		if kind != "bandwidth-limit" {
			admin.run("network qos rule delete walk-policy " + rule)
		}
	}
	user.wantListed("network qos rule type list", "Type", "bandwidth_limit", "dscp_marking", "minimum_bandwidth")
	admin.run("network qos rule type show bandwidth_limit")
	user.run("network set --qos-policy walk-policy walk-net")
	user.run("port create --network walk-net --qos-policy walk-policy walk-limited")
	admin.refused("network qos policy delete walk-policy")
	user.run("port unset --qos-policy walk-limited")
	user.run("port delete walk-limited")
	user.run("network set --no-qos-policy walk-net")
}

func walkTrunks(user, _ Client) {
	for _, name := range []string{"walk-parent", "walk-sub", "walk-other"} {
		user.run("port create --network walk-net " + name)
		user.atEnd("port delete " + name)
	}
	user.run("network trunk create --parent-port walk-parent --subport port=walk-sub,segmentation-type=vlan,segmentation-id=101 walk-trunk")
	user.atEnd("network trunk delete walk-trunk")
	user.run("network trunk set --subport port=walk-other,segmentation-type=vlan,segmentation-id=102 --description two walk-trunk")
	user.wantShown("network trunk show walk-trunk", "description", "two")
	user.wantListed("network trunk list", "Name", "walk-trunk")
	if ids := user.list("network subport list --trunk walk-trunk", "Segmentation ID"); len(ids) != 2 {
		user.t.Errorf("segmentation IDs of the trunk are %v, want 101 and 102", ids)
	}
	user.refused("port delete walk-sub")
	user.run("network trunk unset --subport walk-other walk-trunk")
	user.run("network trunk set --disable walk-trunk")
	user.run("network trunk set --enable walk-trunk")
}

func walkRBAC(user, admin Client) {
	demo := login(user.t, "demo").Project
	stranger := session(user.t, "demo")
	stranger.refused("network show walk-net")
	rbac := user.show("network rbac create --type network --action access_as_shared --target-project " + demo + " walk-net").text("id")
	stranger.wantShown("network show walk-net", "shared", "true")
	user.wantListed("network rbac list --type network", "ID", rbac)
	user.wantShown("network rbac show "+rbac, "action", "access_as_shared")
	user.refused("network rbac create --type network --action access_as_shared --target-all-projects walk-net")
	stranger.run("port create --network walk-net walk-strangers")
	user.refused("network rbac delete " + rbac)
	stranger.run("port delete walk-strangers")
	admin.run("network rbac set --target-project admin " + rbac)
	stranger.refused("network show walk-net")
	user.run("network rbac delete " + rbac)
}

func walkFlavors(user, admin Client) {
	admin.run("network flavor create --service-type L3_ROUTER_NAT --description one walk-flavor")
	admin.atEnd("network flavor delete walk-flavor")
	admin.run("network flavor set --description two walk-flavor")
	admin.wantListed("network flavor list", "Name", "walk-flavor")
	admin.wantShown("network flavor show walk-flavor", "description", "two")
	profile := admin.show("network flavor profile create --description walk --metainfo walk").text("id")
	admin.run("network flavor profile set --description walk-2 " + profile)
	admin.wantListed("network flavor profile list", "ID", profile)
	admin.wantShown("network flavor profile show "+profile, "description", "walk-2")
	admin.run("network flavor add profile walk-flavor " + profile)
	admin.refused("network flavor profile delete " + profile)
	admin.run("network flavor remove profile walk-flavor " + profile)
	admin.run("network flavor profile delete " + profile)
	user.refused("network flavor create --service-type L3_ROUTER_NAT walk-flavor-2")
}

func walkQuotas(user, admin Client) {
	project := login(user.t, "alt").Project
	user.wantShown("quota show", "networks", "100")
	admin.run("quota set --networks 1 --force " + project)
	if said := user.refused("network create walk-too-many"); !strings.Contains(said, "Quota exceeded for resources: ['network']") {
		user.t.Errorf("one network too many is refused with %q, want Neutron's words", said)
	}
	operator := login(admin.t, "admin").Network // whose client has no command for it
	must(operator.Delete(live(admin.t), operator.ServiceURL("quotas", project), nil))(admin.t)
	user.wantShown("quota show", "networks", "100")
	admin.run("quota list --network --detail")
	user.refused("quota set --networks 1000 " + project)
}

func walkOperators(user, admin Client) {
	agents := admin.list("network agent list --agent-type dhcp", "ID")
	if len(agents) < 2 {
		admin.t.Fatalf("DHCP agents: %v, want those of two pods", agents)
	}
	admin.wantShown("network agent show "+agents[0], "agent_type", "DHCP agent")
	admin.run("network agent set --description walk " + agents[0])
	admin.wantShown("network agent show "+agents[0], "description", "walk")
	admin.run("network agent set --description= " + agents[0])
	admin.run("network agent list --agent-type l3")
	admin.run("network agent list --network walk-net")
	if got := user.list("network agent list", "ID"); len(got) != 0 {
		user.t.Errorf("a user sees agents %v", got)
	}
	admin.run("network service provider list")
	user.wantListed("availability zone list --network", "Zone Name", "az1", "az2")
	user.wantListed("extension list --network", "Alias", "router", "quotas", "standard-attr-tag")
	user.run("extension show router")
}

func walkTopology(user, _ Client) {
	if said := user.refused("network auto allocated topology create --check-resources"); !strings.Contains(said, "router:external") {
		user.t.Errorf("without a default external network a topology is refused with %q", said)
	}
}

func walkAbsent(user, _ Client) {
	for _, line := range []string{
		"network meter list", "local ip list", "network log list", "network segment list", "network segment range list", "vpn service list",
	} {
		user.refused(line)
	}
}

func (c Client) wantNotListed(line, column, unwanted string) {
	c.t.Helper()
	if got := c.list(line, column); slices.Contains(got, unwanted) {
		c.t.Errorf("openstack %s: %s = %q, want no %q", line, column, got, unwanted)
	}
}
