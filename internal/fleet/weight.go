package fleet

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
)

// weight says how well a pod suits, and why when that is worth a word. Of two
// pods the higher value wins.
type weight struct {
	name string
	of   func(c Candidate, n Need) (value float64, why string)
}

// weights decide in this order: a later one only between pods that are equal in
// those before it.
var weights = []weight{
	{"room", room},
	{"apart", apart},
	{"binding", binding},
	{"image", image},
	{"share", share},
}

// Weighed is one weight of one pod.
type Weighed struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Why   string  `json:"why,omitempty"`
}

func weigh(c Candidate, n Need) []Weighed {
	all := make([]Weighed, 0, len(weights))
	for _, w := range weights {
		value, why := w.of(c, n)
		all = append(all, Weighed{w.name, value, why})
	}
	return all
}

// heavier orders pods by their weights; the name settles what is left.
func heavier(a, b Verdict) int {
	for i := range a.Weights {
		if c := cmp.Compare(a.Weights[i].Value, b.Weights[i].Value); c != 0 {
			return c
		}
	}
	return cmp.Compare(b.Pod, a.Pod)
}

// room is below 0 for a pod that probably has none. It comes before the binding:
// a full pod keeps its projects, but does not hold their new servers captive.
func room(c Candidate, n Need) (float64, string) {
	switch {
	case c.Full != "":
		return -1, c.Full
	case !c.comparable():
		return 0, ""
	case !slices.ContainsFunc(c.Capacity.Hosts, func(h Host) bool { return h.hasRoom(*c.Size, n.Diskless) }):
		return -1, "no host has room for the flavor, even over-committed"
	}
	return 0, ""
}

// image is below 0 for a pod that must get a copy first: the server would wait for
// it. A project's pod gets the copy, once: were its servers where their images are,
// they could not have the volumes that were made beside them without a zone.
func image(c Candidate, n Need) (float64, string) {
	if c.NoImage {
		return -1, "image " + n.ImageID + " must be copied there first"
	}
	return 0, ""
}

// apart is the hint that each server of a request is to be in another pod.
func apart(c Candidate, n Need) (float64, string) {
	used := n.Used[c.Pod]
	if used == 0 {
		return 0, ""
	}
	return float64(-used), fmt.Sprintf("%d of the request's servers there", used)
}

// binding keeps a project where it is: in a zone, in its pod there; without a
// zone, where it was first, so that a server and its volume come together.
func binding(c Candidate, n Need) (float64, string) {
	switch {
	case c.Home && n.Zone == "":
		return 2, "the project's first pod"
	case c.Bound:
		return 1, "the project's pod in the zone"
	}
	return 0, ""
}

// share spreads the projects over the pods, to each pod in the measure of its
// free memory: weighted rendezvous hashing. A pod that is added or fills up moves
// few projects, and every replica comes to the same result from the same numbers.
func share(c Candidate, n Need) (float64, string) {
	free, why := 0.5, "free memory not known"
	if f, ok := c.Capacity.free(); ok {
		free, why = f, fmt.Sprintf("%.0f %% of memory free", 100*f)
	}
	h := (float64(affinity(n.ProjectID, c.Pod)>>11) + 0.5) / (1 << 53) // between 0 and 1, neither included
	score := -free / math.Log(h)
	return math.Round(score*1e6) / 1e6, why
}

func affinity(project, pod string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(project + "\x00" + pod))
	// FNV alone leaves names that differ in the last letter close together.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}
