package fleet

import (
	"context"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
)

// Nova numbers hypervisors, services, aggregates and migrations in each pod from
// 1, so the region's number carries the pod's: pod*span + number. The first pod's
// numbers stay as they are, those of the second are 10000001 and so on; up to 214
// pods that fits 32 bits, for clients that have no more. A number that a pod has
// beyond span goes where no such sum reaches: wide + number*spread + pod.
// Neither form depends on which pods there are, and no two things share one.
const (
	span   = 10_000_000
	spread = 100_000            // more than there ever will be pods
	wide   = span * spread      // every sum of the first form is below
	widest = spread * (1 << 40) // keeps an ID somebody made up from overflowing
)

// RegionNumber is the region's number for what the pod calls id, by the list of
// pods read last. It is -1 for a pod that is not there any more.
func (f *Fleet) RegionNumber(podName string, id int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := find(f.pods, podName)
	if !ok {
		return -1
	}
	return regionNumber(p.Number, id)
}

// PodNumber finds the pod and the pod's own number behind a number of the region;
// fault.NotFound when there can be none.
func (f *Fleet) PodNumber(ctx context.Context, n int64) (podName string, id int64, err error) {
	pods, err := f.Pods(ctx)
	if err != nil {
		return "", 0, err
	}
	number, id, ok := podNumber(n)
	i := slices.IndexFunc(pods, func(p store.Pod) bool { return p.Number == number })
	if !ok || i < 0 {
		return "", 0, fault.New(fault.NotFound, "", "no pod has number %d", n)
	}
	return pods[i].Name, id, nil
}

func regionNumber(pod int, id int64) int64 {
	if id < span {
		return int64(pod)*span + id
	}
	return wide + id*spread + int64(pod)
}

// podNumber takes the region's number apart again. ok is false for one that no
// pod can have.
func podNumber(n int64) (pod int, id int64, ok bool) {
	switch {
	case n < 0, n > widest:
		return 0, 0, false
	case n < wide:
		return int(n / span), n % span, true
	}
	n -= wide
	pod, id = int(n%spread), n/spread
	return pod, id, id >= span
}
