package fleet

import (
	"context"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/store"
)

// internalZone is where Nova puts its own services, in every cloud.
const internalZone = "internal"

// PodZone is a pod's part of a zone, by the pod's name for it. An empty name is
// all of the pod.
type PodZone struct{ Pod, Zone string }

// DefaultPodZone is what Nova calls the zone of hosts for which nobody named one.
const DefaultPodZone = "nova"

// ZoneName is the region's name for a zone of the pod, by the list of pods read
// last. A pod without a pod zone is one zone as a whole. A pod with one may have
// more, made by aggregates: those keep their name, with the pod's behind it where
// the region has a zone of that name already.
func (f *Fleet) ZoneName(podName, podZone string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := find(f.pods, podName)
	switch {
	case !ok, podZone == "", podZone == internalZone:
		return podZone
	case p.PodZone == "", p.PodZone == podZone:
		return p.Zone
	case slices.ContainsFunc(f.pods, func(o store.Pod) bool { return o.Zone == podZone }):
		return podZone + "@" + podName
	}
	return podZone
}

// PodZones are the pods that have the zone by their rows. own is true for a name
// that no row has: any pod with a pod zone may have a further zone so called, or
// the one pod that the name ends with.
func (f *Fleet) PodZones(ctx context.Context, zone string) (list []PodZone, own bool, err error) {
	pods, err := f.Pods(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, p := range pods {
		if p.Zone == zone {
			list = append(list, PodZone{p.Name, p.PodZone})
		}
	}
	if len(list) > 0 {
		return list, false, nil
	}
	name := zone
	if i := strings.LastIndexByte(zone, '@'); i > 0 {
		if p, ok := find(pods, zone[i+1:]); ok {
			pods, name = []store.Pod{p}, zone[:i]
		}
	}
	for _, p := range pods {
		if p.PodZone != "" && p.PodZone != name && name != internalZone {
			list = append(list, PodZone{p.Name, name})
		}
	}
	return list, true, nil
}
