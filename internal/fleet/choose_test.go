package fleet_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// twoPods is zone az1 with two pods that have image i1 and flavor f1, and zone
// az2 with one that has nothing. The project demo falls on first.
func twoPods(t *testing.T, s *store.Store) (f *fleet.Fleet, c *cloud, k *clock, first, second string) {
	t.Helper()
	c, k = newCloud(t), newClock()
	f = newFleet(s, c, k)
	addPod(t, s, f, "pod1", "Pod1", "az1")
	addPod(t, s, f, "pod2", "Pod2", "az1")
	addPod(t, s, f, "pod3", "Pod3", "az2")
	c.give("Pod1", "images/i1", "flavors/f1")
	c.give("Pod2", "images/i1", "flavors/f1")
	d, err := fleet.Place([]fleet.Candidate{{Pod: "pod1"}, {Pod: "pod2"}}, fleet.Need{ProjectID: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	first = d.Pod
	second = map[string]string{"pod1": "pod2", "pod2": "pod1"}[first]
	return f, c, k, first, second
}

func regionOf(pod string) string { return "P" + pod[1:] }

func choose(t *testing.T, f *fleet.Fleet, need fleet.Need) string {
	t.Helper()
	p, err := f.Choose(context.Background(), demo, need)
	if err != nil {
		t.Fatalf("Choose(%+v) failed: %v", need, err)
	}
	return p.Name
}

func binding(t *testing.T, s *store.Store) string {
	t.Helper()
	b, err := s.FindBinding(context.Background(), "demo", "az1")
	if err != nil && !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	return b.Pod
}

var small = fleet.Need{Zone: "az1", ImageID: "i1", FlavorID: "f1"}

func TestChooseBindsAndRemembers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f, c, k, first, _ := twoPods(t, s)
		if got := choose(t, f, small); got != first {
			t.Errorf("Choose = %s, want %s", got, first)
		}
		if got := binding(t, s); got != first {
			t.Errorf("binding = %q, want %s", got, first)
		}
		region := regionOf(first)
		want := []string{region + " f1/os-extra_specs demo-token", region + " flavors/f1 demo-token", region + " images/i1 demo-token"}
		if diff := cmp.Diff(want, c.asked()); diff != "" {
			t.Errorf("calls of the first choice (-want +got):\n%s", diff)
		}
		choose(t, f, small)
		if calls := c.asked(); len(calls) > 0 {
			t.Errorf("the second choice asked again: %q", calls)
		}
		k.step(31 * time.Second)
		choose(t, f, small)
		want = want[1:] // the flavor's size is known
		if diff := cmp.Diff(want, c.asked()); diff != "" {
			t.Errorf("calls after half a minute (-want +got):\n%s", diff)
		}
	})
}

func TestChooseMovesBindingOnlyFromCordonedOrRemovedPods(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f, c, _, first, second := twoPods(t, s)
		choose(t, f, small)

		c.give(regionOf(second), "images/i2")
		other := fleet.Need{Zone: "az1", ImageID: "i2", FlavorID: "f1"}
		if got := choose(t, f, other); got != second {
			t.Errorf("with an image of %s only, Choose = %s", second, got)
		}
		if got := binding(t, s); got != first {
			t.Errorf("binding moved to %s because of one image", got)
		}

		changePod(t, s, f, first, func(p *store.Pod) { p.Cordoned = true })
		if got := choose(t, f, small); got != second {
			t.Errorf("with %s cordoned, Choose = %s", first, got)
		}
		if got := binding(t, s); got != second {
			t.Errorf("binding = %s after %s was cordoned, want %s", got, first, second)
		}
		changePod(t, s, f, first, func(p *store.Pod) { p.Cordoned = false })
		if got := choose(t, f, small); got != second {
			t.Errorf("Choose = %s after uncordoning, want to stay in %s", got, second)
		}

		if err := s.DeletePod(context.Background(), second); err != nil {
			t.Fatal(err)
		}
		f.Changed()
		if got := choose(t, f, small); got != first || binding(t, s) != first {
			t.Errorf("with %s removed, Choose = %s, binding = %s", second, got, binding(t, s))
		}
	})
}

func TestChooseRefusals(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f, c, _, _, _ := twoPods(t, s)
		tests := []struct {
			name string
			need fleet.Need
			kind fault.Kind
			want []string
		}{
			{"unknown zone", fleet.Need{Zone: "az9", ImageID: "i1"}, fault.Invalid, []string{`"az9"`}},
			{"image in no pod", fleet.Need{Zone: "az1", ImageID: "nope"}, fault.Invalid,
				[]string{"pod pod1: it does not have image nope", "pod pod2: it does not have image nope"}},
			{"flavor in no pod", fleet.Need{Zone: "az1", FlavorID: "nope"}, fault.Invalid, []string{"flavor nope"}},
			{"volume in no pod", fleet.Need{Zone: "az2", Volumes: []string{"v1"}}, fault.Invalid, []string{"pod pod3: it does not have volume v1"}},
			{"odd ID", fleet.Need{Zone: "az2", ImageID: "../x?y"}, fault.Invalid, []string{"image ../x?y"}},
		}
		for _, tt := range tests {
			_, err := f.Choose(context.Background(), demo, tt.need)
			expect(t, tt.name, err, tt.kind, tt.want...)
		}
		if calls := c.asked(); strings.Contains(strings.Join(calls, " "), "service-token") {
			t.Errorf("the pods were asked with the service account: %q", calls)
		}

		c.fail("Pod1", http.StatusServiceUnavailable)
		changePod(t, s, f, "pod2", func(p *store.Pod) { p.Cordoned = true })
		_, err := f.Choose(context.Background(), demo, small)
		expect(t, "away and cordoned", err, fault.Unavailable, "pod pod1: it is away", "pod pod2: it is cordoned")

		_, err = f.Choose(context.Background(), identity.Caller{}, small)
		expect(t, "no project", err, fault.Invalid, "no project")
		if b, err := s.ListBindings(context.Background(), ""); err != nil || len(b) > 0 {
			t.Errorf("refused choices left bindings %v, %v", b, err)
		}
	})
}

func expect(t *testing.T, name string, err error, kind fault.Kind, want ...string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%s: error %v has kind %v, want %v", name, err, fault.KindOf(err), kind)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: error %q does not say %q", name, err, w)
		}
	}
}

func TestChooseGoesAroundAPodThatIsAway(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f, c, k, first, second := twoPods(t, s)
		c.fail(regionOf(first), http.StatusBadGateway)
		for range 10 {
			if got := choose(t, f, small); got != second {
				t.Fatalf("Choose = %s while %s is away", got, first)
			}
		}
		if got := binding(t, s); got != second {
			t.Errorf("binding = %q, want %s", got, second)
		}
		// It comes back; the project stays where it is now.
		c.fail(regionOf(first), 0)
		k.step(time.Minute)
		if got := choose(t, f, small); got != second {
			t.Errorf("Choose = %s after %s came back, want %s", got, first, second)
		}
	})
}

func TestChooseWithoutZone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f, c, _, _, _ := twoPods(t, s)
		c.give("Pod3", "images/i3")
		if got := choose(t, f, fleet.Need{ImageID: "i3"}); got != "pod3" {
			t.Errorf("Choose = %s, want pod3, the only one with the image", got)
		}
		c.give("Pod3", "images/i1", "flavors/f1")
		need := small
		need.Zone = ""
		if got := choose(t, f, need); got != "pod3" {
			t.Errorf("Choose = %s, want pod3, which the project uses already", got)
		}
	})
}
