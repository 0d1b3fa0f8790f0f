package admin_test

import (
	"errors"
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/admin/client"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

func TestBlocksOfANetwork(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := newRegion(t, storetest.New(t))
	c := r.as("admin")
	if _, _, err := c.AddPod(ctx, admin.PodSpec{Name: "pod1", Region: podtest.Region("pod1"), Zone: "az1"}, false); err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(r.store.SetFabric(topology.Fabric{DefaultType: topology.TypeLocal}))
	networks, err := r.store.CreateNetworks(ctx, []topology.Network{{ProjectID: "demo", AdminStateUp: true}})
	must(err)
	id := networks[0].ID
	subnets, err := r.store.CreateSubnets(ctx, []topology.SubnetSpec{{Subnet: topology.Subnet{
		NetworkID: id, ProjectID: "demo", IPVersion: 4, CIDR: netip.MustParsePrefix("10.0.0.0/24")}}})
	must(err)
	_, err = r.store.CreatePorts(ctx, []topology.PortSpec{{Near: "pod1", Port: topology.Port{NetworkID: id, ProjectID: "demo"}}})
	must(err)

	got, err := c.Blocks(ctx, id)
	must(err)
	want := []admin.SubnetBlocks{{SubnetID: subnets[0].ID, CIDR: "10.0.0.0/24", Free: 15, Pods: []admin.PodBlocks{
		{Pod: "pod1", Blocks: []string{"10.0.0.0/28"}, Addresses: 14, Used: 1}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Blocks (-want +got):\n%s", diff)
	}
	var missing *client.Error
	if _, err := c.Blocks(ctx, "none"); !errors.As(err, &missing) || missing.Status != http.StatusNotFound {
		t.Errorf("Blocks of no network: %v, want 404", err)
	}
}
