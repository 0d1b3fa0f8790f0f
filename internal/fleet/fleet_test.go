package fleet_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func TestPodsAreSeenByOtherReplicasWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c, k := newCloud(t), newClock()
		here, there := newFleet(s, c, k), newFleet(s, c, k)
		names := func(f *fleet.Fleet) (names []string) {
			t.Helper()
			pods, err := f.Pods(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pods {
				names = append(names, p.Name)
			}
			return names
		}
		names(here)
		names(there)
		addPod(t, s, here, "pod2", "Pod2", "az2")
		addPod(t, s, here, "pod1", "Pod1", "az1")
		if diff := cmp.Diff([]string{"pod1", "pod2"}, names(here)); diff != "" {
			t.Errorf("Pods here (-want +got):\n%s", diff)
		}
		k.step(2 * time.Second)
		if diff := cmp.Diff([]string{"pod1", "pod2"}, names(there)); diff != "" {
			t.Errorf("Pods in another replica after 2 s (-want +got):\n%s", diff)
		}
		if got := there.ZoneOf("pod2"); got != "az2" {
			t.Errorf("ZoneOf(pod2) = %q, want az2", got)
		}
		if got := there.ZoneOf("nope"); got != "" {
			t.Errorf("ZoneOf(nope) = %q, want nothing", got)
		}
	})
}

func TestClientLivesUntilItsPodChanges(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newFleet(s, newCloud(t), newClock())
		addPod(t, s, f, "pod1", "Pod1", "az1")
		client := func() *pod.Client {
			t.Helper()
			c, err := f.Client(context.Background(), "pod1")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first := client()
		changePod(t, s, f, "pod1", func(p *store.Pod) { p.Cordoned, p.Zone, p.DHCPPorts = true, "az7", 3 })
		if client() != first {
			t.Error("a change of the zone made a new client: its breaker is lost")
		}
		changes := map[string]func(*store.Pod){
			"region":      func(p *store.Pod) { p.Region = "New" },
			"credentials": func(p *store.Pod) { p.Cloud = "other" },
			"interface":   func(p *store.Pod) { p.Interface = "internal" },
		}
		for name, change := range changes {
			before := client()
			changePod(t, s, f, "pod1", change)
			if client() == before {
				t.Errorf("a change of the %s did not make a new client", name)
			}
		}
		changePod(t, s, f, "pod1", func(p *store.Pod) { p.Cloud = "missing" })
		_, err := f.Client(context.Background(), "pod1")
		expect(t, "credentials missing", err, fault.Unavailable, "pod1", "missing")
		_, err = f.Client(context.Background(), "nope")
		expect(t, "no such pod", err, fault.NotFound, "nope")
	})
}

func TestZones(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCloud(t)
		f := newFleet(s, c, newClock())
		addPod(t, s, f, "pod3", "Pod3", "az2")
		addPod(t, s, f, "pod1", "Pod1", "az1")
		addPod(t, s, f, "pod2", "Pod2", "az1")
		changePod(t, s, f, "pod1", func(p *store.Pod) { p.Cordoned = true })
		changePod(t, s, f, "pod3", func(p *store.Pod) { p.Cordoned = true })
		zones := func() []fleet.Zone {
			t.Helper()
			zones, err := f.Zones(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return zones
		}
		want := []fleet.Zone{
			{Name: "az1", Pods: []string{"pod1", "pod2"}, Available: true},
			{Name: "az2", Pods: []string{"pod3"}},
		}
		if diff := cmp.Diff(want, zones()); diff != "" {
			t.Errorf("Zones (-want +got):\n%s", diff)
		}

		c.fail("Pod2", http.StatusServiceUnavailable)
		client, err := f.Client(context.Background(), "pod2")
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			expect(t, "probe", client.Probe(context.Background()), fault.Unavailable)
		}
		want[0].Available = false
		if diff := cmp.Diff(want, zones()); diff != "" {
			t.Errorf("Zones with pod2 away (-want +got):\n%s", diff)
		}
	})
}

func TestWhere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		f := newFleet(s, newCloud(t), newClock())
		addPod(t, s, f, "pod1", "Pod1", "az1")
		addPod(t, s, f, "pod2", "Pod2", "az1")
		entry := store.Entry{Kind: store.KindServer, ID: "s1", Pod: "pod2", ProjectID: "demo", CreatedAt: time.Now()}
		if err := s.Record(ctx, entry); err != nil {
			t.Fatal(err)
		}
		m, err := f.Where(ctx, store.KindServer, "s1")
		if err != nil || m.Pod != "pod2" || m.PodID != "s1" {
			t.Errorf("Where(server s1) = %+v, %v, want pod2", m, err)
		}
		_, err = f.Where(ctx, store.KindVolume, "s1")
		expect(t, "another kind", err, fault.NotFound, "s1")
	})
}
