package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// Volume types, their QoS specs and group types are known by name: Cinder gives
// each an ID of its own, and keeps the names apart. The region has one ID for all
// pods. What pods had before there was a region is adopted: its region-wide ID is
// that of the pod where it was first seen.
//
// Package alias stands between: a pod's client takes and shows the region's IDs as
// soon as the mapping is known.

// seek finds a replica in the pod, in the region's words. What the pod calls it is
// empty when there is none; a thing without a mapping is looked for by name.
func (r *Reconciler) seek(ctx context.Context, c *pod.Client, m store.Mapping, name string) (podID string, found json.RawMessage, err error) {
	k := replicaKinds[m.Kind]
	if !store.Named(m.Kind) {
		found, err = k.find(ctx, c, m.ID)
		return m.ID, found, err
	}
	if m.PodID != "" {
		if found, err = k.find(ctx, c, m.PodID); err != nil || found != nil {
			found, err = r.regional(ctx, k, m.Pod, found, err)
			return m.PodID, found, err
		}
	}
	if name == "" {
		return "", nil, nil
	}
	all, err := k.names(ctx, c)
	if err != nil {
		return "", nil, err
	}
	i := slices.IndexFunc(all, func(t plan.Replica) bool { return t.Name == name })
	if i < 0 {
		return "", nil, nil
	}
	known, err := r.knownIn(ctx, m.Kind, m.Pod)
	if err != nil {
		return "", nil, err
	}
	if owner, ok := known[all[i].ID]; ok && owner.ID != m.ID {
		return "", nil, nil // another one, which has the name still
	}
	found, err = k.find(ctx, c, all[i].ID)
	found, err = r.regional(ctx, k, m.Pod, found, err)
	return all[i].ID, found, err
}

// knownIn are the mappings of the kind in the pod, by either ID.
func (r *Reconciler) knownIn(ctx context.Context, kind, podName string) (map[string]store.Mapping, error) {
	all, err := r.store.ListMappings(ctx, store.MappingQuery{Kind: kind, Pod: podName})
	if err != nil {
		return nil, err
	}
	known := make(map[string]store.Mapping, 2*len(all))
	for _, m := range all {
		if m.PodID != "" {
			known[m.ID], known[m.PodID] = m, m
		}
	}
	return known, nil
}

// regional is content that a pod has, in the region's words.
func (r *Reconciler) regional(ctx context.Context, k replicaKind, podName string, content json.RawMessage, err error) (json.RawMessage, error) {
	return r.inZones(ctx, k, podName, content, err, func(p store.Pod, zone string) string {
		if p.PodZone != "" && zone == p.PodZone {
			return p.Zone
		}
		return zone
	})
}

// local is the reverse. Zones of other pods stay: they say that volumes of the
// type are not for this pod.
func (r *Reconciler) local(ctx context.Context, k replicaKind, podName string, content json.RawMessage) (json.RawMessage, error) {
	return r.inZones(ctx, k, podName, content, nil, func(p store.Pod, zone string) string {
		if p.PodZone != "" && zone == p.Zone {
			return p.PodZone
		}
		return zone
	})
}

func (r *Reconciler) inZones(ctx context.Context, k replicaKind, podName string, content json.RawMessage, err error, name func(store.Pod, string) string) (json.RawMessage, error) {
	if err != nil || content == nil || k.zoned == nil {
		return content, err
	}
	p, err := r.pods.Pod(ctx, podName)
	if err != nil {
		return nil, err
	}
	return k.zoned(content, func(zone string) string { return name(p, zone) })
}

// listed are the pod's things of a kind, in the region's words.
func (r *Reconciler) listed(ctx context.Context, k replicaKind, c *pod.Client, owner string) ([]plan.Replica, error) {
	shown, contents, err := k.list(ctx, c, owner)
	if err != nil || k.zoned == nil {
		return shown, err
	}
	for i := range shown {
		content, err := r.regional(ctx, k, c.Name(), contents[i], nil)
		if err != nil {
			return nil, err
		}
		id := shown[i].ID
		if shown[i], err = k.show(content); err != nil {
			return nil, err
		}
		shown[i].ID = id
	}
	return shown, nil
}

// AdoptNamed gives what the pods have, and the region does not know yet, its
// region-wide ID. A pod that is away is left out.
func (r *Reconciler) AdoptNamed(ctx context.Context, kind string) error {
	pods, err := r.store.ListPods(ctx)
	if err != nil {
		return err
	}
	for _, p := range pods {
		if e := r.adoptIn(ctx, kind, p.Name); e != nil {
			err = errors.Join(err, e)
		}
	}
	return err
}

// adoptAllIn does so for one pod and all kinds.
func (r *Reconciler) adoptAllIn(ctx context.Context, podName string) error {
	var err error
	// Types name QoS specs.
	for _, kind := range []string{store.KindQoSSpecs, store.KindVolumeType, store.KindGroupType} {
		err = errors.Join(err, r.adoptIn(ctx, kind, podName))
	}
	return err
}

func (r *Reconciler) adoptIn(ctx context.Context, kind, podName string) error {
	c, err := r.pods.Client(ctx, podName)
	if err != nil {
		return err
	}
	k := replicaKinds[kind]
	all, err := k.names(ctx, c)
	if err != nil {
		return err
	}
	known, err := r.knownIn(ctx, kind, podName)
	if err != nil {
		return err
	}
	for _, t := range all {
		if _, ok := known[t.ID]; ok {
			continue
		}
		content, err := k.find(ctx, c, t.ID)
		content, err = r.regional(ctx, k, podName, content, err)
		if err != nil {
			return err
		}
		if content == nil {
			continue // gone meanwhile
		}
		if err := r.adoptOne(ctx, kind, t.Name, store.Copy{Pod: podName, PodID: t.ID, Content: content}); err != nil {
			return err
		}
	}
	return nil
}

// adoptOne takes what a pod has for that of the same name in the region, or makes
// it known under the pod's ID. One that the region is just making or removing is
// left to those who do.
func (r *Reconciler) adoptOne(ctx context.Context, kind, name string, c store.Copy) error {
	release, err := r.locks.lock(ctx, "adopt/"+kind+"/"+name, nil)
	if err != nil {
		return err
	}
	defer release()
	rep, err := r.store.FindReplicaNamed(ctx, kind, name)
	if fault.Is(err, fault.NotFound) {
		if _, err := r.store.FindReplica(ctx, kind, c.PodID); !fault.Is(err, fault.NotFound) {
			return err // on record meanwhile, or on its way out
		}
		c.Settled = true
		return r.store.KeepReplica(ctx, store.Replica{Kind: kind, ID: c.PodID, Name: name, Content: c.Content}, c)
	}
	if err != nil || rep.Content == nil {
		return err
	}
	m, err := r.store.FindMapping(ctx, store.Target{Kind: kind, ID: rep.ID, Pod: c.Pod})
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return err
	case err == nil && !m.Wanted:
		return nil
	case err == nil && m.Pending() && rep.Everywhere:
		return nil // its job finds it
	}
	// Where they differ the pod's stays, until the region changes it: told the same.
	c.Content = rep.Content
	return r.store.MeetReplica(ctx, kind, rep.ID, c)
}

// recordNamed is Record for a thing that pods may have and the region has not met.
func (r *Reconciler) recordNamed(ctx context.Context, kind, id string) (store.Replica, error) {
	away := r.AdoptNamed(ctx, kind)
	rep, err := r.store.FindReplica(ctx, kind, id)
	switch {
	case err == nil && rep.Content != nil && !rep.Deleted:
		return rep, nil
	case err != nil && !fault.Is(err, fault.NotFound):
		return rep, err
	case away != nil:
		return rep, away
	}
	return rep, noSuch(kind, id)
}
