package reconcile

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tricircle/tricircle/internal/quota"
)

// A project without limits of its own has what the pods give by default. A pod is
// asked when it has never told, by a census now and then, and when somebody looks
// at limits whose names may be new.

// defaults remembers which pods have told their defaults.
type defaults struct {
	flight singleflight.Group
	mu     sync.Mutex
	told   map[string]bool // by service/pod
	asked  map[string]time.Time
}

const (
	defaultsTimeout = 5 * time.Second
	defaultsRetry   = 30 * time.Second // of a pod that did not tell
	defaultsFresh   = 5 * time.Second
)

// LearnDefaults asks the pods that have never told what they give by default, once
// for all who wait. Until a pod has told, it does not count.
func (r *Reconciler) LearnDefaults(ctx context.Context, service string) {
	r.askDefaults(ctx, service, func(told bool, since time.Duration) bool { return !told && since >= defaultsRetry })
}

// RefreshDefaults asks all pods, unless they told a moment ago.
func (r *Reconciler) RefreshDefaults(ctx context.Context, service string) {
	r.askDefaults(ctx, service, func(told bool, since time.Duration) bool {
		return since >= defaultsFresh && (told || since >= defaultsRetry)
	})
}

func (r *Reconciler) askDefaults(ctx context.Context, service string, due func(told bool, since time.Duration) bool) {
	if len(r.dueDefaults(ctx, service, due)) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	_, _, _ = r.defaults.flight.Do(service, func() (any, error) {
		ctx, cancel := context.WithTimeout(ctx, defaultsTimeout)
		defer cancel()
		var wg sync.WaitGroup
		for _, name := range r.dueDefaults(ctx, service, due) {
			wg.Go(func() {
				if err := r.defaultsOf(ctx, service, name); err != nil {
					r.log.InfoContext(ctx, "a pod's default quotas are not known", "service", service, "pod", name, "error", err)
				}
			})
		}
		wg.Wait()
		return nil, nil
	})
}

// dueDefaults are the pods to ask now.
func (r *Reconciler) dueDefaults(ctx context.Context, service string, due func(told bool, since time.Duration) bool) []string {
	pods, err := r.pods.Pods(ctx)
	if err != nil || r.rememberTold(ctx) != nil {
		return nil
	}
	d := &r.defaults
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for _, p := range pods {
		key := service + "/" + p.Name
		if due(d.told[key], r.now().Sub(d.asked[key])) {
			names = append(names, p.Name)
		}
	}
	return names
}

// rememberTold reads once what earlier processes have learned.
func (r *Reconciler) rememberTold(ctx context.Context) error {
	d := &r.defaults
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.told != nil {
		return nil
	}
	told := map[string]bool{}
	for _, of := range counters {
		known, err := r.store.PodDefaults(ctx, of.name)
		if err != nil {
			return err
		}
		for name := range known {
			told[of.name+"/"+name] = true
		}
	}
	d.told, d.asked = told, map[string]time.Time{}
	return nil
}

// defaultsOf remembers what the pod gives projects of which nobody said anything.
func (r *Reconciler) defaultsOf(ctx context.Context, service, podName string) error {
	c, err := r.pods.Client(ctx, podName)
	if err == nil {
		var limits quota.Amounts
		limits, err = counterOf(service).showClass(ctx, c, "default")
		if err == nil {
			err = r.store.SetPodDefaults(ctx, service, podName, limits)
		}
	}
	if terr := r.rememberTold(context.WithoutCancel(ctx)); terr != nil {
		return errors.Join(err, terr)
	}
	d := &r.defaults
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told[service+"/"+podName] = err == nil || d.told[service+"/"+podName]
	d.asked[service+"/"+podName] = r.now()
	return err
}
