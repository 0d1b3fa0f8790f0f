package reconcile_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// ownNetwork makes a network in pod1, past the region.
func (w *world) ownNetwork(vlan int) {
	w.t.Helper()
	w.operate("pod1", http.MethodPost, "/v2.0/networks", strings.NewReader(fmt.Sprintf(
		`{"network": {"name": "own", "provider:network_type": "vlan", "provider:physical_network": "bridge", "provider:segmentation_id": %d}}`, vlan)))
}

// vlansIn are the VLANs that the pod has.
func (w *world) vlansIn(podName string) []int {
	var all []int
	for _, o := range w.cloud.Pod(podName).Objects("network") {
		if id, err := strconv.Atoi(fmt.Sprint(o["provider:segmentation_id"])); err == nil {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

func networkIn(n topology.Network, podName string) store.Target {
	return store.Target{Kind: store.KindNetwork, ID: n.ID, Pod: podName}
}

// TestPodHasTheSegment: a pod's own network has the VLAN that the region chose for a
// network. It gets another one, in all pods; once a pod has it, it stays, and the
// other pod's job says why it cannot.
func TestPodHasTheSegment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	n := w.network("moves", "10.1.0.0/24")
	w.ownNetwork(n.SegmentationID)
	w.mustWant(networkIn(n, "pod1"))
	w.mustWant(networkIn(n, "pod2"))
	now, err := w.store.FindNetwork(t.Context(), n.ID)
	if err != nil || now.SegmentationID == n.SegmentationID {
		t.Fatalf("the VLAN is %d as before: %v", now.SegmentationID, err)
	}
	if got := w.vlansIn("pod2"); !slices.Equal(got, []int{now.SegmentationID}) {
		t.Errorf("pod2 has the VLANs %v, want %d", got, now.SegmentationID)
	}
	if got := w.vlansIn("pod1"); !slices.Contains(got, now.SegmentationID) || len(got) != 2 {
		t.Errorf("pod1 has the VLANs %v, want its own and %d", got, now.SegmentationID)
	}

	stays := w.network("stays", "10.2.0.0/24")
	w.mustWant(networkIn(stays, "pod2"))
	w.ownNetwork(stays.SegmentationID)
	if err := w.want(networkIn(stays, "pod1")); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), fmt.Sprint(stays.SegmentationID)) {
		t.Errorf("in pod1: %v, want a conflict with the VLAN", err)
	}
	if now, err := w.store.FindNetwork(t.Context(), stays.ID); err != nil || now.SegmentationID != stays.SegmentationID {
		t.Errorf("its VLAN was %d, is %d: %v", stays.SegmentationID, now.SegmentationID, err)
	}
}

// TestPatrolSeesSegments: after a census no network gets a VLAN that a pod has of its
// own.
func TestPatrolSeesSegments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	err := w.store.SetFabric(topology.Fabric{Physical: []topology.PhysicalNetwork{
		{Name: "bridge", VLANs: []topology.SegmentRange{{Min: 101, Max: 103}}}}})
	if err != nil {
		t.Fatal(err)
	}
	first := w.network("first", "10.1.0.0/24")
	w.mustWant(networkIn(first, "pod1"))
	left := slices.DeleteFunc([]int{101, 102, 103}, func(id int) bool { return id == first.SegmentationID })
	w.ownNetwork(left[0])
	if err := w.Patrol(t.Context(), "pod1"); err != nil {
		t.Fatal(err)
	}
	n := w.network("second", "10.2.0.0/24")
	if n.SegmentationID != left[1] {
		t.Errorf("VLAN %d, want %d", n.SegmentationID, left[1])
	}
	w.ownNetwork(left[1]) // and nothing is free
	if err := w.want(networkIn(n, "pod1")); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), fmt.Sprint(left[1])) {
		t.Errorf("without a free VLAN: %v, want a conflict with the one that it has", err)
	}
}
