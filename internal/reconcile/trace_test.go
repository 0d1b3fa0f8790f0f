package reconcile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
	"github.com/tricircle/tricircle/internal/trace"
)

// serve makes a port in the pod that a server has, as far as the network knows.
func (w *world) serve(n topology.Network, podName, server string) {
	w.t.Helper()
	made, err := w.store.CreatePorts(w.t.Context(), []topology.PortSpec{{Near: podName, Port: topology.Port{
		ProjectID: w.project, NetworkID: n.ID, AdminStateUp: true, DeviceID: server, DeviceOwner: "compute:" + podName}}})
	if err != nil {
		w.t.Fatal(err)
	}
	at := portIn(made[0], podName)
	w.mustWant(at)
	m, err := w.store.FindMapping(w.t.Context(), at)
	if err != nil {
		w.t.Fatal(err)
	}
	w.change(podName, "port", m.PodID, map[string]any{"binding:host_id": podName + "-node1", "device_owner": "compute:nova", "device_id": server})
}

// change changes something in a pod, as its operator would.
func (w *world) change(podName, kind, id string, changes map[string]any) {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{kind: changes})
	if err != nil {
		w.t.Fatal(err)
	}
	w.operate(podName, http.MethodPut, "/v2.0/"+strings.ReplaceAll(kind, "_", "-")+"s/"+id, bytes.NewReader(body))
}

// findIn is the pod's ID of the thing of that name.
func (w *world) findIn(podName, kind, name string) string {
	w.t.Helper()
	for _, o := range w.cloud.Pod(podName).Objects(kind) {
		if o["name"] == name {
			return o["id"].(string)
		}
	}
	w.t.Fatalf("%s has no %s %s", podName, kind, name)
	return ""
}

func (w *world) trace(from, to string, traffic trace.Traffic) trace.Report {
	w.t.Helper()
	report, err := (&trace.Tracer{Store: w.store, Pods: w.fleet}).Trace(w.t.Context(), from, to, traffic)
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// outline is a path in short: "pod1/port pod1/network ...", problems at once.
func outline(p trace.Path) string {
	var hops []string
	for _, h := range p.Hops {
		text := h.Kind
		if h.Pod != "" {
			text = h.Pod + "/" + h.Kind
		}
		if h.Problem != "" {
			text += "(" + h.Problem + ")"
		}
		hops = append(hops, text)
	}
	return strings.Join(hops, " ")
}

func problems(r trace.Report) (all []string) {
	for _, p := range r.Paths {
		for _, h := range p.Hops {
			if h.Problem != "" {
				all = append(all, fmt.Sprintf("%s/%s: %s", h.Pod, h.Kind, h.Problem))
			}
		}
	}
	return all
}

func TestTrace(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newRouted(t, s)
		a, b, both := w.network("a", "10.0.1.0/24"), w.network("b", "10.0.2.0/24"), w.network("both", "10.0.3.0/24")
		for _, n := range []topology.Network{a, b, both} {
			w.attach(n)
		}
		w.serve(a, "pod1", "web")
		w.serve(b, "pod2", "db")
		w.serve(both, "pod1", "one")
		w.serve(both, "pod2", "two")
		w.settle()

		icmp := trace.Traffic{}
		for _, c := range []struct{ from, to, there, back string }{
			{"one", "two", // the default group lets its members in
				"pod1/port pod1/security_group pod1/network interconnect pod2/network pod2/security_group pod2/port",
				"pod2/port pod2/network interconnect pod1/network pod1/port"},
			{"web", "one",
				"pod1/port pod1/security_group pod1/network pod1/subnet pod1/interface pod1/router pod1/interface pod1/network pod1/security_group pod1/port",
				"pod1/port pod1/network pod1/subnet pod1/interface pod1/router pod1/interface pod1/network pod1/port"},
			{"web", "db",
				"pod1/port pod1/security_group pod1/network pod1/subnet pod1/interface pod1/router pod1/route pod1/interface pod1/network " +
					"interconnect pod2/network pod2/interface pod2/router pod2/interface pod2/network pod2/security_group pod2/port",
				"pod2/port pod2/network pod2/subnet pod2/interface pod2/router pod2/route pod2/interface pod2/network " +
					"interconnect pod1/network pod1/interface pod1/router pod1/interface pod1/network pod1/port"},
		} {
			r := w.trace(c.from, c.to, icmp)
			if len(r.Paths) != 2 || outline(r.Paths[0]) != c.there || outline(r.Paths[1]) != c.back {
				t.Errorf("%s to %s:\n%s\n%s\nwant\n%s\n%s", c.from, c.to, outline(r.Paths[0]), outline(r.Paths[1]), c.there, c.back)
			}
		}
	})
}

func TestTraceFindsWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	w := newRouted(t, s)
	a, b := w.network("a", "10.0.1.0/24"), w.network("b", "10.0.2.0/24")
	lone := w.network("lone", "10.0.9.0/24")
	w.attach(a)
	w.attach(b)
	w.serve(a, "pod1", "web")
	w.serve(b, "pod2", "db")
	w.serve(lone, "pod2", "hermit")
	w.settle()
	check := func(what string, r trace.Report, want ...string) {
		t.Helper()
		got := problems(r)
		if len(got) != len(want) {
			t.Errorf("%s: problems %q, want %q", what, got, want)
			return
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: problem %q, want %q", what, got[i], want[i])
			}
		}
	}
	check("nothing", w.trace("web", "db", trace.Traffic{}))
	check("no router", w.trace("web", "hermit", trace.Traffic{}), "no router is on both", "no router is on both")

	w.change("pod1", "router", w.findIn("pod1", "router", "r"), map[string]any{"routes": []any{}})
	check("routes", w.trace("web", "db", trace.Traffic{}), "pod1/route: the pod's router has no route to 10.0.2.")
	w.change("pod2", "router", w.findIn("pod2", "router", "r"), map[string]any{"admin_state_up": false})
	check("router down", w.trace("web", "db", trace.Traffic{}), "pod1/route", "pod2/router: it is administratively down",
		"pod2/router: it is administratively down")
	for _, p := range []string{"pod1", "pod2"} {
		if err := s.TouchIn(t.Context(), store.Target{Kind: store.KindRouter, ID: w.router.ID, Pod: p}); err != nil {
			t.Fatal(err)
		}
	}
	w.settle()
	check("repaired", w.trace("web", "db", trace.Traffic{}))

	for _, o := range w.cloud.Pod("pod2").Objects("security_group_rule") {
		if o["direction"] == "ingress" && o["project_id"] == w.project {
			w.delete("pod2", "/v2.0/security-group-rules/"+o["id"].(string))
		}
	}
	check("rules", w.trace("web", "db", trace.Traffic{Protocol: "tcp", Port: 22}), "pod2/security_group: a rule of its groups allows it, but none that the pod has")
	w.cloud.Pod("pod2").Down()
	r := w.trace("web", "db", trace.Traffic{})
	if got := problems(r); len(got) == 0 || !strings.Contains(got[0], "pod2") {
		t.Errorf("with pod2 away: %q", got)
	}
}

func TestTraceRefuses(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	w := newRouted(t, s)
	n := w.network("a", "10.0.1.0/24")
	w.serve(n, "pod1", "web")
	unplaced := w.ports(n.ID, 1)[0]
	tracer := &trace.Tracer{Store: s, Pods: w.fleet}
	for _, c := range []struct {
		to      string
		traffic trace.Traffic
		kind    fault.Kind
	}{
		{"nobody", trace.Traffic{}, fault.NotFound},
		{"web", trace.Traffic{Protocol: "morse"}, fault.Invalid},
		{"web", trace.Traffic{Protocol: "tcp", Port: 70000}, fault.Invalid},
	} {
		if _, err := tracer.Trace(t.Context(), "web", c.to, c.traffic); !fault.Is(err, c.kind) {
			t.Errorf("trace to %s, %+v: %v, want %v", c.to, c.traffic, err, c.kind)
		}
	}
	if got := problems(w.trace("web", unplaced.ID, trace.Traffic{})); len(got) != 2 || !strings.Contains(got[0], "it is in no pod") {
		t.Errorf("to a port that is nowhere: %q", got)
	}
}
