package fleet

import (
	"fmt"
	"slices"
	"strings"
)

// filter says why the pod will not do, or nothing.
type filter struct {
	later  bool
	refuse func(c Candidate, n Need) string
}

// filters are asked in this order; the first refusal is the one reported. What
// the request asks for comes before the state of the pod, so that a wrong
// request is called wrong even while a pod is cordoned. Only what is certain is a
// filter: a pod that is only believed to be full is weighed down instead.
var filters = []filter{
	{later: false, refuse: otherPod},
	{later: false, refuse: zoneElsewhere},
	{later: false, refuse: networkElsewhere},
	{later: false, refuse: tooOld},
	{later: false, refuse: lacking},
	{later: true, refuse: refusedThis},
	{later: true, refuse: away},
	{later: false, refuse: imageMissing},
	{later: false, refuse: flavorMissing},
	{later: false, refuse: volumeElsewhere},
	{later: true, refuse: cordoned},
	{later: true, refuse: noHostUp},
	{later: false, refuse: tooLarge},
}

func firstRefusal(c Candidate, need Need) (Refusal, bool) {
	for _, f := range filters {
		if reason := f.refuse(c, need); reason != "" {
			return Refusal{Pod: c.Pod, Reason: reason, Later: f.later}, true
		}
	}
	return Refusal{}, false
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

func tooOld(c Candidate, n Need) string { return n.TooOld[c.Pod] }

func lacking(c Candidate, n Need) string { return n.Lacks[c.Pod] }

func zoneElsewhere(c Candidate, n Need) string {
	if n.ZonePods == nil || slices.Contains(n.ZonePods, c.Pod) {
		return ""
	}
	return "the zone asked for is not there, only in " + orNone(n.ZonePods)
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

// refusedThis passes over a pod that has just refused this very request.
func refusedThis(c Candidate, n Need) string {
	for _, r := range n.Refused {
		if r.Pod == c.Pod {
			return r.Reason
		}
	}
	return ""
}

func away(c Candidate, _ Need) string {
	if c.Away == "" {
		return ""
	}
	return "it is away: " + c.Away
}

func imageMissing(c Candidate, n Need) string {
	if !c.NoImage || n.CopyImage {
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

// noHostUp: the pod's scheduler would find nothing, whatever the flavor.
func noHostUp(c Candidate, _ Need) string {
	if c.Capacity == nil || slices.ContainsFunc(c.Capacity.Hosts, func(h Host) bool { return h.Up }) {
		return ""
	}
	return "none of its hosts is up and enabled"
}

// tooLarge: over-commit lets many servers share a host, but Nova never gives one
// server more than a whole host has.
func tooLarge(c Candidate, n Need) string {
	if !c.comparable() || slices.ContainsFunc(c.Capacity.Hosts, func(h Host) bool { return h.holds(*c.Size) }) {
		return ""
	}
	return fmt.Sprintf("none of its hosts is large enough for flavor %s", n.FlavorID)
}
