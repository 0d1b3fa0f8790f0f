package plan_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/topology"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	server := plan.Member{ID: "s", Owner: "compute:az1", DeviceID: "i", Host: "h2"}
	router := plan.Member{ID: "r", Owner: topology.OwnerPodRouter, DeviceID: "r", Host: "h1"}
	dhcp := plan.Member{ID: "d", Owner: topology.OwnerDHCP, DeviceID: "dhcp", Host: "h9"}
	standIn := plan.Member{ID: "x", Owner: topology.OwnerStandIn, Host: "tricircle-pod2-h7"}
	free := plan.Member{ID: "f"}
	starting := plan.Member{ID: "b", Owner: "compute:az1", DeviceID: "j"}
	for _, tc := range []struct {
		name     string
		in       []plan.Member
		want     []string
		unplaced bool
	}{
		{"no members", nil, nil, false},
		{"servers and routers count, each host once", []plan.Member{server, router, server}, []string{"h1", "h2"}, false},
		{"DHCP serves its own pod, and stand-ins are others'", []plan.Member{dhcp, standIn}, nil, false},
		{"a port that nothing has is nowhere", []plan.Member{free}, nil, false},
		{"a server that starts will be somewhere", []plan.Member{starting, server}, []string{"h2"}, true},
	} {
		got, unplaced := plan.Hosts(tc.in)
		if !slices.Equal(got, tc.want) || unplaced != tc.unplaced {
			t.Errorf("%s: Hosts = %v, %v, want %v, %v", tc.name, got, unplaced, tc.want, tc.unplaced)
		}
	}
}

func TestInterconnect(t *testing.T) {
	t.Parallel()
	at := func(id, host, status string) plan.Member {
		return plan.Member{ID: id, Owner: topology.OwnerStandIn, Host: host, VIFType: "ovs", Status: status}
	}
	up, down, double, stale := at("1", "a", "ACTIVE"), at("2", "b", "DOWN"), at("3", "a", "ACTIVE"), at("4", "z", "ACTIVE")
	failed, unbound := at("5", "c", "DOWN"), at("6", "d", "DOWN")
	failed.VIFType, unbound.VIFType = "binding_failed", "unbound"
	for _, tc := range []struct {
		name  string
		hosts []string
		found []plan.Member
		want  plan.StandIns
	}{
		{"nothing anywhere", nil, nil, plan.StandIns{}},
		{"all there", []string{"a"}, []plan.Member{up}, plan.StandIns{}},
		{"new hosts", []string{"a", "b"}, nil, plan.StandIns{Make: []string{"a", "b"}}},
		{"not up yet", []string{"b"}, []plan.Member{down}, plan.StandIns{Raise: []plan.Member{down}}},
		{"a host without members, and a double", []string{"a"}, []plan.Member{up, double, stale}, plan.StandIns{Remove: []plan.Member{double, stale}}},
		{"what could not be bound is made anew", []string{"c", "d"}, []plan.Member{failed, unbound},
			plan.StandIns{Make: []string{"c", "d"}, Remove: []plan.Member{failed, unbound}}},
		{"the network leaves", nil, []plan.Member{up, down}, plan.StandIns{Remove: []plan.Member{up, down}}},
	} {
		if diff := cmp.Diff(tc.want, plan.Interconnect(tc.hosts, tc.found)); diff != "" {
			t.Errorf("%s: Interconnect (-want +got):\n%s", tc.name, diff)
		}
	}
}
