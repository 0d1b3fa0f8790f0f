package store_test

import (
	"context"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

func TestExternalNetworkHasAPod(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		setFabric := func(pod string) {
			t.Helper()
			if err := s.SetFabric(topology.Fabric{ExternalPod: pod}); err != nil {
				t.Fatal(err)
			}
		}
		make := func(hints ...string) (topology.Network, error) {
			made, err := s.CreateNetworks(ctx, []topology.Network{{ProjectID: "admin", Type: topology.TypeLocal, External: true, ZoneHints: hints}})
			if err != nil {
				return topology.Network{}, err
			}
			return s.FindNetwork(ctx, made[0].ID)
		}
		setFabric("")
		early, err := make()
		if err != nil || early.Pod != "" {
			t.Errorf("without pods: %q, %v", early.Pod, err)
		}
		for _, p := range []store.Pod{{Name: "eu-1", Region: "r1", Zone: "eu"}, {Name: "eu-2", Region: "r2", Zone: "eu"}, {Name: "us-1", Region: "r3", Zone: "us"}} {
			if _, err := s.CreatePod(ctx, p); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			config, want string
			hints        []string
		}{
			{"", "eu-1", nil}, {"", "us-1", []string{"us"}}, {"", "eu-2", []string{"eu-2"}}, {"us-1", "us-1", nil}, {"us-1", "eu-1", []string{"eu"}},
		} {
			setFabric(c.config)
			if n, err := make(c.hints...); err != nil || n.Pod != c.want {
				t.Errorf("with %q and hints %v: pod %q, %v, want %q", c.config, c.hints, n.Pod, err, c.want)
			}
		}
		setFabric("nowhere")
		if _, err := make(); !fault.Is(err, fault.Invalid) {
			t.Errorf("in a pod that is not there: %v", err)
		}
		setFabric("us-1")
		_, err = s.CreateRouters(ctx, []store.RouterSpec{{Router: topology.Router{ProjectID: "p"}, WantGateway: &topology.WantGateway{NetworkID: early.ID}}})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.FindNetwork(ctx, early.ID); err != nil || n.Pod != "us-1" {
			t.Errorf("of an early network: %q, %v", n.Pod, err)
		}
		for pod, want := range map[string]bool{"us-1": true, "eu-1": false} {
			in := store.Mapping{Target: store.Target{Kind: store.KindNetwork, ID: early.ID, Pod: pod}}
			if needed, err := s.StillNeeded(ctx, in); err != nil || needed != want {
				t.Errorf("in %s, where a router has its gateway or not: needed %v, %v", pod, needed, err)
			}
		}
		shut, err := s.UpdateNetwork(ctx, func() string { n, _ := make(); return n.ID }(), func(n *topology.Network) error { n.External = false; return nil })
		if err != nil || shut.Pod != "" {
			t.Errorf("of one that is external no more: %q, %v", shut.Pod, err)
		}
	})
}
