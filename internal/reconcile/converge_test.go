package reconcile_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// drawing is a tenant's network drawing with all kinds of things that jobs bring to
// pods, told in three acts: drawn, changed, gone. Each act changes the region's own
// state at once, and the jobs have it all to do.
type drawing struct {
	*outdoors
	both, six          topology.Network
	web, db            topology.SecurityGroup
	near, far, twin    topology.Port
	first, second, nat topology.FloatingIP
}

func newDrawing(t *testing.T) *drawing { return &drawing{outdoors: newOutdoors(t, storetest.New(t))} }

func (d *drawing) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// want asks for ports in pods; the work is left to the jobs.
func (d *drawing) place(p topology.Port, podName string) {
	_, err := d.store.Want(d.t.Context(), d.project, portIn(p, podName))
	d.must(err)
}

func (d *drawing) port(n topology.Network, podName, name string, groups ...string) topology.Port {
	d.t.Helper()
	made, err := d.store.CreatePorts(d.t.Context(), []topology.PortSpec{{Near: podName, WantGroups: groups,
		Port: topology.Port{ProjectID: d.project, NetworkID: n.ID, Name: name, AdminStateUp: true}}})
	d.must(err)
	d.place(made[0], podName)
	return made[0]
}

func (d *drawing) group(name string) topology.SecurityGroup {
	d.t.Helper()
	made, err := d.store.CreateSecurityGroups(d.t.Context(), []topology.SecurityGroup{{ProjectID: d.project, Name: name, Stateful: true}})
	d.must(err)
	return made[0]
}

func (d *drawing) lets(g, from topology.SecurityGroup) {
	d.t.Helper()
	_, err := d.store.CreateRules(d.t.Context(), []topology.Rule{{GroupID: g.ID, ProjectID: d.project, Direction: topology.Ingress,
		EtherType: topology.IPv4, Protocol: "tcp", RemoteGroupID: from.ID}})
	d.must(err)
}

func (d *drawing) routes(all ...topology.HostRoute) {
	d.t.Helper()
	_, err := d.store.UpdateRouter(d.t.Context(), d.router.ID, func(r *store.RouterSpec) error { r.Routes = all; return nil })
	d.must(err)
}

// acts are what the user does, one after the other.
func (d *drawing) acts() map[string]func() {
	return map[string]func(){"1 drawn": d.draw, "2 changed": d.alter, "3 gone": d.erase}
}

func (d *drawing) draw() {
	d.both = d.network("both", "10.0.3.0/24")
	d.six = d.network("six", "fd01::/64")
	d.attach(d.both)
	d.attach(d.six)
	d.web, d.db = d.group("web"), d.group("db")
	d.lets(d.db, d.web)
	d.near = d.port(d.a, "pod1", "near", d.web.ID)
	d.far = d.port(d.b, "pod2", "far", d.db.ID)
	d.twin = d.port(d.both, "pod1", "twin1", d.web.ID, d.db.ID)
	d.port(d.both, "pod2", "twin2", d.web.ID)
	d.port(d.six, "pod2", "six")
	d.first, d.second, d.nat = d.float(d.near.ID), d.float(d.far.ID), d.float("")
	d.forward(d.nat, d.twin, 8080, 80)
	d.routes(topology.HostRoute{Destination: netip.MustParsePrefix("192.168.9.0/24"), NextHop: d.far.FixedIPs[0].Address})
}

func (d *drawing) alter() {
	d.routes()
	d.lead(d.first, "")
	d.lead(d.second, d.near.ID)
	d.detach(d.six)
	d.lets(d.web, d.db)
	_, err := d.store.UpdatePort(d.t.Context(), d.far.ID, func(p *topology.PortSpec) error { p.WantGroups = []string{d.web.ID}; return nil })
	d.must(err)
	_, err = d.store.UpdateNetwork(d.t.Context(), d.both.ID, func(n *topology.Network) error { n.Name = "renamed"; return nil })
	d.must(err)
	d.port(d.a, "pod2", "newcomer", d.db.ID) // a comes to pod2
}

func (d *drawing) erase() {
	ctx := d.t.Context()
	all, err := d.store.ListFloatingIPs(ctx, store.Query{})
	d.must(err)
	for _, f := range all {
		forwards, err := d.store.PortForwardings().List(ctx, store.Query{Filters: map[string][]string{"floatingip_id": {f.ID}}})
		d.must(err)
		for _, fw := range forwards {
			d.must(d.store.PortForwardings().Delete(ctx, fw.ID, nil))
		}
		d.must(d.store.DeleteFloatingIP(ctx, f.ID, func(*topology.FloatingIP) error { return nil }))
	}
	d.setGateway("")
	for _, n := range []topology.Network{d.a, d.b, d.both} {
		d.detach(n)
	}
	d.must(d.store.DeleteRouter(ctx, d.router.ID, nil))
	ports, err := d.store.ListPorts(ctx, store.Query{})
	d.must(err)
	for _, p := range ports {
		if p.DeviceOwner != topology.OwnerDHCP {
			d.must(d.store.DeletePort(ctx, p.ID, nil))
		}
	}
	for _, n := range []topology.Network{d.a, d.b, d.both, d.six, d.external} {
		d.must(d.store.DeleteNetwork(ctx, n.ID, nil))
	}
	for _, g := range []topology.SecurityGroup{d.web, d.db} {
		d.must(d.store.DeleteSecurityGroup(ctx, g.ID, nil))
	}
}

// inventory is what the pods and the region have, in words that are the same in
// every run: names for IDs, and numbers where addresses are chosen by chance.
func (d *drawing) inventory() []string {
	d.t.Helper()
	var lines []string
	for _, podName := range []string{"pod1", "pod2"} {
		for _, line := range podInventory(d.cloud.Pod(podName)) {
			lines = append(lines, podName+" "+line)
		}
	}
	ports, err := d.store.ListPorts(d.t.Context(), store.Query{})
	d.must(err)
	for _, p := range ports {
		lines = append(lines, fmt.Sprintf("central port %q %s", p.Name, p.DeviceOwner)) // which pod is home, the first to have it, is by chance
	}
	slices.Sort(lines)
	return lines
}

func podInventory(p *podtest.Pod) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	name := map[any]string{nil: "-", "": "-"}
	for _, kind := range []string{"network", "router", "port", "security_group"} {
		for _, o := range p.Objects(kind) {
			name[o["id"]] = fmt.Sprint(o["name"])
		}
	}
	for _, o := range p.Objects("network") {
		add("network %v", o["name"])
	}
	for _, o := range p.Objects("subnet") {
		add("subnet %v of %s", o["cidr"], name[o["network_id"]])
	}
	for _, o := range p.Objects("port") {
		add("port %q %v on %s of %s with %d addresses", o["name"], o["device_owner"], name[o["network_id"]], name[o["device_id"]], len(fixedIPs(o["fixed_ips"])))
	}
	for _, o := range p.Objects("router") {
		var to []string
		for _, r := range fixedIPs(o["routes"]) {
			to = append(to, fmt.Sprint(r["destination"]))
		}
		slices.Sort(to)
		gateway := "-"
		if g, ok := o["external_gateway_info"].(map[string]any); ok && g != nil {
			gateway = name[g["network_id"]]
		}
		add("router %v routes %v out %s", o["name"], to, gateway)
	}
	for _, o := range p.Objects("floatingip") {
		add("floating ip to %s, %d forwardings", name[o["port_id"]], len(fixedIPs(o["port_forwardings"])))
	}
	for _, o := range p.Objects("security_group_rule") {
		add("rule of %s: %v %v %v from %s, addresses %v", name[o["security_group_id"]], o["direction"], o["ethertype"], o["protocol"],
			name[o["remote_group_id"]], o["remote_address_group_id"] != nil)
	}
	for _, o := range p.Objects("address_group") {
		addresses, _ := o["addresses"].([]any)
		texts, _ := o["addresses"].([]string)
		add("address group with %d", len(addresses)+len(texts))
	}
	return lines
}

// work is one life of the program: it does jobs until none is left, or it dies. They
// come in any order, as from the queue: a few that wait for others must not take all
// of each life.
func (d *drawing) work(ctx context.Context) (done bool) {
	d.t.Helper()
	for range 12 {
		pending, err := d.store.ListMappings(d.t.Context(), store.MappingQuery{Pending: true})
		d.must(err)
		if len(pending) == 0 {
			return true
		}
		rand.Shuffle(len(pending), func(i, j int) { pending[i], pending[j] = pending[j], pending[i] })
		for _, m := range pending {
			if err := d.Ensure(ctx, m.Target, nil); err != nil && ctx.Err() == nil {
				d.t.Logf("later: %v", err)
			}
			if ctx.Err() != nil {
				return false
			}
		}
		d.later()
	}
	return false
}

// killed has the program die at a change in a pod, again and again, until nothing is
// left to do: at its first, then at its second, and so on up to its fifth, then at its
// first. (Always at the first it would not get on: a deletion that the program has not
// noted is sent once more.)
func (d *drawing) killed(how func(die func()) podtest.Fault) {
	d.t.Helper()
	for life := range 500 {
		ctx, cancel := context.WithCancel(d.t.Context())
		var changes atomic.Int64
		last := int64(life%5 + 1)
		remove := d.faulty(func() podtest.Fault {
			return how(func() {
				if changes.Add(1) == last {
					cancel()
				}
			})
		})
		done := d.work(ctx)
		alive := ctx.Err() == nil
		cancel()
		remove()
		d.restart()
		if done {
			return
		}
		if alive {
			d.t.Fatal("jobs do not come to an end")
		}
	}
	pending, err := d.store.ListMappings(d.t.Context(), store.MappingQuery{Pending: true})
	d.t.Fatalf("500 lives were not enough: %+v, %v", pending, err)
}

// faulty has all changes in the pods meet with the fault.
func (d *drawing) faulty(fault func() podtest.Fault) (remove func()) {
	var all []func()
	for _, podName := range []string{"pod1", "pod2"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			f := fault()
			f.Service, f.Method = podtest.Network, method
			all = append(all, d.cloud.Pod(podName).Fault(f))
		}
	}
	return func() {
		for _, r := range all {
			r()
		}
	}
}

// TestConverges: however the jobs of a drawing are done, it ends in what an
// undisturbed run makes.
func TestConverges(t *testing.T) {
	t.Parallel()
	plain := map[string][]string{}
	reference := newDrawing(t)
	acts := []string{"1 drawn", "2 changed", "3 gone"}
	for _, act := range acts {
		reference.acts()[act]()
		if !reference.work(t.Context()) {
			t.Fatal(act, "jobs do not come to an end")
		}
		plain[act] = reference.inventory()
	}
	for _, line := range []string{"pod1 floating ip to near, 0 forwardings", "pod1 floating ip to -, 1 forwardings", "pod1 address group with 1",
		"pod2 router r routes [0.0.0.0/0 10.0.1.0/24 192.168.9.0/24] out -", "pod1 router r routes [192.168.9.0/24 fd01::/64] out outside"} {
		if !slices.Contains(plain["1 drawn"], line) {
			t.Errorf("drawn, but not there: %s", line)
		}
	}
	for _, line := range plain["3 gone"] {
		if !strings.Contains(line, " rule of default") {
			t.Errorf("left in the end: %s", line)
		}
	}
	for name, how := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDrawing(t)
			for _, act := range acts {
				d.acts()[act]()
				how(d)
				if diff := cmp.Diff(plain[act], d.inventory()); diff != "" {
					t.Fatalf("%s (-undisturbed +%s):\n%s", act, name, diff)
				}
			}
		})
	}
}

// ways are how jobs are done.
func ways() map[string]func(*drawing) {
	return map[string]func(*drawing){
		"killed after changes": func(d *drawing) {
			d.killed(func(die func()) podtest.Fault { return podtest.Fault{After: func(*http.Request) { die() }} })
		},
		"killed before changes": func(d *drawing) {
			d.killed(func(die func()) podtest.Fault { return podtest.Fault{Before: func(*http.Request) { die() }} })
		},
		"every reply to a change lost once": func(d *drawing) {
			d.disturbed(podtest.Fault{DropReply: true, Times: 8})
		},
		"every change refused for a while": func(d *drawing) {
			d.disturbed(podtest.Fault{Status: http.StatusServiceUnavailable, Times: 8})
		},
		"all over again": func(d *drawing) {
			d.finish()
			d.again()
		},
		"pod1 away": func(d *drawing) { d.away("pod1") },
		"pod2 away": func(d *drawing) { d.away("pod2") },
		"pods away in turns, with restarts": func(d *drawing) {
			d.away("pod1", "pod2")
			d.restart()
			d.again()
		},
	}
}

func (d *drawing) finish() {
	d.t.Helper()
	for range 20 {
		if d.work(d.t.Context()) {
			return
		}
	}
	d.t.Fatal("jobs do not come to an end")
}

// disturbed has the pods fail some of the changes.
func (d *drawing) disturbed(f podtest.Fault) {
	d.t.Helper()
	defer d.faulty(func() podtest.Fault { return f })()
	d.finish()
}

// away has each pod away, one after the other, while the others' jobs are done.
func (d *drawing) away(pods ...string) {
	d.t.Helper()
	for _, podName := range pods {
		d.cloud.Pod(podName).Down()
		d.work(d.t.Context())
		d.cloud.Pod(podName).Up()
	}
	d.finish()
}

// again has every job that there could be run once more, and late: also those of
// things that are gone.
func (d *drawing) again() {
	d.t.Helper()
	all, err := d.store.ListMappings(d.t.Context(), store.MappingQuery{})
	d.must(err)
	for _, m := range all {
		d.must(d.store.TouchIn(d.t.Context(), m.Target))
	}
	d.finish()
	for _, kind := range []string{store.KindNetwork, store.KindSubnet, store.KindPort, store.KindSecurityGroup, store.KindGroupMembers,
		store.KindRouter, store.KindShadowPort, store.KindFloatingIP} {
		for _, id := range []string{d.router.ID, d.near.ID, d.twin.ID, d.first.ID, d.nat.ID, d.a.ID, d.both.ID, d.web.ID} {
			late := store.Target{Kind: kind, ID: id, Pod: "pod1"}
			if err := d.Ensure(d.t.Context(), late, nil); err != nil && !fault.Is(err, fault.NotFound) {
				d.t.Errorf("late: %v: %v", late, err)
			}
		}
	}
}
