package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// anchors are the things in a creation's body that are in one pod, so that the
// volume must be there too.
var anchors = []struct {
	path, kind, words string
	many              bool
}{
	{path: "volume.source_volid", kind: store.KindVolume, words: "its source volume"},
	{path: "volume.snapshot_id", kind: dispatch.KindSnapshot, words: "its snapshot"},
	{path: "volume.backup_id", kind: dispatch.KindBackup, words: "its backup"},
	{path: "volume.group_id", kind: dispatch.KindGroup, words: "its group"},
	{path: `OS-SCH-HNT\:scheduler_hints.local_to_instance`, kind: store.KindServer, words: "the server that it shall be near to"},
	{path: `OS-SCH-HNT\:scheduler_hints.same_host`, kind: store.KindVolume, words: "the volume that it shall be with", many: true},
}

// createVolume chooses the pod, then creates there. The volume lands where what
// it is made from is; else where the zone, the image and the project's binding
// say.
func (a *api) createVolume(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	var document map[string]any
	if err := r.JSON(&document); err != nil {
		return nil, err
	}
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	if !gjson.GetBytes(body, "volume").IsObject() {
		return nil, fault.New(fault.Invalid, "", "Invalid input for field/attribute volume. 'volume' is a required property")
	}
	chosen, err := a.place(ctx, by, body)
	if err != nil {
		return nil, err
	}
	if body, err = a.podBody(ctx, by, body, chosen); err != nil {
		return nil, err
	}
	client, err := a.Dispatch.Client(ctx, chosen.Name)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(ctx, pod.Request{ //nolint:bodyclose // Rewritten does
		Service: pod.Volume, Method: http.MethodPost, Path: r.Path(), RawQuery: r.URL.RawQuery,
		Header: gateway.PassHeader(r.Header), Body: bytes.NewReader(body), As: &by, Op: "create volume",
	})
	if err != nil {
		return nil, err
	}
	reply, err := gateway.Rewritten(r, resp, chosen.Name, r.Path(), func(body []byte) ([]byte, error) {
		return gateway.SetField(body, "volume.availability_zone", chosen.Zone), nil
	})
	if err != nil {
		return nil, err
	}
	a.note(ctx, by, volumes, chosen.Name, reply)
	return reply, nil
}

// place chooses the pod of a new volume.
func (a *api) place(ctx context.Context, by identity.Caller, body []byte) (store.Pod, error) {
	zone := gjson.GetBytes(body, "volume.availability_zone").String()
	if err := a.checkZone(ctx, zone); err != nil {
		return store.Pod{}, err
	}
	need := fleet.Need{ProjectID: by.ProjectID, Zone: zone, ImageID: gjson.GetBytes(body, "volume.imageRef").String()}
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
			return store.Pod{}, err
		}
		if need.PodOnly != "" && need.PodOnly != name {
			return store.Pod{}, fault.New(fault.Invalid, "", "%s %s is in another zone than what else the volume is made from", anchor.words, id)
		}
		need.PodOnly, need.Why = name, fmt.Sprintf("%s %s is there", anchor.words, id)
	}
	if need.PodOnly != "" {
		return a.placeAt(ctx, need, "volume")
	}
	return a.Fleet.Choose(ctx, by, need)
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

// podBody is the creation in the pod's words: its name for the zone, and the
// volume type by name, since types have an ID of their own in each pod.
func (a *api) podBody(ctx context.Context, by identity.Caller, body []byte, chosen store.Pod) ([]byte, error) {
	var err error
	if gjson.GetBytes(body, "volume.availability_zone").String() != "" {
		if body, err = withZone(body, "volume", chosen.PodZone); err != nil {
			return nil, err
		}
	}
	wanted := gjson.GetBytes(body, "volume.volume_type").String()
	if uuid.Validate(wanted) != nil {
		return body, nil
	}
	name, err := a.typeName(ctx, by, wanted)
	if err != nil || name == "" {
		return body, err
	}
	if body, err = sjson.SetBytes(body, "volume.volume_type", name); err != nil {
		return nil, fmt.Errorf("cannot write the volume type: %w", err)
	}
	return body, nil
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

// typeName is the name of a volume type that some pod has under the ID; empty if
// none does: then the pod says what is wrong with it.
func (a *api) typeName(ctx context.Context, by identity.Caller, id string) (string, error) {
	answers, err := a.Dispatch.All(ctx, nil, pod.Request{
		Service: pod.Volume, Method: http.MethodGet, Path: "/types/" + id, As: &by, Op: "show volume type",
	})
	if err != nil {
		return "", err
	}
	var trouble error
	for _, answer := range answers {
		if answer.Err == nil {
			return gjson.GetBytes(answer.Body, "volume_type.name").String(), nil
		}
		if answer.Status == 0 || answer.Status >= 500 {
			trouble = errors.Join(trouble, answer.Err)
		}
	}
	return "", trouble
}
