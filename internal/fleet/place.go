package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// Need is what a new server asks of its pod.
type Need struct {
	ProjectID string `json:"project_id"`
	Zone      string `json:"zone,omitempty"` // the region's name for it; empty: any
	// ZonePods are the pods that have the zone asked for, where that is none that the
	// pods' rows name; Zone is empty then. Nil: any.
	ZonePods []string `json:"zone_pods,omitempty"`
	ImageID  string   `json:"image,omitempty"`
	// CopyImage lets a pod without the image take the server: it gets a copy first.
	CopyImage bool     `json:"copy_image,omitempty"`
	FlavorID  string   `json:"flavor,omitempty"`
	Volumes   []string `json:"volumes,omitempty"`
	// Diskless servers boot from a volume and take no disk of their host.
	Diskless bool `json:"diskless,omitempty"`
	// PodOnly names the one pod that will do, because something that the request
	// names lives there; Why says what ("port 4f… is on a local network of it").
	PodOnly string `json:"pod_only,omitempty"`
	Why     string `json:"why,omitempty"`
	// TooOld says, by pod, why it cannot do what the request asks in the API version
	// that it asks for.
	TooOld map[string]string `json:"too_old,omitempty"`
	// Lacks says, by pod, what it does not have of what the request names.
	Lacks map[string]string `json:"lacks,omitempty"`
	// NetworkPods holds, for each network that cannot be in every pod, where it can be.
	NetworkPods []Confined `json:"network_pods,omitempty"`
	// Refused are the pods that have refused this very request.
	Refused []Refusal `json:"-"`
	// Used counts the request's servers per pod, when they are to be apart.
	Used map[string]int `json:"-"`
	live bool           // what was seen before does not count
}

// Confined is a network that only some pods can carry.
type Confined struct {
	Network string   `json:"network"`
	Pods    []string `json:"pods"`
}

// Candidate is a pod and what is known of it with regard to one Need. A fact that
// could not be asked, because the pod is away, is left at its zero value.
type Candidate struct {
	Pod      string
	Zone     string
	Cordoned bool
	Asked    bool   // the pod itself has told what follows
	Away     string // why nobody answers there; empty: it answers
	Bound    bool   // the project uses it already in this zone
	Home     bool   // of the pods that the project uses, the one it has used longest
	NoImage  bool
	NoFlavor bool
	NoVolume []string // the volumes wanted that are not there
	Full     string   // why it is believed to have no room for the project
	Capacity *Capacity
	Size     *Size // of the flavor
}

// Refusal says why a pod was passed over.
type Refusal struct {
	Pod    string
	Reason string
	// Later is true when waiting, or the operator, can cure it; false when the
	// request itself does not fit the pod.
	Later bool
}

// Verdict is what placement makes of one pod.
type Verdict struct {
	Pod  string `json:"pod"`
	Zone string `json:"zone"`
	// Rank counts the pods that will do, the best is 1; 0: the pod was passed over.
	Rank    int       `json:"rank,omitempty"`
	Reason  string    `json:"reason,omitempty"`   // why it was passed over
	Later   bool      `json:"later,omitempty"`    // and may do later
	Asked   bool      `json:"asked"`              // the pod was asked; else only what was known counted
	NoImage bool      `json:"no_image,omitempty"` // and must get a copy of it first
	Weights []Weighed `json:"weights,omitempty"`
}

// Decision is the outcome of placement, with its reasons: first the pods that
// will do, the best first, then those passed over, by name.
type Decision struct {
	Pod      string    `json:"pod,omitempty"`
	Verdicts []Verdict `json:"verdicts"`
}

// NeedsImage reports whether the pod chosen must get a copy of the image first.
func (d Decision) NeedsImage() bool { return d.Pod != "" && d.Verdicts[0].NoImage }

// Refusals are the pods that were passed over.
func (d Decision) Refusals() []Refusal {
	var all []Refusal
	for _, v := range d.Verdicts {
		if v.Rank == 0 {
			all = append(all, Refusal{v.Pod, v.Reason, v.Later})
		}
	}
	return all
}

// Place chooses the pod for the need: filters first, then weights. It is pure:
// the same facts give the same pod in every replica. The decision names every pod
// of the zone; err tells the caller why none was left.
func Place(pods []Candidate, need Need) (Decision, error) {
	var fit, out []Verdict
	for _, c := range pods {
		if need.Zone != "" && c.Zone != need.Zone {
			continue
		}
		v := Verdict{Pod: c.Pod, Zone: c.Zone, Asked: c.Asked, NoImage: c.NoImage}
		if r, refused := firstRefusal(c, need); refused {
			v.Reason, v.Later = r.Reason, r.Later
			out = append(out, v)
			continue
		}
		v.Weights = weigh(c, need)
		fit = append(fit, v)
	}
	slices.SortFunc(fit, func(a, b Verdict) int { return -heavier(a, b) })
	slices.SortFunc(out, func(a, b Verdict) int { return cmp.Compare(a.Pod, b.Pod) })
	for i := range fit {
		fit[i].Rank = i + 1
	}
	d := Decision{Verdicts: append(append([]Verdict{}, fit...), out...)}
	switch {
	case len(d.Verdicts) == 0:
		return d, noZone(need.Zone)
	case len(fit) == 0:
		return d, nothingLeft(need, d.Refusals())
	}
	d.Pod = fit[0].Pod
	return d, nil
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
