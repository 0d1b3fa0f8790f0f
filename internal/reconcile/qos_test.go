package reconcile_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// qosPolicy makes a central policy with rules.
func (w *world) qosPolicy(rules ...topology.QoSRule) topology.QoSPolicy {
	w.t.Helper()
	made, err := w.store.QoSPolicies().Create(w.t.Context(), []topology.QoSPolicy{{Standard: topology.Standard{ProjectID: w.project}, Name: "gold"}})
	if err == nil && len(rules) > 0 {
		_, err = w.store.CreateQoSRules(w.t.Context(), made[0].ID, rules)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return made[0]
}

// qosRules are the rules of the pod's only policy.
func (w *world) qosRules(podName string) []string {
	w.t.Helper()
	all := w.cloud.Pod(podName).Objects("policy")
	if len(all) != 1 {
		w.t.Fatalf("%s has %d policies, want one", podName, len(all))
	}
	out := []string{}
	for _, r := range all[0]["rules"].([]map[string]any) {
		out = append(out, fmt.Sprintln(r["type"], r["direction"], r["max_kbps"], r["min_kbps"], r["dscp_mark"]))
	}
	slices.Sort(out)
	return out
}

// policyOf is the policy that pod1's object of ours names; nil for none.
func (w *world) policyOf(kind, id string) any {
	w.t.Helper()
	for _, o := range w.cloud.Pod("pod1").Objects(kind) {
		if o["description"] == "tricircle:"+kind+":"+id {
			return o["qos_policy_id"]
		}
	}
	w.t.Fatalf("pod1 has no %s %s", kind, id)
	return nil
}

func limit(kbps int) topology.QoSRule {
	return topology.QoSRule{Type: topology.QoSBandwidthLimit, Direction: topology.Egress, Value: kbps}
}

func TestQoSFollowsItsUsers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		ctx := t.Context()
		ofNetwork, ofPort := w.qosPolicy(limit(100)), w.qosPolicy(topology.QoSRule{Type: topology.QoSDSCPMarking, Value: 26})
		net := w.network("blue", "10.0.0.0/24")
		name := func(policy string) {
			t.Helper()
			_, err := s.UpdateNetwork(ctx, net.ID, func(n *topology.Network) error { n.QoSPolicyID = policy; return nil })
			if err != nil {
				t.Fatal(err)
			}
			w.settle()
		}
		name(ofNetwork.ID)
		ports := w.ports(net.ID, 2)
		w.mustWant(portIn(ports[0], "pod1"))
		if diff := cmp.Diff([]string{"bandwidth_limit egress 100 <nil> <nil>\n"}, w.qosRules("pod1")); diff != "" {
			t.Errorf("rules in pod1 (-want +got):\n%s", diff)
		}
		if n := len(w.cloud.Pod("pod2").Objects("policy")); n != 0 {
			t.Errorf("pod2, where nothing names it, has %d policies", n)
		}
		there := w.cloud.Pod("pod1").Objects("policy")[0]
		if got := w.policyOf("network", net.ID); got != there["id"] {
			t.Errorf("the pod's network names %v, want %v", got, there["id"])
		}

		// Rules, by any way, arrive; and what a pod's operator adds goes.
		rules, err := s.ListQoSRules(ctx, store.Query{Filters: map[string][]string{"policy_id": {ofNetwork.ID}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.UpdateQoSRule(ctx, rules[0].ID, func(r *topology.QoSRule) error { r.Value = 500; return nil }); err != nil {
			t.Fatal(err)
		}
		least := topology.QoSRule{Type: topology.QoSMinimumBandwidth, Direction: topology.Ingress, Value: 400}
		if _, err := s.CreateQoSRules(ctx, ofNetwork.ID, []topology.QoSRule{least}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		want := []string{"bandwidth_limit egress 500 <nil> <nil>\n", "minimum_bandwidth ingress <nil> 400 <nil>\n"}
		if diff := cmp.Diff(want, w.qosRules("pod1")); diff != "" {
			t.Errorf("rules in pod1 after changes (-want +got):\n%s", diff)
		}

		// A port's own policy comes with the port, and goes from it.
		own := func(policy string) {
			t.Helper()
			_, err := s.UpdatePort(ctx, ports[0].ID, func(p *topology.PortSpec) error { p.QoSPolicyID = policy; return nil })
			if err != nil {
				t.Fatal(err)
			}
			w.settle()
		}
		own(ofPort.ID)
		if got := w.policyOf("port", ports[0].ID); got == nil || got == there["id"] {
			t.Errorf("the pod's port names %v, want its own policy", got)
		}
		own("")
		name("")
		if a, b := w.policyOf("port", ports[0].ID), w.policyOf("network", net.ID); a != nil || b != nil {
			t.Errorf("port and network name %v and %v still", a, b)
		}
		for _, p := range []topology.QoSPolicy{ofNetwork, ofPort} {
			if err := s.QoSPolicies().Delete(ctx, p.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
		w.settle()
		if left := w.cloud.Pod("pod1").Objects("policy"); len(left) != 0 {
			t.Errorf("policies left in pod1: %v", left)
		}
	})
}

// Whatever call goes wrong, one policy is there in the end, with its rules.
func TestQoSSurvivesFailures(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]podtest.Fault{"reply lost": {DropReply: true}, "500": {Status: 500, Body: "oops"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for nth := 1; nth <= 5; nth++ {
				w := newWorld(t, storetest.New(t), podtest.Options{})
				p := w.qosPolicy(limit(100), topology.QoSRule{Type: topology.QoSDSCPMarking, Value: 26})
				fault.Nth, fault.Times = nth, 1
				remove := w.cloud.Pod("pod1").Fault(fault)
				target := store.Target{Kind: store.KindQoSPolicy, ID: p.ID, Pod: "pod1"}
				_ = w.want(target)
				remove()
				w.restart()
				w.mustWant(target)
				want := []string{"bandwidth_limit egress 100 <nil> <nil>\n", "dscp_marking <nil> <nil> <nil> 26\n"}
				if diff := cmp.Diff(want, w.qosRules("pod1")); diff != "" {
					t.Errorf("call %d (-want +got):\n%s", nth, diff)
				}
			}
		})
	}
}
