package compute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// oneZone is a world whose pods are all in az1. First is where demo's servers go
// when all is well; a server of it is there, on network n. The pods have their
// limits in Keystone: Nova takes other ones and does not heed them.
func oneZone(t *testing.T) (w *world, demo *client, n topology.Network, first, second *podtest.Pod) {
	t.Helper()
	w = newWorld(t, podtest.Options{})
	for _, p := range w.cloud.Pods() {
		_, err := w.store.UpdatePod(t.Context(), p.Name, func(p *store.Pod) error { p.Zone = "az1"; return nil })
		must(t, err)
		p.Fault(podtest.Fault{Service: podtest.Compute, Method: "PUT", Path: `/os-quota-sets/`, Status: 200, Body: `{"quota_set": {}}`})
	}
	w.fleet.Changed()
	demo = w.as("demo")
	n = demo.network("blue", "10.1.0.0/24", pool("10.1.0.100", "10.1.0.200"))
	made := demo.do("POST", "/servers", server(m{"networks": []m{{"uuid": n.ID}}})).want(t, 202)
	first, second = w.cloud.Pod("pod1"), w.cloud.Pod("pod2")
	if made.header.Get("X-Tricircle-Pod") == "pod2" {
		first, second = second, first
	}
	eventually(t, "the first server is settled", func() bool { return w.idle(t) })
	return w, demo, n, first, second
}

// unchanged waits until the pod holds what it held, but for rules: its groups let
// in the servers of the other pod.
func (w *world) unchanged(t *testing.T, p *podtest.Pod, before map[string][]string) {
	t.Helper()
	delete(before, "security_group_rule")
	eventually(t, p.Name+" is as before", func() bool { return cmp.Equal(before, withoutRules(p)) && w.idle(t) }, func() string {
		return cmp.Diff(before, withoutRules(p)) + w.busy(t)
	})
}

func withoutRules(p *podtest.Pod) map[string][]string {
	all := p.Inventory()
	delete(all, "security_group_rule")
	return all
}

func (c *client) removeAll(t *testing.T) {
	t.Helper()
	var ids []string
	for _, s := range c.do("GET", "/servers", nil).want(t, 200).get("servers").Array() {
		ids = append(ids, s.Get("id").Str)
	}
	c.remove(t, ids...)
}

// TestRefusedMovesOn holds that a server which its project's pod refuses goes to
// the next one, with the addresses asked for, and leaves nothing behind.
func TestRefusedMovesOn(t *testing.T) {
	t.Parallel()
	ways := map[string]func(first *podtest.Pod){
		"servers": func(p *podtest.Pod) { p.SetQuota(1) },
		"ports":   func(p *podtest.Pod) { p.Network.SetQuota("port", 2) },
	}
	for name, refuse := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, demo, n, first, second := oneZone(t)
			own := demo.port(n.ID)
			refuse(first)
			before := first.Inventory()
			for i, nics := range [][]m{{{"uuid": n.ID}}, {{"uuid": n.ID, "fixed_ip": "10.1.0.77"}}, {{"port": own.ID}}} {
				made := demo.do("POST", "/servers", server(m{"networks": nics, "availability_zone": "az1"})).want(t, 202)
				if got := made.header.Get("X-Tricircle-Pod"); got != second.Name {
					t.Errorf("server %d went to %s, want %s", i, got, second.Name)
				}
				ports, err := w.store.PortsByDevice(t.Context(), made.get("server.id").Str)
				must(t, err)
				if len(ports) != 1 || i == 1 && ports[0].FixedIPs[0].Address.String() != "10.1.0.77" || i == 2 && ports[0].ID != own.ID {
					t.Errorf("server %d has ports %+v", i, ports)
				}
			}
			w.unchanged(t, first, before)
			if b, err := w.store.FindBinding(t.Context(), demo.project, "az1"); err != nil || b.Pod != first.Name {
				t.Errorf("binding = %+v, %v, want that it stays in %s", b, err, first.Name)
			}
			demo.removeAll(t)
			must(t, w.store.DeletePort(t.Context(), own.ID, nil))
			w.drop(t, n.ID)
			w.clean(t)
		})
	}
}

// TestAllRefuse: the last refusal is the answer, with what the others said, and
// networks that were brought only for it leave again.
func TestAllRefuse(t *testing.T) {
	t.Parallel()
	w, demo, n, first, second := oneZone(t)
	first.SetQuota(1)
	second.SetQuota(0)
	before := w.inventory()
	green := demo.network("green", "10.2.0.0/24")
	web := demo.group("web")
	for _, networks := range [][]m{{{"uuid": green.ID}}, {{"uuid": n.ID}}, {}} {
		got := demo.do("POST", "/servers", server(m{"networks": networks, "security_groups": []m{{"name": "web"}}, "name": "x"}))
		if len(networks) == 0 {
			got = demo.do("POST", "/servers", server(m{"name": "x"}))
		}
		got.want(t, 403)
		for _, say := range []string{"Quota exceeded for instances", "pod pod1: ", "pod pod2: "} {
			if !strings.Contains(got.message(), say) {
				t.Errorf("%q does not say %q", got.message(), say)
			}
		}
	}
	w.unchanged(t, first, before[first.Name])
	w.unchanged(t, second, before[second.Name])
	must(t, w.store.DeleteSecurityGroup(t.Context(), web.ID, nil))
	demo.removeAll(t)
	w.drop(t, n.ID, green.ID)
	w.clean(t)
}

// TestNetworkQuota: what could not be made is not tried again for ever.
func TestNetworkQuota(t *testing.T) {
	t.Parallel()
	w, demo, n, first, second := oneZone(t)
	first.Network.SetQuota("network", 1)
	before := first.Inventory()
	green := demo.network("green", "10.2.0.0/24")
	made := demo.do("POST", "/servers", server(m{"networks": []m{{"uuid": green.ID}}})).want(t, 202)
	if got := made.header.Get("X-Tricircle-Pod"); got != second.Name {
		t.Errorf("the server went to %s, want %s", got, second.Name)
	}
	w.unchanged(t, first, before)
	demo.removeAll(t)
	w.drop(t, n.ID, green.ID)
	w.clean(t)
}

// perPod counts the servers of a list of made ones.
func (w *world) perPod() map[string]int {
	count := map[string]int{}
	for _, p := range w.cloud.Pods() {
		count[p.Name] = len(p.Inventory()["server"])
	}
	return count
}

func TestManyServersAndQuota(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		fields        m
		firstQuota    int // one server is there already
		secondQuota   int
		status        int
		first, second int
	}{
		{"all fit", m{"min_count": 3}, 9, 9, 202, 4, 0},
		{"as many as fit", m{"min_count": 1, "max_count": 3}, 3, 9, 202, 3, 0},
		{"all together go to the next pod", m{"min_count": 3}, 3, 9, 202, 1, 3},
		{"all go to the next pod, which has room for some", m{"min_count": 2, "max_count": 4}, 2, 3, 202, 1, 3},
		{"no pod has room for all", m{"min_count": 3}, 3, 2, 403, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, demo, n, first, second := oneZone(t)
			first.SetQuota(tt.firstQuota)
			second.SetQuota(tt.secondQuota)
			tt.fields["networks"] = []m{{"uuid": n.ID}}
			demo.do("POST", "/servers", server(tt.fields)).want(t, tt.status)
			want := map[string]int{first.Name: tt.first, second.Name: tt.second}
			eventually(t, fmt.Sprint("servers are ", want), func() bool { return cmp.Equal(want, w.perPod()) && w.idle(t) }, func() string {
				return fmt.Sprint(w.perPod())
			})
			if got := len(demo.do("GET", "/servers", nil).get("servers").Array()); got != tt.first+tt.second {
				t.Errorf("the list shows %d servers, want %d", got, tt.first+tt.second)
			}
			demo.removeAll(t)
			w.drop(t, n.ID)
			w.clean(t)
		})
	}
}

func TestSpreadHint(t *testing.T) {
	t.Parallel()
	w, demo, n, first, second := oneZone(t)
	bodies := watchCreations(second)
	body := server(m{"networks": []m{{"uuid": n.ID}}, "min_count": 4})
	body["os:scheduler_hints"] = m{"tricircle:spread": "pods", "foo": "bar"}
	demo.do("POST", "/servers", body).want(t, 202)
	if want := map[string]int{first.Name: 3, second.Name: 2}; !cmp.Equal(want, w.perPod()) {
		t.Errorf("servers per pod = %v, want %v", w.perPod(), want)
	}
	if sent := strings.Join(bodies(), ""); strings.Contains(sent, "tricircle:spread") || !strings.Contains(sent, `"foo":"bar"`) {
		t.Errorf("the pod was sent %s", sent)
	}
	body["os:scheduler_hints"] = m{"tricircle:spread": "hosts"}
	if got := demo.do("POST", "/servers", body).want(t, 400); !strings.Contains(got.message(), "tricircle:spread") {
		t.Errorf("a wrong value: %s", got.body)
	}
	// A pod without quota leaves all to the other.
	second.SetQuota(0)
	body["os:scheduler_hints"] = m{"tricircle:spread": "pods"}
	demo.do("POST", "/servers", body).want(t, 202)
	if got := w.perPod()[first.Name]; got != 7 {
		t.Errorf("%s has %d servers, want 7", first.Name, got)
	}
	demo.removeAll(t)
	w.drop(t, n.ID)
	w.clean(t)
}

// TestNoValidHostIsLearned: Nova fails such a server later, and it is the user's;
// the next one goes elsewhere.
func TestNoValidHostIsLearned(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2.1", "2.93"} {
		w, demo, n, first, second := oneZone(t)
		first.SetCapacity(1)
		failed := demo.do("POST", "/servers", server(m{})).want(t, 202)
		if got := failed.header.Get("X-Tricircle-Pod"); got != first.Name {
			t.Errorf("the server went to %s, want %s: nothing was known yet", got, first.Name)
		}
		if got := demo.at(version).do("GET", "/servers/"+failed.get("server.id").Str, nil).get("server.status").Str; got != "ERROR" {
			t.Errorf("status = %s, want ERROR", got)
		}
		next := demo.do("POST", "/servers", server(m{})).want(t, 202)
		if got := next.header.Get("X-Tricircle-Pod"); got != second.Name {
			t.Errorf("the next server went to %s, want %s", got, second.Name)
		}
		demo.removeAll(t)
		w.drop(t, n.ID)
		w.clean(t)
	}
}

func TestNamedHosts(t *testing.T) {
	t.Parallel()
	w, demo, n, first, second := oneZone(t)
	admin := w.as("admin")
	tests := []struct {
		name   string
		fields m
		status int
		pod    string
	}{
		{"behind the zone", m{"availability_zone": "az1:" + second.Compute.Host}, 202, second.Name},
		{"the other pod's", m{"availability_zone": "az1:" + first.Compute.Host}, 202, first.Name},
		{"with the pod's name", m{"availability_zone": "az1:" + second.Compute.Host + "@" + second.Name}, 202, second.Name},
		{"without a zone", m{"availability_zone": ":" + second.Compute.Host}, 202, second.Name},
		{"in its own field", m{"host": second.Compute.Host}, 202, second.Name},
		{"by its node", m{"hypervisor_hostname": second.Compute.Host + "@" + second.Name}, 202, second.Name},
		{"in no pod", m{"availability_zone": "az1:nowhere"}, 400, ""},
		{"in two pods", m{"host": first.Compute.Host, "hypervisor_hostname": second.Compute.Host}, 400, ""},
		{"in two ways", m{"availability_zone": "az1:" + first.Compute.Host, "host": first.Compute.Host}, 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			made := admin.do("POST", "/servers", server(tt.fields)).want(t, tt.status)
			if got := made.header.Get("X-Tricircle-Pod"); tt.status == 202 && got != tt.pod {
				t.Errorf("the server went to %s, want %s", got, tt.pod)
			}
		})
	}
	demo.do("POST", "/servers", server(m{"host": second.Compute.Host})).want(t, 403)
	demo.do("POST", "/servers", server(m{"availability_zone": "az1:" + second.Compute.Host})).want(t, 403)
	admin.removeAll(t)
	demo.removeAll(t)
	w.drop(t, n.ID)
	w.clean(t)
}
