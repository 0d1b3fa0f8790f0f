package fleet_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

const oneHost = `{"hypervisors": [{"hypervisor_hostname": "n1", "hypervisor_type": "QEMU", "state": "up", "status": "enabled",
	"vcpus": 8, "vcpus_used": 2, "memory_mb": 16384, "memory_mb_used": 4096, "local_gb": 500, "local_gb_used": 10}]}`

// explained is what is said of the pod when a server is to be placed.
func explained(t *testing.T, f *fleet.Fleet, pod string) fleet.Verdict {
	t.Helper()
	d, err := f.Explain(context.Background(), demo, small)
	if err != nil && d.Verdicts == nil {
		t.Fatal(err)
	}
	for _, v := range d.Verdicts {
		if v.Pod == pod {
			return v
		}
	}
	t.Fatalf("pod %s is not in %+v", pod, d)
	return fleet.Verdict{}
}

func why(v fleet.Verdict, weight string) string {
	for _, w := range v.Weights {
		if w.Name == weight {
			return w.Why
		}
	}
	return v.Reason
}

func TestCapacityIsReadAndAges(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	f, c, k, first, second := twoPods(t, s)
	c.say(regionOf(first), "os-hypervisors/detail", oneHost)
	c.say(regionOf(first), "flavors/f1", `{"flavor": {"vcpus": 1, "ram": 512, "disk": 1}}`)
	c.say(regionOf(first), "f1/os-extra_specs", `{"extra_specs": {"hw:cpu_policy": "shared"}}`)
	if got := why(explained(t, f, first), "share"); got != "free memory not known" {
		t.Errorf("before the first reading: %q", got)
	}
	f.RefreshCapacity(context.Background())
	if calls := strings.Join(c.asked(), "\n"); !strings.Contains(calls, "os-hypervisors/detail service-token") {
		t.Errorf("the pods were asked %s", calls)
	}
	if got := why(explained(t, f, first), "share"); got != "75 % of memory free" {
		t.Errorf("after a reading: %q", got)
	}
	if got := why(explained(t, f, second), "share"); got != "free memory not known" {
		t.Errorf("of a pod that does not tell: %q", got)
	}
	c.say(regionOf(first), "os-hypervisors/detail", strings.Replace(oneHost, `"up"`, `"down"`, 1))
	k.step(time.Minute)
	f.RefreshCapacity(context.Background())
	if v := explained(t, f, first); v.Reason != "none of its hosts is up and enabled" {
		t.Errorf("with its host down: %+v", v)
	}
	if got := choose(t, f, small); got != second {
		t.Errorf("Choose = %s, want %s", got, second)
	}
	// A pod that no longer tells is not held to what it said long ago.
	c.fail(regionOf(first), 500)
	k.step(time.Minute)
	f.RefreshCapacity(context.Background())
	c.fail(regionOf(first), 0)
	if v := explained(t, f, first); v.Rank != 0 {
		t.Errorf("within two minutes: %+v", v)
	}
	k.step(2 * time.Minute)
	if v := explained(t, f, first); v.Rank == 0 {
		t.Errorf("after three minutes: %+v", v)
	}
}

// TestCapacityOfNewPods: Nova shows no numbers from 2.88 on.
func TestCapacityOfNewPods(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	f, c, _, first, _ := twoPods(t, s)
	c.sayFrom(regionOf(first), "os-hypervisors/detail", "compute latest", `{"hypervisors": [{"state": "up", "status": "disabled"}]}`)
	f.RefreshCapacity(context.Background())
	if v := explained(t, f, first); v.Reason != "none of its hosts is up and enabled" {
		t.Errorf("of a pod above 2.87: %+v", v)
	}
}

func TestFullPodDoesNotHoldItsProjects(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f, c, k, first, second := twoPods(t, s)
		c.say(regionOf(first), "flavors/f1", `{"flavor": {"vcpus": 2, "ram": 512, "disk": 1}}`)
		choose(t, f, small)
		full := func(what string, step time.Duration) {
			t.Helper()
			if got := choose(t, f, small); got != second {
				t.Errorf("%s: Choose = %s, want %s", what, got, second)
			}
			if got := binding(t, s); got != first {
				t.Errorf("%s: the binding moved to %s", what, got)
			}
			k.step(step)
			if got := choose(t, f, small); got != first {
				t.Errorf("%s, %v later: Choose = %s, want %s", what, step, got, first)
			}
		}
		f.NoQuota(first, "demo", "Quota exceeded")
		full("no quota", 31*time.Second)
		f.NoHost(first, fleet.Size{VCPUs: 2, RAM: 512, Disk: 1}, k.Now())
		full("no host", 121*time.Second)
		f.NoHost(first, fleet.Size{VCPUs: 1, RAM: 64, Disk: 1}, k.Now())
		f.NoHost(first, fleet.Size{VCPUs: 8, RAM: 8192, Disk: 1}, k.Now())
		full("no host for a smaller one", 121*time.Second)

		for what, say := range map[string]func(){
			"no quota for another project": func() { f.NoQuota(first, "alt", "Quota exceeded") },
			"no host for a larger one":     func() { f.NoHost(first, fleet.Size{VCPUs: 2, RAM: 1024, Disk: 1}, k.Now()) },
			"no host long ago":             func() { f.NoHost(first, fleet.Size{}, k.Now().Add(-time.Hour)) },
		} {
			say()
			if got := choose(t, f, small); got != first {
				t.Errorf("%s: Choose = %s, want %s", what, got, first)
			}
		}
	})
}
