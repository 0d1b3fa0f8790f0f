package compute

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
)

// serverGroupPod resolves the hint "group" and finds the pod that it ties the
// server to; empty if none. A group of another project is as absent as none.
func (a *api) serverGroupPod(ctx context.Context, j *job) (string, error) {
	wish := hint(j.wish.document, "group")
	if wish.Type != gjson.String {
		return "", nil // none, or nonsense for the pod to refuse
	}
	if uuid.Validate(wish.Str) != nil {
		return "", unfit("group", wish, "is not a 'uuid'")
	}
	g, err := a.Store.FindServerGroup(ctx, wish.Str)
	if err == nil && g.ProjectID == j.by.ProjectID {
		j.serverGroup = g.ID
		return g.Pod, a.checkGroupZone(ctx, g, j.wish.Zone.Name)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	n, answers, err := a.podServerGroup(ctx, j.by, wish.Str, minVersion)
	if err == nil {
		return n.Pod, nil
	}
	for _, n := range answers {
		if n.Away() {
			return "", n.Err // it may be there
		}
	}
	if fault.Is(err, fault.NotFound) {
		return "", fault.New(fault.Invalid, "", "Instance group %s could not be found.", wish.Str)
	}
	return "", err
}

// tieToGroup ties the server to the pod of its group.
func (a *api) tieToGroup(ctx context.Context, j *job, bind func(at, what string) error) error {
	at, err := a.serverGroupPod(ctx, j)
	if err != nil {
		return err
	}
	if j.wish.Apart && (at != "" || j.serverGroup != "") {
		return fault.New(fault.Invalid, "", "the hint %s and a server group exclude each other: the members of a group are in one pod", spreadHint)
	}
	if at == "" {
		return nil
	}
	return bind(at, "server group "+hint(j.wish.document, "group").Str+" is in pod "+at)
}

// followGroup plans for the pod that another first member has decided for, between
// our plan and our journal entry.
func (a *api) followGroup(ctx context.Context, j *job) error {
	return a.tieToGroup(ctx, j, func(at, what string) error {
		if j.need.PodOnly != "" && j.need.PodOnly != at {
			return elsewhere(j.need.Why, what)
		}
		j.need.PodOnly, j.need.Why = at, what
		return nil
	})
}

// checkGroupZone refuses a zone in which the group's pod is not.
func (a *api) checkGroupZone(ctx context.Context, g store.ServerGroup, zone string) error {
	if g.Pod == "" || zone == "" {
		return nil
	}
	row, err := a.Fleet.Pod(ctx, g.Pod)
	if err != nil {
		return err
	}
	if row.Zone == zone {
		return nil
	}
	return fault.New(fault.Invalid, "", "The requested availability zone is not available: the members of server group %s are in pod %s of zone %s, and a group does not span zone %s",
		g.ID, g.Pod, row.Zone, zone)
}

// placeServerGroup returns the pod's ID of the servers' group, once it is there.
func (a *api) placeServerGroup(ctx context.Context, j *job) (string, error) {
	if j.serverGroup == "" {
		return "", nil
	}
	target := store.Target{Kind: store.KindServerGroup, ID: j.serverGroup, Pod: j.pod.Name}
	if err := a.Reconciler.EnsureAs(ctx, j.by, target); err != nil {
		return "", err
	}
	m, err := a.Store.FindMapping(ctx, target)
	if fault.Is(err, fault.NotFound) || err == nil && (m.PodID == "" || !m.Wanted) {
		return "", fault.New(fault.Invalid, "", "Instance group %s could not be found.", j.serverGroup) // deleted meanwhile
	}
	return m.PodID, err
}

// groupElsewhere reports that the server's group has come to be in another pod.
func groupElsewhere(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && f.Code == store.GroupElsewhere
}

// ourGroup puts our ID of the group into what the pod said of it by its own.
func ourGroup(err error, podID, id string) error {
	f, ok := faultOf(err)
	if !ok || podID == "" || !strings.Contains(f.Message, podID) {
		return err
	}
	said := *f
	said.Message = strings.ReplaceAll(f.Message, podID, id)
	return &said
}
