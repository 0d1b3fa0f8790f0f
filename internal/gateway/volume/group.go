package volume

import (
	"context"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// A group is in one pod, with all its volumes: its snapshots are taken at one
// moment by one back end.

// createGroup chooses the group's pod as a volume's: by zone, by the types of its
// volumes, else by the project's binding.
func (a *api) createGroup(of resource) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		zone, err := named(r, of.item+".availability_zone")
		if err != nil {
			return nil, err
		}
		if err := a.checkZone(ctx, zone); err != nil {
			return nil, err
		}
		types, err := volumeTypesIn(r, of.item+".volume_types")
		if err != nil {
			return nil, err
		}
		need := fleet.Need{ProjectID: by.ProjectID, Zone: zone}
		if need.Lacks, err = a.lacks(ctx, types...); err != nil {
			return nil, err
		}
		chosen, err := a.Fleet.Choose(ctx, by, need)
		if err != nil {
			return nil, err
		}
		return a.createAt(ctx, by, r, of, chosen.Name)
	}
}

// volumeTypesIn are the types that a group is for: a list, or with consistency groups
// a text with commas. What is neither is the pod's to refuse.
func volumeTypesIn(r *gateway.Request, path string) ([]string, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	found := gjson.GetBytes(body, path)
	if found.Type == gjson.String {
		return strings.FieldsFunc(found.Str, func(c rune) bool { return c == ',' }), nil
	}
	var types []string
	for _, t := range found.Array() {
		if t.Type == gjson.String {
			types = append(types, t.Str)
		}
	}
	return types, nil
}

// source is a member of a body that names what a group is made from.
type source struct{ path, kind string }

// groupSources are those of groups, and of what was there before them.
var groupSources = []source{
	{"create-from-src.group_snapshot_id", dispatch.KindGroupSnapshot}, {"create-from-src.source_group_id", dispatch.KindGroup},
}

var consistencySources = []source{
	{"consistencygroup-from-src.cgsnapshot_id", dispatch.KindCGSnapshot}, {"consistencygroup-from-src.source_cgid", dispatch.KindConsistencyGroup},
}

// copyGroup makes a group out of another one, or of its snapshot, in their pod.
func (a *api) copyGroup(of resource, sources []source) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		for _, from := range sources {
			id, err := named(r, from.path)
			if err != nil {
				return nil, err
			}
			if id != "" {
				return a.createBeside(of, from.path, from.kind)(ctx, by, r)
			}
		}
		return a.somePod(ctx, by, r)
	}
}

// changeGroup is "PUT /groups/{id}". Only volumes of its own pod can join.
func (a *api) changeGroup(of resource) gateway.Handler {
	return a.on(of, func(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
		joining, err := named(r, of.item+".add_volumes")
		if err != nil {
			return nil, err
		}
		for id := range strings.SplitSeq(joining, ",") {
			if id == "" {
				continue
			}
			err := a.sameZone(ctx, by, podName, fmt.Sprintf("group %s", r.Param("id")), store.KindVolume, id)
			if err != nil {
				return nil, err
			}
		}
		return a.pass(ctx, by, r, podName, of)
	})
}

// sameZone refuses what would join things of two pods, and names their zones. A
// thing that nobody has, or that is where nobody answers, is for the pod to judge.
func (a *api) sameZone(ctx context.Context, by identity.Caller, podName, what, kind, id string) error {
	other, err := a.Dispatch.Locate(ctx, by, kind, id)
	switch {
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Unavailable), fault.Is(err, fault.Timeout):
		return nil
	case err != nil || other == podName:
		return err
	}
	zones, err := a.zoneNames(ctx)
	if err != nil {
		return err
	}
	return fault.New(fault.Invalid, "", "Invalid input received: %s is in zone %s and %s %s in zone %s: they must be in the same place",
		what, placeOf(zones, podName, other), kind, id, placeOf(zones, other, podName))
}

// placeOf is the zone of the pod, and the pod itself where the zone does not tell it
// from the other.
func placeOf(zones map[string]string, podName, other string) string {
	if zones[podName] == zones[other] {
		return fmt.Sprintf("%s (pod %s)", zones[podName], podName)
	}
	return zones[podName]
}
