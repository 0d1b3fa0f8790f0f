package plan_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/topology"
)

func TestQoSRules(t *testing.T) {
	t.Parallel()
	limit := func(v int) topology.QoSRule {
		return topology.QoSRule{Type: topology.QoSBandwidthLimit, Direction: topology.Egress, Value: v, Burst: 5}
	}
	least := func(v int) topology.QoSRule {
		return topology.QoSRule{Type: topology.QoSMinimumBandwidth, Direction: topology.Egress, Value: v}
	}
	mark := topology.QoSRule{Type: topology.QoSDSCPMarking, Value: 26}
	const has = `[{"id":"l","type":"bandwidth_limit","direction":"egress","max_kbps":300,"max_burst_kbps":5},
		{"id":"m","type":"minimum_bandwidth","direction":"egress","min_kbps":200},
		{"id":"d","type":"dscp_marking","dscp_mark":26}, {"id":"x","type":"of tomorrow","colour":"red"}]`
	gone := plan.QoSStep{Type: "of tomorrow", ID: "x"}
	toLimit := func(v int) plan.QoSStep {
		return plan.QoSStep{Type: "bandwidth_limit", ID: "l", Body: map[string]any{"max_kbps": v, "max_burst_kbps": 5}}
	}
	toLeast := func(v int) plan.QoSStep {
		return plan.QoSStep{Type: "minimum_bandwidth", ID: "m", Body: map[string]any{"min_kbps": v}}
	}
	for _, tc := range []struct {
		name string
		want []topology.QoSRule
		plan []plan.QoSStep
	}{
		{"as it is", []topology.QoSRule{limit(300), least(200), mark}, []plan.QoSStep{gone}},
		{"both up: the limit first", []topology.QoSRule{least(400), limit(500), mark}, []plan.QoSStep{gone, toLimit(500), toLeast(400)}},
		{"both down: the minimum first", []topology.QoSRule{limit(100), least(50), mark}, []plan.QoSStep{gone, toLeast(50), toLimit(100)}},
		{"what goes makes room first", []topology.QoSRule{limit(100)}, []plan.QoSStep{
			{Type: "minimum_bandwidth", ID: "m"}, {Type: "dscp_marking", ID: "d"}, gone, toLimit(100)}},
		{"another direction is another rule", []topology.QoSRule{limit(300), mark, {Type: topology.QoSMinimumBandwidth, Direction: topology.Ingress, Value: 200}},
			[]plan.QoSStep{{Type: "minimum_bandwidth", ID: "m"}, gone,
				{Type: "minimum_bandwidth", Body: map[string]any{"min_kbps": 200, "direction": "ingress"}}}},
	} {
		var found []plan.QoSRule
		if err := json.Unmarshal([]byte(has), &found); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.plan, plan.QoSRules(tc.want, found)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}
