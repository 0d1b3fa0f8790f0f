package fleet

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// Need is what a new server asks of its pod.
type Need struct {
	ProjectID string
	Zone      string // the region's name for it; empty: any
	ImageID   string
	FlavorID  string
	Volumes   []string
	// PodOnly names the one pod that will do, because something that the request
	// names lives there; Why says what ("port 4f… is on a local network of it").
	PodOnly string
	Why     string
	// NetworkPods holds, for each network that cannot be in every pod, where it can be.
	NetworkPods []Confined
}

// Confined is a network that only some pods can carry.
type Confined struct {
	Network string
	Pods    []string
}

// Candidate is a pod and what is known of it with regard to one Need. A fact that
// could not be asked, because the pod is away, is left at its zero value.
type Candidate struct {
	Pod      string
	Zone     string
	Cordoned bool
	Away     string // why nobody answers there; empty: it answers
	Bound    bool   // the project uses it already in this zone
	NoImage  bool
	NoFlavor bool
	NoVolume []string // the volumes wanted that are not there
}

// Refusal says why a pod was passed over.
type Refusal struct {
	Pod    string
	Reason string
	// Later is true when waiting, or the operator, can cure it; false when the
	// request itself does not fit the pod.
	Later bool
}

// filter says why the pod will not do, or nothing.
type filter struct {
	later  bool
	refuse func(c Candidate, n Need) string
}

// filters are asked in this order; the first refusal is the one reported. What
// the request asks for comes before the state of the pod, so that a wrong
// request is called wrong even while a pod is cordoned.
var filters = []filter{
	{later: false, refuse: otherPod},
	{later: false, refuse: networkElsewhere},
	{later: true, refuse: away},
	{later: false, refuse: imageMissing},
	{later: false, refuse: flavorMissing},
	{later: false, refuse: volumeElsewhere},
	{later: true, refuse: cordoned},
}

func otherPod(c Candidate, n Need) string {
	if n.PodOnly == "" || n.PodOnly == c.Pod {
		return ""
	}
	why := n.Why
	if why == "" {
		why = "something the request names lives there"
	}
	return fmt.Sprintf("the server must be in pod %s: %s", n.PodOnly, why)
}

func networkElsewhere(c Candidate, n Need) string {
	for _, net := range n.NetworkPods {
		if !slices.Contains(net.Pods, c.Pod) {
			return fmt.Sprintf("network %s cannot be there, only in %s", net.Network, orNone(net.Pods))
		}
	}
	return ""
}

func orNone(pods []string) string {
	if len(pods) == 0 {
		return "no pod"
	}
	return "pod " + strings.Join(pods, ", ")
}

func away(c Candidate, _ Need) string {
	if c.Away == "" {
		return ""
	}
	return "it is away: " + c.Away
}

func imageMissing(c Candidate, n Need) string {
	if !c.NoImage {
		return ""
	}
	return fmt.Sprintf("it does not have image %s", n.ImageID)
}

func flavorMissing(c Candidate, n Need) string {
	if !c.NoFlavor {
		return ""
	}
	return fmt.Sprintf("it does not have flavor %s", n.FlavorID)
}

func volumeElsewhere(c Candidate, _ Need) string {
	if len(c.NoVolume) == 0 {
		return ""
	}
	return fmt.Sprintf("it does not have volume %s", strings.Join(c.NoVolume, ", "))
}

func cordoned(c Candidate, _ Need) string {
	if !c.Cordoned {
		return ""
	}
	return "it is cordoned"
}

// Place chooses the pod for the need. It is pure: the same facts give the same
// pod in every replica. The refusals name every pod of the zone that was passed
// over by a filter; err tells the caller why nothing was left.
func Place(pods []Candidate, need Need) (pod string, refused []Refusal, err error) {
	inZone := slices.DeleteFunc(slices.Clone(pods), func(c Candidate) bool {
		return need.Zone != "" && c.Zone != need.Zone
	})
	if len(inZone) == 0 {
		return "", nil, noZone(need.Zone)
	}
	var left []Candidate
	for _, c := range inZone {
		if r, ok := firstRefusal(c, need); ok {
			refused = append(refused, r)
			continue
		}
		left = append(left, c)
	}
	slices.SortFunc(refused, func(a, b Refusal) int { return cmp.Compare(a.Pod, b.Pod) })
	if len(left) == 0 {
		return "", refused, nothingLeft(need, refused)
	}
	return slices.MaxFunc(left, heavier(need.ProjectID)).Pod, refused, nil
}

func firstRefusal(c Candidate, need Need) (Refusal, bool) {
	for _, f := range filters {
		if reason := f.refuse(c, need); reason != "" {
			return Refusal{Pod: c.Pod, Reason: reason, Later: f.later}, true
		}
	}
	return Refusal{}, false
}

// heavier orders candidates: the pod that the project is bound to first, then by
// a hash of project and pod (rendezvous hashing), which spreads projects over the
// pods and moves few of them when a pod is added.
func heavier(project string) func(a, b Candidate) int {
	return func(a, b Candidate) int {
		if a.Bound != b.Bound {
			if a.Bound {
				return 1
			}
			return -1
		}
		if c := cmp.Compare(affinity(project, a.Pod), affinity(project, b.Pod)); c != 0 {
			return c
		}
		return cmp.Compare(a.Pod, b.Pod)
	}
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

// noZone has Nova's words for the case, which its clients show as they come.
func noZone(zone string) error {
	if zone == "" {
		return fault.New(fault.Unavailable, "", "No pod has been added to the region yet")
	}
	return fault.New(fault.Invalid, "", "The requested availability zone is not available: no zone is called %q", zone)
}

// nothingLeft blames the request when no pod can ever serve it as it is, and the
// pods when one of them might.
func nothingLeft(need Need, refused []Refusal) error {
	kind := fault.Invalid
	var list []string
	for _, r := range refused {
		if r.Later {
			kind = fault.Unavailable
		}
		list = append(list, fmt.Sprintf("pod %s: %s", r.Pod, r.Reason))
	}
	return fault.New(kind, "", "No pod%s can take the server: %s", ofZone(need.Zone), strings.Join(list, "; "))
}

func ofZone(zone string) string {
	if zone == "" {
		return ""
	}
	return " of zone " + zone
}
