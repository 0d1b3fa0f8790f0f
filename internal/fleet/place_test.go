package fleet

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
)

func TestPlace(t *testing.T) {
	t.Parallel()
	a := Candidate{Pod: "a", Zone: "az1"}
	b := Candidate{Pod: "b", Zone: "az1"}
	c := Candidate{Pod: "c", Zone: "az2"}
	with := func(c Candidate, change func(*Candidate)) Candidate {
		change(&c)
		return c
	}
	away := func(c *Candidate) { c.Away = "connection refused" }
	cordon := func(c *Candidate) { c.Cordoned = true }
	bound := func(c *Candidate) { c.Bound = true }
	noImage := func(c *Candidate) { c.NoImage = true }

	tests := []struct {
		name    string
		pods    []Candidate
		need    Need
		want    string
		refused []Refusal
		kind    fault.Kind
		err     string
	}{
		{name: "the only pod of the zone", pods: []Candidate{a, c}, need: Need{Zone: "az2"}, want: "c"},
		{name: "the bound pod wins", pods: []Candidate{a, with(b, bound)}, need: Need{Zone: "az1"}, want: "b"},
		{name: "the bound pod wins, other order", pods: []Candidate{with(a, bound), b}, need: Need{Zone: "az1"}, want: "a"},
		{name: "a bound pod that is cordoned is passed over",
			pods: []Candidate{with(with(a, bound), cordon), b}, need: Need{Zone: "az1"}, want: "b",
			refused: []Refusal{{Pod: "a", Reason: "it is cordoned", Later: true}}},
		{name: "a bound pod without the image is passed over",
			pods: []Candidate{with(with(a, bound), noImage), b}, need: Need{Zone: "az1", ImageID: "i1"}, want: "b",
			refused: []Refusal{{Pod: "a", Reason: "it does not have image i1"}}},
		{name: "unknown zone", pods: []Candidate{a}, need: Need{Zone: "az9"},
			kind: fault.Invalid, err: `The requested availability zone is not available: no zone is called "az9"`},
		{name: "no pods at all", kind: fault.Unavailable, err: "No pod has been added to the region yet"},
		{name: "image in no pod of the zone", pods: []Candidate{with(a, noImage), with(b, noImage), c},
			need: Need{Zone: "az1", ImageID: "i1"}, kind: fault.Invalid,
			err: "No pod of zone az1 can take the server: pod a: it does not have image i1; pod b: it does not have image i1",
			refused: []Refusal{
				{Pod: "a", Reason: "it does not have image i1"}, {Pod: "b", Reason: "it does not have image i1"}}},
		{name: "flavor missing", pods: []Candidate{with(c, func(c *Candidate) { c.NoFlavor = true })},
			need: Need{Zone: "az2", FlavorID: "f1"}, kind: fault.Invalid,
			err:     "No pod of zone az2 can take the server: pod c: it does not have flavor f1",
			refused: []Refusal{{Pod: "c", Reason: "it does not have flavor f1"}}},
		{name: "away and cordoned", pods: []Candidate{with(a, away), with(b, cordon)}, need: Need{Zone: "az1"},
			kind: fault.Unavailable,
			err:  "No pod of zone az1 can take the server: pod a: it is away: connection refused; pod b: it is cordoned",
			refused: []Refusal{
				{Pod: "a", Reason: "it is away: connection refused", Later: true}, {Pod: "b", Reason: "it is cordoned", Later: true}}},
		{name: "one lacks the image, the other may have it", pods: []Candidate{with(b, noImage), with(a, away)},
			need: Need{Zone: "az1", ImageID: "i1"}, kind: fault.Unavailable,
			err: "No pod of zone az1 can take the server: pod a: it is away: connection refused; pod b: it does not have image i1",
			refused: []Refusal{
				{Pod: "a", Reason: "it is away: connection refused", Later: true}, {Pod: "b", Reason: "it does not have image i1"}}},
		{name: "an image missing is said before cordoned", pods: []Candidate{with(with(c, noImage), cordon)},
			need: Need{ImageID: "i1"}, kind: fault.Invalid,
			err:     "No pod can take the server: pod c: it does not have image i1",
			refused: []Refusal{{Pod: "c", Reason: "it does not have image i1"}}},
		{name: "volume in another pod", pods: []Candidate{with(a, func(c *Candidate) { c.NoVolume = []string{"v1", "v2"} }), b},
			need: Need{Volumes: []string{"v1", "v2"}}, want: "b",
			refused: []Refusal{{Pod: "a", Reason: "it does not have volume v1, v2"}}},
		{name: "only one pod will do", pods: []Candidate{a, b}, need: Need{PodOnly: "b", Why: "port p1 is there"}, want: "b",
			refused: []Refusal{{Pod: "a", Reason: "the server must be in pod b: port p1 is there"}}},
		{name: "the one pod that will do is in another zone", pods: []Candidate{a, c}, need: Need{Zone: "az1", PodOnly: "c"},
			kind:    fault.Invalid,
			err:     "No pod of zone az1 can take the server: pod a: the server must be in pod c: something the request names lives there",
			refused: []Refusal{{Pod: "a", Reason: "the server must be in pod c: something the request names lives there"}}},
		{name: "a network confined to one pod", pods: []Candidate{a, b},
			need: Need{NetworkPods: []Confined{{Network: "n1", Pods: []string{"a"}}}}, want: "a",
			refused: []Refusal{{Pod: "b", Reason: "network n1 cannot be there, only in pod a"}}},
		{name: "a network that no pod can carry", pods: []Candidate{a},
			need: Need{NetworkPods: []Confined{{Network: "n1"}}}, kind: fault.Invalid,
			err:     "No pod can take the server: pod a: network n1 cannot be there, only in no pod",
			refused: []Refusal{{Pod: "a", Reason: "network n1 cannot be there, only in no pod"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := Place(tt.pods, tt.need)
			got, refused := d.Pod, d.Refusals()
			if got != tt.want {
				t.Errorf("Place(…) = %q, want %q", got, tt.want)
			}
			if diff := cmp.Diff(tt.refused, refused); diff != "" {
				t.Errorf("Place(…) refused (-want +got):\n%s", diff)
			}
			if tt.err == "" {
				if err != nil {
					t.Errorf("Place(…) failed: %v", err)
				}
				return
			}
			if err == nil || err.Error() != tt.err || !fault.Is(err, tt.kind) {
				t.Errorf("Place(…) error = %v (kind %v), want %v (kind %v)", err, fault.KindOf(err), tt.err, tt.kind)
			}
		})
	}
}

func TestPlaceSpreadsProjects(t *testing.T) {
	t.Parallel()
	pods := []Candidate{{Pod: "pod1"}, {Pod: "pod2"}, {Pod: "pod3"}, {Pod: "pod4"}}
	count := map[string]int{}
	moved := 0
	for i := range 1000 {
		need := Need{ProjectID: fmt.Sprintf("project-%d", i)}
		d, err := Place(pods, need)
		if err != nil {
			t.Fatal(err)
		}
		got := d.Pod
		count[got]++
		d, err = Place(append([]Candidate{{Pod: "pod5"}}, pods...), need)
		if err != nil {
			t.Fatal(err)
		}
		if more := d.Pod; more != got {
			moved++
			if more != "pod5" {
				t.Errorf("a new pod moved %s from %s to %s", need.ProjectID, got, more)
			}
		}
	}
	for _, p := range pods {
		if count[p.Pod] < 200 || count[p.Pod] > 300 {
			t.Errorf("pod %s has %d of 1000 projects, want about 250", p.Pod, count[p.Pod])
		}
	}
	if moved < 150 || moved > 250 {
		t.Errorf("a fifth pod moved %d of 1000 projects, want about 200", moved)
	}
}
