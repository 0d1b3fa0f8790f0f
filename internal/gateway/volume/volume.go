package volume

import (
	"context"
	"fmt"
	"slices"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// anchors are the things in a creation's body that are in one pod, so that the
// volume must be there too. Those whose data can be copied are none.
var anchors = []struct {
	path, kind, words string
	many              bool
}{
	{path: "volume.backup_id", kind: dispatch.KindBackup, words: "its backup"},
	{path: "volume.group_id", kind: dispatch.KindGroup, words: "its group"},
	{path: `OS-SCH-HNT\:scheduler_hints.local_to_instance`, kind: store.KindServer, words: "the server that it shall be near to"},
	{path: `OS-SCH-HNT\:scheduler_hints.same_host`, kind: store.KindVolume, words: "the volume that it shall be with", many: true},
}

// place chooses the pod of a new volume. fill is what must be copied there.
func (a *api) place(ctx context.Context, by identity.Caller, body []byte) (chosen store.Pod, fill *store.FillSource, err error) {
	need, err := a.anchored(ctx, by, body)
	if err != nil {
		return store.Pod{}, nil, err
	}
	from, err := a.sourceOf(ctx, by, body)
	if err != nil {
		return store.Pod{}, nil, err
	}
	if from != nil {
		return a.placeCopy(ctx, by, need, *from)
	}
	return a.placeImage(ctx, by, need, gjson.GetBytes(body, "volume.imageRef").String())
}

// anchored is what the request says of the volume's place, but for its source.
func (a *api) anchored(ctx context.Context, by identity.Caller, body []byte) (fleet.Need, error) {
	need := fleet.Need{ProjectID: by.ProjectID, Zone: gjson.GetBytes(body, "volume.availability_zone").String()}
	if err := a.checkZone(ctx, need.Zone); err != nil {
		return need, err
	}
	for _, anchor := range anchors {
		found := gjson.GetBytes(body, anchor.path)
		id := found.String()
		if anchor.many && found.IsArray() {
			id = found.Get("0").String()
		}
		if id == "" {
			continue
		}
		name, err := a.Dispatch.Locate(ctx, by, anchor.kind, id)
		if err != nil {
			return need, err
		}
		if need.PodOnly != "" && need.PodOnly != name {
			return need, fault.New(fault.Invalid, "", "%s %s is in another zone than what else the volume is made from", anchor.words, id)
		}
		need.PodOnly, need.Why = name, fmt.Sprintf("%s %s is there", anchor.words, id)
	}
	if need.PodOnly != "" {
		return need, nil
	}
	var err error
	need.Lacks, err = a.lacks(ctx, gjson.GetBytes(body, "volume.volume_type").String())
	return need, err
}

// placeAt takes the one pod that will do, if the zone allows. A cordoned pod
// still takes what grows out of things that it has.
func (a *api) placeAt(ctx context.Context, need fleet.Need, what string) (store.Pod, error) {
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return store.Pod{}, err
	}
	i := slices.IndexFunc(pods, func(p store.Pod) bool { return p.Name == need.PodOnly })
	if i < 0 {
		return store.Pod{}, fault.New(fault.Unavailable, "", "pod %s is not part of the region any more", need.PodOnly)
	}
	if need.Zone != "" && pods[i].Zone != need.Zone {
		return store.Pod{}, fault.New(fault.Invalid, "",
			"the %s cannot be in zone %s: %s, in zone %s", what, need.Zone, need.Why, pods[i].Zone)
	}
	return pods[i], nil
}

// podBody is the creation in the pod's words: its name for the zone.
func podBody(body []byte, chosen store.Pod) ([]byte, error) {
	if gjson.GetBytes(body, "volume.availability_zone").String() == "" {
		return body, nil
	}
	return withZone(body, "volume", chosen.PodZone)
}

// withZone writes the pod's name for the zone; a pod without one decides itself.
func withZone(body []byte, item, podZone string) (out []byte, err error) {
	path := item + ".availability_zone"
	if podZone == "" {
		out, err = sjson.DeleteBytes(body, path)
	} else {
		out, err = sjson.SetBytes(body, path, podZone)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot write the zone: %w", err)
	}
	return out, nil
}
