package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// addressGroups are what the pod lets in of members elsewhere, by group.
func (w *world) addressGroups(podName string) (out [][]string) {
	for _, g := range w.cloud.Pod(podName).Objects("address_group") {
		out = append(out, strs(g["addresses"]))
	}
	return out
}

func strs(v any) (out []string) {
	switch list := v.(type) {
	case []string:
		out = slices.Clone(list)
	case []any:
		for _, x := range list {
			out = append(out, x.(string))
		}
	}
	slices.Sort(out)
	return out
}

func whole(p topology.Port) (out []string) {
	for _, ip := range p.FixedIPs {
		out = append(out, netip.PrefixFrom(ip.Address, ip.Address.BitLen()).String())
	}
	return out
}

// writes counts the calls to the pod's Network API that change something.
func (w *world) writes(podName string) (n int) {
	for _, c := range w.cloud.Pod(podName).Calls() {
		if c.Service == podtest.Network && c.Method != http.MethodGet {
			n++
		}
	}
	return n
}

// Members of a group in other pods are let in by one address group, which comes
// with the first of them and goes with the last.
func TestGroupReachesAcrossPods(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("blue", "10.0.0.0/24")
		w.subnet(net.ID, "fd00::/64")
		ports := w.ports(net.ID, 2)
		w.mustWant(portIn(ports[0], "pod1"))
		w.settle()
		if got := w.addressGroups("pod1"); len(got) != 0 {
			t.Errorf("with all members in the pod it has %v", got)
		}
		w.mustWant(portIn(ports[1], "pod2"))
		w.settle()
		for name, elsewhere := range map[string]topology.Port{"pod1": ports[1], "pod2": ports[0]} {
			if diff := cmp.Diff([][]string{whole(elsewhere)}, w.addressGroups(name)); diff != "" {
				t.Errorf("%s lets in (-want +got):\n%s", name, diff)
			}
			if got := w.cloud.Pod(name).Objects("address_group")[0]["project_id"]; got == w.project {
				t.Errorf("the address group in %s is the tenant's", name)
			}
			w.checkAllowed(name)
		}
		if err := s.DeletePort(t.Context(), ports[1].ID, nil); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.checkAllowed("pod1")
		if got := w.addressGroups("pod1"); len(got) != 0 {
			t.Errorf("pod1 still has %v", got)
		}
	})
}

// However many members come at once, a pod that has some of them already is told in
// one call per batch, and each later one costs it one call.
func TestMembersComeInBatches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("blue", "10.0.0.0/20")
		ports := w.ports(net.ID, 1002)
		w.mustWant(portIn(ports[0], "pod1"))
		w.mustWant(portIn(ports[1], "pod2"))
		w.settle()
		place := func(ports []topology.Port) {
			t.Helper()
			for _, p := range ports { // in the database alone: pod2 is busy
				if _, err := s.Want(t.Context(), w.project, portIn(p, "pod2")); err != nil {
					t.Fatal(err)
				}
			}
			w.cloud.Pod("pod1").ResetCalls()
			if err := w.Ensure(t.Context(), membersIn(ports[0].SecurityGroups[0], "pod1"), nil); err != nil {
				t.Fatal(err)
			}
		}
		place(ports[2:1001])
		if got := w.writes("pod1"); got != 10 {
			t.Errorf("999 new members: %d changing calls, want 10", got)
		}
		if got := w.addressGroups("pod1"); len(got) != 1 || len(got[0]) != 1000 {
			t.Errorf("address groups = %d", len(got))
		}
		place(ports[1001:])
		if got := w.writes("pod1"); got != 1 {
			t.Errorf("one more: %d changing calls, want 1", got)
		}
	})
}

func membersIn(group, podName string) store.Target {
	return store.Target{Kind: store.KindGroupMembers, ID: group, Pod: podName}
}

// A reply that is lost, a pod that is away: the members end up right, once.
func TestMembersThroughFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]podtest.Fault{
		"the creation's reply is lost": {Method: http.MethodPost, Path: "^/network/v2.0/address-groups", Times: 1, DropReply: true},
		"adding is answered with 500":  {Method: http.MethodPut, Path: "add_addresses", Times: 1, Status: http.StatusInternalServerError},
		"the pod is away":              {Path: "^/network/", Times: 6, Status: http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				w := newWorld(t, s, podtest.Options{})
				net := w.network("blue", "10.0.0.0/24")
				ports := w.ports(net.ID, 3)
				w.mustWant(portIn(ports[0], "pod1"))
				w.settle()
				w.cloud.Pod("pod1").Fault(fault)
				w.mustWant(portIn(ports[1], "pod2"))
				w.settle()
				w.mustWant(portIn(ports[2], "pod2"))
				w.settle()
				w.checkAllowed("pod1")
				if got := w.addressGroups("pod1"); len(got) != 1 {
					t.Errorf("address groups = %v, want one", got)
				}
			})
		})
	}
}

// An address group that a pod's operator took away is made again, and named again.
func TestMembersTakenAway(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("blue", "10.0.0.0/24")
		ports := w.ports(net.ID, 3)
		w.mustWant(portIn(ports[0], "pod1"))
		w.mustWant(portIn(ports[1], "pod2"))
		w.settle()
		pod1 := w.cloud.Pod("pod1")
		ag := pod1.Objects("address_group")[0]["id"].(string)
		for _, r := range pod1.Objects("security_group_rule") {
			if r["remote_address_group_id"] == ag {
				w.delete("pod1", "/v2.0/security-group-rules/"+r["id"].(string))
			}
		}
		w.delete("pod1", "/v2.0/address-groups/"+ag)
		w.mustWant(portIn(ports[2], "pod2"))
		w.settle()
		w.checkAllowed("pod1")
	})
}

// reach is what may pass a group in a direction, by family and protocol: prefixes.
type reach map[string][]string

func (r reach) add(direction, etherType, protocol string, prefixes ...string) {
	key := direction + " " + etherType + " " + protocol
	for _, p := range prefixes {
		if parsed := netip.MustParsePrefix(p); parsed.Addr().Is4() == (etherType == topology.IPv4) && !slices.Contains(r[key], p) {
			r[key] = append(r[key], p)
			slices.Sort(r[key])
		}
	}
}

// asked is what the group's rules allow, by the region's own state.
func (w *world) asked(g topology.SecurityGroup) reach {
	out := reach{}
	ports, err := w.store.ListPorts(w.t.Context(), store.Query{})
	if err != nil {
		w.t.Fatal(err)
	}
	pods, err := w.store.PodsOf(w.t.Context(), store.KindPort, portIDs(ports)...)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range g.Rules {
		if r.RemoteGroupID == "" {
			continue
		}
		for _, p := range ports {
			if len(pods[p.ID]) == 0 || !slices.Contains(p.SecurityGroups, r.RemoteGroupID) {
				continue
			}
			out.add(r.Direction, r.EtherType, r.Protocol, whole(p)...)
			for _, pair := range p.AllowedAddressPairs {
				prefix, _ := pair.Prefix()
				out.add(r.Direction, r.EtherType, r.Protocol, prefix.String())
			}
		}
	}
	return out
}

func portIDs(ports []topology.Port) (ids []string) {
	for _, p := range ports {
		ids = append(ids, p.ID)
	}
	return ids
}

// allowed is what the pod's group lets through of what is no plain prefix of ours.
func (w *world) allowed(podName, podGroup string) reach {
	out := reach{}
	p := w.cloud.Pod(podName)
	text := func(o map[string]any, name string) string { s, _ := o[name].(string); return s }
	for _, r := range p.Objects("security_group_rule") {
		if r["security_group_id"] != podGroup {
			continue
		}
		add := func(prefixes ...string) {
			out.add(text(r, "direction"), text(r, "ethertype"), text(r, "protocol"), prefixes...)
		}
		switch {
		case text(r, "remote_group_id") != "":
			for _, port := range p.Objects("port") {
				if !slices.Contains(strs(port["security_groups"]), text(r, "remote_group_id")) {
					continue
				}
				for _, ip := range fixedIPs(port["fixed_ips"]) {
					a := netip.MustParseAddr(ip["ip_address"].(string))
					add(netip.PrefixFrom(a, a.BitLen()).String())
				}
				for _, pair := range fixedIPs(port["allowed_address_pairs"]) {
					prefix, _ := topology.AddressPair{IPAddress: pair["ip_address"].(string)}.Prefix()
					add(prefix.String())
				}
			}
		case text(r, "remote_address_group_id") != "":
			for _, g := range p.Objects("address_group") {
				if g["id"] == r["remote_address_group_id"] {
					add(strs(g["addresses"])...)
				}
			}
		case text(r, "remote_ip_prefix") != "":
			add(text(r, "remote_ip_prefix"))
		}
	}
	return out
}

// checkAllowed holds what the pod lets through against what was asked for.
func (w *world) checkAllowed(podName string) {
	w.t.Helper()
	all, err := w.store.ListMappings(w.t.Context(), store.MappingQuery{Kind: store.KindSecurityGroup, Pod: podName})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range all {
		g, err := w.store.FindSecurityGroup(w.t.Context(), m.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		if diff := cmp.Diff(w.asked(g), w.allowed(podName, m.PodID)); diff != "" {
			w.t.Errorf("%s lets through for group %s (-asked +allowed):\n%s", podName, g.Name, diff)
		}
	}
}

// Whatever happens to members, groups and rules, in two projects that name each
// other's groups: each pod lets through what was asked for, no more and no less,
// with address groups (pod1, pod2) and without (pod3).
func TestAllowedIsAsked(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				w := newWorld(t, s, podtest.Options{Pods: []string{"pod1", "pod2", "pod3"}})
				w.cloud.Pod("pod3").Network.Lack("security-groups-remote-address-group")
				d := &dealer{world: w, rand: rand.New(rand.NewPCG(seed, 7)), network: w.network("blue", "10.0.0.0/24").ID}
				w.subnet(d.network, "fd00::/64")
				for _, project := range []string{w.project, w.cloud.ProjectID("alt")} {
					groups, err := s.CreateSecurityGroups(t.Context(), []topology.SecurityGroup{
						{ProjectID: project, Name: "web", Stateful: true}, {ProjectID: project, Name: "db", Stateful: true}})
					if err != nil {
						t.Fatal(err)
					}
					d.groups = append(d.groups, groups[0].ID, groups[1].ID)
				}
				for range 12 {
					for range 1 + d.rand.IntN(4) {
						d.deal()
					}
					w.settle()
					for _, p := range w.cloud.Pods() {
						w.checkAllowed(p.Name)
					}
					if t.Failed() {
						t.Fatalf("after %q", d.done)
					}
				}
				d.clear()
				w.settle()
				for _, p := range w.cloud.Pods() {
					if got := w.addressGroups(p.Name); len(got) != 0 {
						t.Errorf("%s is left with %v", p.Name, got)
					}
				}
			})
		})
	}
}

// dealer changes things at random.
type dealer struct {
	*world
	rand    *rand.Rand
	network string
	groups  []string
	ports   []topology.Port
	rules   []topology.Rule
	done    []string
}

func (d *dealer) some(n int) []string {
	d.rand.Shuffle(len(d.groups), func(i, j int) { d.groups[i], d.groups[j] = d.groups[j], d.groups[i] })
	return append([]string{}, d.groups[:n]...)
}

func (d *dealer) deal() {
	ctx := d.t.Context()
	what := d.rand.IntN(6)
	var err error
	switch {
	case what < 2 || len(d.ports) == 0:
		var made []topology.Port
		made, err = d.store.CreatePorts(ctx, []topology.PortSpec{{WantGroups: d.some(1 + d.rand.IntN(2)), Port: topology.Port{
			ProjectID: d.project, NetworkID: d.network, AdminStateUp: true}}})
		if err == nil {
			d.ports = append(d.ports, made[0])
			_, err = d.store.Want(ctx, d.project, portIn(made[0], fmt.Sprint("pod", 1+d.rand.IntN(3))))
		}
	case what == 2:
		i := d.rand.IntN(len(d.ports))
		err = d.store.DeletePort(ctx, d.ports[i].ID, nil)
		d.ports = slices.Delete(d.ports, i, i+1)
	case what == 3:
		_, err = d.store.UpdatePort(ctx, d.ports[d.rand.IntN(len(d.ports))].ID, func(s *topology.PortSpec) error {
			s.WantGroups = d.some(d.rand.IntN(3))
			s.AllowedAddressPairs = nil
			if d.rand.IntN(3) == 0 {
				s.AllowedAddressPairs = []topology.AddressPair{{IPAddress: fmt.Sprintf("192.0.2.%d", d.rand.IntN(250))}}
			}
			return nil
		})
	case what == 4 || len(d.rules) == 0:
		pair := d.some(2)
		made, refused := d.store.CreateRules(ctx, []topology.Rule{{GroupID: pair[0], RemoteGroupID: pair[d.rand.IntN(2)], ProjectID: d.project,
			Direction: []string{topology.Ingress, topology.Egress}[d.rand.IntN(2)], EtherType: []string{topology.IPv4, topology.IPv6}[d.rand.IntN(2)],
			Protocol: []string{"", "tcp"}[d.rand.IntN(2)]}})
		if refused == nil { // it may be there already
			d.rules = append(d.rules, made...)
		}
	default:
		i := d.rand.IntN(len(d.rules))
		err = d.store.DeleteRule(ctx, d.rules[i].ID, nil)
		d.rules = slices.Delete(d.rules, i, i+1)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.done = append(d.done, []string{"port", "port", "delete port", "update port", "rule", "delete rule"}[what])
}

// clear deletes all.
func (d *dealer) clear() {
	for _, p := range d.ports {
		if err := d.store.DeletePort(d.t.Context(), p.ID, nil); err != nil {
			d.t.Fatal(err)
		}
	}
	for _, g := range d.groups {
		if err := d.store.DeleteSecurityGroup(d.t.Context(), g, nil); err != nil {
			d.t.Fatal(err)
		}
	}
}

// What somebody lets in by hand is found, and shut out again; so is what he shuts out.
func TestMembersByHand(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("blue", "10.0.0.0/24")
		ports := w.ports(net.ID, 2)
		w.mustWant(portIn(ports[0], "pod1"))
		w.mustWant(portIn(ports[1], "pod2"))
		w.settle()
		group := w.cloud.Pod("pod1").Objects("address_group")[0]["id"].(string)
		for verb, addresses := range map[string][]string{"add": {"0.0.0.0/0"}, "remove": whole(ports[1])} {
			w.byHand(http.MethodPut, "/address-groups/"+group+"/"+verb+"_addresses", map[string]any{"addresses": addresses})
			all, err := w.Inspect(t.Context(), "pod1")
			if err != nil || len(all) != 1 || all[0].Kind != store.KindGroupMembers || all[0].ID != ports[0].SecurityGroups[0] {
				t.Fatalf("%s: found %+v, %v", verb, all, err)
			}
			if n, err := w.PutRight(t.Context(), "pod1", all); n != 1 || err != nil {
				t.Fatalf("put right %d, %v", n, err)
			}
			w.settle()
			w.checkAllowed("pod1")
			if all, err := w.Inspect(t.Context(), "pod1"); err != nil || len(all) != 0 {
				t.Errorf("%s: still %+v, %v", verb, all, err)
			}
		}
	})
}
