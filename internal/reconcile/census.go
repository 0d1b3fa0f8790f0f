package reconcile

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
)

// The index learns of servers as the region makes them and lists show them. What
// was made, resized or deleted in a pod past the region, and was never listed, is
// brought right by a census: all of the pod's servers, page by page, against the
// index. Quotas count on it.

// censusPage is how many servers are read and recorded at a time.
const censusPage = 1000

// RunCensus takes a census of every pod at the interval, until ctx ends. One
// replica does it for each pod; a new pod is counted soon.
func (r *Reconciler) RunCensus(ctx context.Context, interval time.Duration) {
	look := time.NewTicker(max(interval/10, time.Second))
	defer look.Stop()
	for {
		r.censusInTurn(ctx, interval)
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// censusInTurn takes the census of the pods whose turn it is. Whoever takes a
// pod's lease counts it; the lease is left to run out.
func (r *Reconciler) censusInTurn(ctx context.Context, interval time.Duration) {
	pods, err := r.store.ListPods(ctx)
	if err != nil && ctx.Err() == nil {
		r.log.ErrorContext(ctx, "cannot take a census", "error", err)
	}
	var running sync.WaitGroup
	for _, p := range pods {
		mine, err := r.store.Acquire(ctx, "census/"+p.Name, uuid.NewString(), interval)
		if err != nil || !mine {
			continue
		}
		running.Go(func() {
			err := errors.Join(r.Census(ctx, p.Name), r.Patrol(ctx, p.Name))
			if err != nil && ctx.Err() == nil {
				r.log.WarnContext(ctx, "cannot take a census: the next one is in turn", "pod", p.Name, "error", err)
			}
		})
	}
	running.Wait()
}

// Census makes the index right for the pod's servers and for what its Block Storage
// counts, and learns the pod's default quotas. A server that the pod does not list, and says it does not have,
// is forgotten, with what was held for it. Blocks of addresses that nothing in the
// pod uses any more are free for others.
func (r *Reconciler) Census(ctx context.Context, podName string) error {
	c, err := r.pods.Client(ctx, podName)
	if err != nil {
		return err
	}
	p, err := r.pods.Pod(ctx, podName)
	if err != nil {
		return err
	}
	known, err := r.store.ListEntries(ctx, store.EntryQuery{Kind: store.KindServer, Pod: podName})
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	err = r.count(ctx, c, func(servers []podServer) error {
		entries := make([]store.Entry, 0, len(servers))
		for _, s := range servers {
			listed[s.ID] = true
			entries = append(entries, s.entry(podName, p.Zone))
		}
		return r.store.Record(ctx, entries...)
	})
	if err != nil {
		return err
	}
	for _, e := range known {
		if !listed[e.ID] {
			err = errors.Join(err, r.unlisted(ctx, c, e))
		}
	}
	_, verr := r.volumeCensus(ctx, c, podName, "")
	err = errors.Join(err, verr)
	_, blocks := r.store.ReleaseBlocks(ctx, podName)
	return errors.Join(err, blocks, r.defaultsOf(ctx, quota.Compute, podName), r.defaultsOf(ctx, quota.Volume, podName), r.adoptAllIn(ctx, podName))
}

// unlisted looks after a server of the index that the pod's list did not have:
// it is gone, was kept back by the pod after its deletion, or is too new.
func (r *Reconciler) unlisted(ctx context.Context, c *pod.Client, e store.Entry) error {
	m, err := r.store.FindMapping(ctx, e.Target())
	if fault.Is(err, fault.NotFound) || err == nil && !m.Wanted {
		return nil // the job of the deletion is on it
	}
	if err != nil {
		return err
	}
	s, err := showServer(ctx, c, e.ID)
	switch {
	case fault.Is(err, fault.NotFound):
		if err := r.store.Unwant(ctx, e.Kind, e.ID); err != nil {
			return err
		}
		return r.Ensure(ctx, e.Target(), nil)
	case err != nil:
		return err
	}
	return r.store.SetStatus(ctx, e.Target(), s.Status)
}

// count reads all of the pod's servers, the oldest first: what is made meanwhile
// comes at the end.
func (r *Reconciler) count(ctx context.Context, c *pod.Client, take func([]podServer) error) error {
	q := url.Values{"all_tenants": {"1"}, "sort_key": {"created_at"}, "sort_dir": {"asc"}}
	list := pod.Request{Service: pod.Compute, Method: http.MethodGet, Path: "/servers/detail", Query: q, Op: "list servers",
		// From 2.47 on a server shows its own size.
		Header: http.Header{"Openstack-Api-Version": {"compute 2.47"}, "X-Openstack-Nova-Api-Version": {"2.47"}}}
	q.Set("limit", strconv.Itoa(censusPage))
	flavors := flavorSizes{}
	for {
		var page struct {
			Servers []podServer `json:"servers"`
		}
		err := c.JSON(ctx, list, nil, &page)
		if fault.Is(err, fault.NotAcceptable) && list.Header != nil {
			list.Header = nil
			continue
		}
		if err != nil {
			return err
		}
		if err := flavors.fill(ctx, c, page.Servers); err != nil {
			return err
		}
		if err := take(page.Servers); err != nil || len(page.Servers) < censusPage {
			return err
		}
		q.Set("marker", page.Servers[len(page.Servers)-1].ID)
	}
}

// flavorSizes are those of an old pod's flavors, asked for one by one.
type flavorSizes map[string]quota.Size

// fill adds the sizes that the servers do not show. A flavor that was deleted has
// none any more.
func (known flavorSizes) fill(ctx context.Context, c *pod.Client, servers []podServer) error {
	for i := range servers {
		f := &servers[i].Flavor
		if f.VCPUs > 0 || f.ID == "" {
			continue
		}
		size, ok := known[f.ID]
		if !ok {
			var out struct {
				Flavor struct {
					VCPUs int64 `json:"vcpus"`
					RAM   int64 `json:"ram"`
				} `json:"flavor"`
			}
			err := c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodGet, Path: "/flavors/" + url.PathEscape(f.ID), Op: "show flavor"}, nil, &out)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			size = quota.Size{VCPUs: out.Flavor.VCPUs, RAM: out.Flavor.RAM}
			known[f.ID] = size
		}
		f.VCPUs, f.RAM = size.VCPUs, size.RAM
	}
	return nil
}
