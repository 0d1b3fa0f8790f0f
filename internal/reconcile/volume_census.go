package reconcile

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// volumeCensus makes the index right for what the pod's Block Storage has: of a
// project, or of all. It reports how much of it the pod is still deleting.
func (r *Reconciler) volumeCensus(ctx context.Context, c *pod.Client, podName, project string) (leaving int, err error) {
	p, err := r.pods.Pod(ctx, podName)
	if err != nil {
		return 0, err
	}
	for _, s := range storages {
		n, serr := r.countStored(ctx, c, s, store.EntryQuery{Kind: s.kind, Pod: podName, ProjectID: project}, p.Zone)
		leaving, err = leaving+n, errors.Join(err, serr)
	}
	return leaving, err
}

// countStored reads all of a kind, the oldest first, records it, and looks after
// what the index has and the list has not.
func (r *Reconciler) countStored(ctx context.Context, c *pod.Client, s storage, of store.EntryQuery, zone string) (leaving int, err error) {
	known, err := r.store.ListEntries(ctx, of)
	if err != nil {
		return 0, err
	}
	listed := map[string]bool{}
	q := url.Values{"limit": {strconv.Itoa(censusPage)}, "sort": {"created_at:asc,id:asc"}}
	if of.ProjectID != "" {
		q.Set("project_id", of.ProjectID)
	}
	for {
		page, err := s.page(ctx, c, q)
		if fault.Is(err, fault.NotFound) {
			return 0, nil // a pod without backups, or older than groups
		}
		if err != nil {
			return 0, err
		}
		var entries []store.Entry
		for _, v := range page {
			listed[v.ID] = true
			if v.Status == "deleting" {
				leaving++
			}
			e := v.entry(s.kind, of.Pod, zone)
			if e.ProjectID = cmp.Or(e.ProjectID, of.ProjectID); e.ProjectID != "" && !v.foreign() {
				entries = append(entries, e)
			}
		}
		if err := r.store.Record(ctx, entries...); err != nil {
			return 0, err
		}
		if len(page) < censusPage {
			break
		}
		q.Set("marker", page[len(page)-1].ID)
	}
	for _, e := range known {
		if !listed[e.ID] {
			err = errors.Join(err, r.notStored(ctx, c, s, e))
		}
	}
	return leaving, err
}

// notStored looks after a thing of the index that the pod's list did not have: it is
// gone, or too new, or another project's by now.
func (r *Reconciler) notStored(ctx context.Context, c *pod.Client, s storage, e store.Entry) error {
	v, err := s.show(ctx, c, e.ID)
	switch {
	case fault.Is(err, fault.NotFound):
		if err := r.store.Unwant(ctx, e.Kind, e.ID); err != nil {
			return err
		}
		return r.Ensure(ctx, e.Target(), nil)
	case err != nil:
		return err
	}
	seen := v.entry(s.kind, e.Pod, e.Zone)
	seen.ProjectID = cmp.Or(seen.ProjectID, e.ProjectID)
	return r.store.Record(ctx, seen)
}

// volumeCount looks through what a project has in a pod, after something was done
// there of which only the pod knows what came of it: a server that was made with
// volumes, or took some with it; a group. It goes on while the pod is at work.
func (r *Reconciler) volumeCount(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if !m.Wanted {
		return r.store.Forget(ctx, m.Target)
	}
	begun := r.now()
	building, err := r.building(ctx, m)
	if err != nil {
		return err
	}
	leaving, err := r.volumeCensus(ctx, c, m.Pod, m.ID)
	if err != nil {
		return err
	}
	if building {
		return &jobs.Again{After: 2 * time.Second, Reason: "pod " + m.Pod + " is building servers of project " + m.ID}
	}
	if err := r.store.EndBoots(ctx, m.ID, m.Pod, begun); err != nil {
		return err
	}
	if leaving > 0 {
		return &jobs.Again{After: 2 * time.Second, Reason: "pod " + m.Pod + " is deleting volumes of project " + m.ID}
	}
	return nil
}

// atOnce is how many things of a kind are looked after while a user waits.
const atOnce = 50

// CountAnew looks after what the project has deleted last, and after the volumes of
// servers that it has made, and reports whether some of it may count less now: who
// is at his limit must not wait for the jobs that do the same.
func (r *Reconciler) CountAnew(ctx context.Context, project string) bool {
	var wg sync.WaitGroup
	var some atomic.Bool
	for _, kind := range []string{store.KindVolume, store.KindSnapshot, store.KindBackup, store.KindGroup, store.KindVolumeCount} {
		pending, err := r.store.ListMappings(ctx, store.MappingQuery{Kind: kind, Project: project, Pending: true, Limit: atOnce})
		if err != nil {
			return false
		}
		for _, m := range pending {
			if m.Wanted && kind != store.KindVolumeCount {
				continue
			}
			wg.Go(func() {
				// A count that has to come again may have ended something all the same.
				if err := r.Ensure(ctx, m.Target, nil); err == nil || kind == store.KindVolumeCount {
					some.Store(true)
				}
			})
		}
	}
	wg.Wait()
	return some.Load()
}

// buildTime is how long a server may take to get its volumes.
const buildTime = 5 * time.Minute

// building reports whether a server that the index knew to be building a moment ago
// may still get volumes. A list or a census tells the index when it has ended; the
// time bounds the wait for both.
func (r *Reconciler) building(ctx context.Context, m store.Mapping) (bool, error) {
	c, err := r.pods.Client(ctx, m.Pod)
	if err != nil {
		return false, err
	}
	lately, err := r.store.ListEntries(ctx, store.EntryQuery{Kind: store.KindServer, Pod: m.Pod, ProjectID: m.ID, From: r.now().Add(-buildTime)})
	if err != nil {
		return false, err
	}
	for _, e := range lately {
		if e.Status != "BUILD" {
			continue
		}
		s, err := showServer(ctx, c, e.ID)
		if err == nil && s.Status == "BUILD" {
			return true, nil // its volumes may be newer than the count
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return false, err
		}
		if err == nil {
			if err := r.store.SetStatus(ctx, e.Target(), s.Status); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// boot gives back what is held for a server's volumes if no count has done it.
func (r *Reconciler) boot(ctx context.Context, in store.Intent) error {
	if r.now().Before(in.CreatedAt.Add(buildTime)) {
		return &jobs.Again{After: 30 * time.Second, Reason: "pod " + in.Pod + " makes the volumes of server " + in.ID}
	}
	return r.store.Abandon(ctx, in.ID)
}
