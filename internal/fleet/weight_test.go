package fleet

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
)

// hosts is a capacity of n equal hosts of 16 CPUs, 64 GiB and 1000 GiB, of which
// so many parts in a hundred are used.
func hosts(n, used int) *Capacity {
	h := Host{Up: true, VCPUs: 16, RAM: 65536, Disk: 1000, VCPUsUsed: 16 * used / 100, RAMUsed: 65536 * used / 100, DiskUsed: 1000 * used / 100}
	return &Capacity{Hosts: slices.Repeat([]Host{h}, n)}
}

func with(c *Capacity, change func(*Host)) *Capacity {
	c = &Capacity{Hosts: slices.Clone(c.Hosts)}
	for i := range c.Hosts {
		change(&c.Hosts[i])
	}
	return c
}

var (
	tiny  = Size{VCPUs: 1, RAM: 512, Disk: 1}
	large = Size{VCPUs: 16, RAM: 32768, Disk: 100}
	giant = Size{VCPUs: 32, RAM: 32768, Disk: 1}
)

func TestCapacityFilters(t *testing.T) {
	t.Parallel()
	down := func(h *Host) { h.Up = false }
	tests := []struct {
		name     string
		capacity *Capacity
		size     *Size
		want     string
		later    bool
	}{
		{"nothing known", nil, nil, "", false},
		{"of the flavor nothing known", hosts(1, 0), nil, "", false},
		{"of the pod nothing known", nil, &giant, "", false},
		{"it fits", hosts(2, 0), &large, "", false},
		{"all hosts down", with(hosts(2, 0), down), &tiny, "none of its hosts is up and enabled", true},
		{"no hosts at all", &Capacity{}, &tiny, "none of its hosts is up and enabled", true},
		{"larger than any host", hosts(2, 0), &giant, "none of its hosts is large enough for flavor f", false},
		{"an odd flavor is not judged by its size", hosts(2, 0), &Size{VCPUs: 99, RAM: 1, Odd: true}, "", false},
		{"nor is bare metal", with(hosts(1, 0), func(h *Host) { h.BareMetal = true }), &giant, "", false},
		{"nor hosts without numbers", with(hosts(1, 0), func(h *Host) { h.VCPUs, h.RAM, h.Disk = 0, 0, 0 }), &giant, "", false},
		{"full is not refused", hosts(1, 500), &large, "", false},
	}
	for _, tt := range tests {
		r, _ := firstRefusal(Candidate{Pod: "a", Capacity: tt.capacity, Size: tt.size}, Need{FlavorID: "f"})
		if r.Reason != tt.want || r.Later != tt.later {
			t.Errorf("%s: refusal %+v, want %q, later %v", tt.name, r, tt.want, tt.later)
		}
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		c        Candidate
		diskless bool
		want     float64
	}{
		{"nothing known is neutral", Candidate{}, false, 0},
		{"empty", Candidate{Capacity: hosts(1, 0), Size: &large}, false, 0},
		{"over-committed as Nova does", Candidate{Capacity: with(hosts(1, 40), func(h *Host) { h.VCPUsUsed = 200; h.RAMUsed = 70000 }), Size: &tiny}, false, 0},
		{"more RAM than Nova ever over-commits", Candidate{Capacity: with(hosts(1, 0), func(h *Host) { h.RAMUsed = 98304 }), Size: &tiny}, false, -1},
		{"more CPUs than that", Candidate{Capacity: with(hosts(1, 0), func(h *Host) { h.VCPUsUsed = 256 }), Size: &tiny}, false, -1},
		{"no disk left", Candidate{Capacity: hosts(1, 100), Size: &tiny}, false, -1},
		{"no disk left, none needed", Candidate{Capacity: hosts(1, 100), Size: &tiny}, true, 0},
		{"one host of many", Candidate{Capacity: &Capacity{Hosts: append(hosts(3, 200).Hosts, hosts(1, 0).Hosts...)}, Size: &large}, false, 0},
		{"it said so lately", Candidate{Full: "it refused lately", Capacity: hosts(1, 0), Size: &tiny}, false, -1},
	}
	for _, tt := range tests {
		if got, why := room(tt.c, Need{Diskless: tt.diskless}); got != tt.want {
			t.Errorf("%s: room = %v (%s), want %v", tt.name, got, why, tt.want)
		}
	}
}

// TestWeightsInOrder: room before apart before binding before share.
func TestWeightsInOrder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		a, b Candidate
		used map[string]int
		want string
	}{
		{"the bound pod", Candidate{Bound: true}, Candidate{Capacity: hosts(100, 0)}, nil, "a"},
		{"the bound pod even when its room is not known", Candidate{Bound: true}, Candidate{Capacity: hosts(1, 0), Size: &tiny}, nil, "a"},
		{"not the bound pod when it is full", Candidate{Bound: true, Full: "so it said"}, Candidate{}, nil, "b"},
		{"the bound pod when all are full", Candidate{Bound: true, Full: "so it said"}, Candidate{Full: "too"}, nil, "a"},
		{"apart goes before the binding", Candidate{Bound: true}, Candidate{}, map[string]int{"a": 1}, "b"},
		{"and begins again when all are used", Candidate{Bound: true}, Candidate{}, map[string]int{"a": 1, "b": 1}, "a"},
		{"of two bound pods the first one", Candidate{Bound: true}, Candidate{Bound: true, Home: true, Capacity: hosts(1, 90)}, nil, "b"},
		{"but not before room", Candidate{}, Candidate{Full: "so it said"}, map[string]int{"a": 5}, "a"},
	}
	for _, tt := range tests {
		tt.a.Pod, tt.b.Pod = "a", "b"
		for _, pods := range [][]Candidate{{tt.a, tt.b}, {tt.b, tt.a}} {
			d, err := Place(pods, Need{ProjectID: "demo", Used: tt.used})
			if err != nil || d.Pod != tt.want {
				t.Errorf("%s: Place = %s, %v, want %s", tt.name, d.Pod, err, tt.want)
			}
		}
	}
}

// TestHome: what is asked for without a zone comes together, whatever else the
// project has used since.
func TestHome(t *testing.T) {
	t.Parallel()
	at := func(zone, pod string, second int64) store.Binding {
		return store.Binding{Zone: zone, Pod: pod, BoundAt: time.Unix(second, 0)}
	}
	for want, bound := range map[string]map[string]store.Binding{
		"":  {},
		"a": {"az1": at("az1", "b", 2), "az2": at("az2", "a", 1), "az3": at("az3", "c", 3)},
		"b": {"az1": at("az1", "b", 1), "az2": at("az2", "c", 1)},
	} {
		if got := home(bound); got != want {
			t.Errorf("home(%v) = %q, want %q", bound, got, want)
		}
	}
	pods := []Candidate{{Pod: "a", Zone: "az1", Bound: true}, {Pod: "b", Zone: "az2", Bound: true, Home: true}}
	if d, err := Place(pods, Need{Zone: "az1"}); err != nil || d.Pod != "a" {
		t.Errorf("with a zone: %s, %v, want the pod there", d.Pod, err)
	}
}

// TestShareFollowsFreeMemory: a pod with three times the free part gets about
// three times the projects, and filling up moves none between the others.
func TestShareFollowsFreeMemory(t *testing.T) {
	t.Parallel()
	pods := []Candidate{{Pod: "a", Capacity: hosts(4, 25)}, {Pod: "b", Capacity: hosts(1, 75)}, {Pod: "c", Capacity: hosts(1, 75)}}
	fuller := slices.Clone(pods)
	fuller[0].Capacity = hosts(4, 90)
	count := map[string]int{}
	for i := range 1000 {
		need := Need{ProjectID: fmt.Sprint("project-", i)}
		before, err := Place(pods, need)
		if err != nil {
			t.Fatal(err)
		}
		count[before.Pod]++
		after, err := Place(fuller, need)
		if err != nil {
			t.Fatal(err)
		}
		if before.Pod != after.Pod && before.Pod != "a" {
			t.Errorf("%s moved from %s to %s because a filled up", need.ProjectID, before.Pod, after.Pod)
		}
	}
	if count["a"] < 540 || count["a"] > 660 || count["b"] < 150 || count["c"] < 150 {
		t.Errorf("projects per pod = %v, want about 600, 200, 200", count)
	}
}

// TestDecisionSaysWhy is what operators get to read.
func TestDecisionSaysWhy(t *testing.T) {
	t.Parallel()
	pods := []Candidate{
		{Pod: "a", Zone: "az1", Bound: true, Asked: true, Capacity: hosts(1, 50), Size: &tiny},
		{Pod: "b", Zone: "az1", Full: "it refused lately: Quota exceeded"},
		{Pod: "c", Zone: "az1", Cordoned: true},
		{Pod: "d", Zone: "az2"},
	}
	got, err := Place(pods, Need{ProjectID: "demo", Zone: "az1", Refused: []Refusal{{Pod: "e"}}})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := share(pods[0], Need{ProjectID: "demo"})
	b, _ := share(pods[1], Need{ProjectID: "demo"})
	want := Decision{Pod: "a", Verdicts: []Verdict{
		{Pod: "a", Zone: "az1", Rank: 1, Asked: true, Weights: []Weighed{
			{"room", 0, ""}, {"apart", 0, ""}, {"binding", 1, "the project's pod in the zone"}, {"image", 0, ""}, {"share", a, "50 % of memory free"}}},
		{Pod: "b", Zone: "az1", Rank: 2, Weights: []Weighed{
			{"room", -1, "it refused lately: Quota exceeded"}, {"apart", 0, ""}, {"binding", 0, ""}, {"image", 0, ""}, {"share", b, "free memory not known"}}},
		{Pod: "c", Zone: "az1", Reason: "it is cordoned", Later: true},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Place (-want +got):\n%s", diff)
	}
	got, err = Place(pods[:1], Need{Refused: []Refusal{{Pod: "a", Reason: "it refused: Quota exceeded"}}})
	if !fault.Is(err, fault.Unavailable) || len(got.Verdicts) != 1 || got.Verdicts[0].Reason != "it refused: Quota exceeded" {
		t.Errorf("Place = %+v, %v", got, err)
	}
}
