package fleet

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

const (
	// capacityEvery is how often the pods are asked for their numbers.
	capacityEvery = 30 * time.Second
	// capacityHolds is how long numbers count when no newer ones come in.
	capacityHolds = 4 * capacityEvery
	// politeness is how many times as long as it takes to answer a pod is left
	// alone: one with a thousand hosts is asked more seldom.
	politeness = 20
	sizeHolds  = 5 * time.Minute
	// A pod that had no host for a flavor, or no quota for a project, is believed
	// to go on so for a while. The next server finds out.
	noHostHolds  = 2 * time.Minute
	noQuotaHolds = 30 * time.Second
	// maxFull bounds what is remembered of full pods.
	maxFull = 10_000
)

// Run asks the pods for their numbers until ctx ends. Requests never wait for
// it: what is not known yet counts for nothing.
func (f *Fleet) Run(ctx context.Context) {
	tick := time.NewTicker(capacityEvery)
	defer tick.Stop()
	for {
		f.RefreshCapacity(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// RefreshCapacity asks every pod that is due, all at once, and waits.
func (f *Fleet) RefreshCapacity(ctx context.Context) {
	pods, err := f.Pods(ctx)
	if err != nil {
		return // the database is away, which others say louder
	}
	var wg sync.WaitGroup
	for _, p := range pods {
		if f.capacity.due(p.Name) {
			wg.Go(func() { f.readCapacity(ctx, p.Name) })
		}
	}
	wg.Wait()
}

func (f *Fleet) readCapacity(ctx context.Context, name string) {
	began := f.now()
	client, err := f.Client(ctx, name)
	if err != nil {
		return
	}
	hosts, err := f.hypervisors(ctx, client)
	took := f.now().Sub(began)
	if err != nil {
		f.log.DebugContext(ctx, "cannot read a pod's capacity", "pod", name, "error", err)
	}
	f.capacity.set(name, hosts, err == nil, took)
}

// hypervisors reads the pod's hosts in Nova's first version, which shows numbers.
// A pod that has left it behind is asked in its latest, which has none since 2.88.
func (f *Fleet) hypervisors(ctx context.Context, client *pod.Client) ([]Host, error) {
	var out struct {
		Hypervisors []struct {
			Hostname  string `json:"hypervisor_hostname"`
			Type      string `json:"hypervisor_type"`
			State     string `json:"state"`
			Status    string `json:"status"`
			VCPUs     int    `json:"vcpus"`
			VCPUsUsed int    `json:"vcpus_used"`
			RAM       int    `json:"memory_mb"`
			RAMUsed   int    `json:"memory_mb_used"`
			Disk      int    `json:"local_gb"`
			DiskUsed  int    `json:"local_gb_used"`
		}
	}
	ask := func(h http.Header) error {
		return client.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodGet, Path: "/os-hypervisors/detail",
			Header: h, Timeout: f.askTimeout(), Op: "list hypervisors"}, nil, &out)
	}
	err := ask(nil)
	if fault.Is(err, fault.NotAcceptable) {
		err = ask(http.Header{"Openstack-Api-Version": {"compute latest"}})
	}
	if err != nil {
		return nil, err
	}
	hosts := make([]Host, 0, len(out.Hypervisors))
	for _, h := range out.Hypervisors {
		hosts = append(hosts, Host{
			Name: h.Hostname, Up: h.State == "up" && h.Status == "enabled", BareMetal: h.Type == "ironic",
			VCPUs: h.VCPUs, VCPUsUsed: h.VCPUsUsed, RAM: h.RAM, RAMUsed: h.RAMUsed, Disk: h.Disk, DiskUsed: h.DiskUsed,
		})
	}
	return hosts, nil
}

// capacities are the pods' numbers.
type capacities struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[string]reading
}

type reading struct {
	capacity *Capacity
	at       time.Time
	next     time.Time
}

func (k *capacities) find(name string) *Capacity {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.of[name]
	if k.now().Sub(r.at) > max(capacityHolds, 2*r.next.Sub(r.at)) {
		return nil
	}
	return r.capacity
}

func (k *capacities) due(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.now().Before(k.of[name].next)
}

func (k *capacities) set(name string, hosts []Host, ok bool, took time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.of[name]
	now := k.now()
	r.next = now.Add(politeness * took)
	if ok {
		r.capacity, r.at = &Capacity{Hosts: hosts}, now
	}
	k.of[name] = r
}

// sizes are those of flavors, which one ID has in all pods.
type sizes struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[string]sized
}

type sized struct {
	size  Size
	until time.Time
}

func (k *sizes) find(flavor string) *Size {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.of[flavor]
	if !ok || k.now().After(s.until) {
		return nil
	}
	return &s.size
}

func (k *sizes) add(flavor string, s Size) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.of) >= maxFull {
		clear(k.of)
	}
	k.of[flavor] = sized{s, k.now().Add(sizeHolds)}
}

// fullness remembers what pods could not do.
type fullness struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[fullKey]fullFor
}

// fullKey is a pod and the project that has no quota there; no project: there is
// no host for servers of the size.
type fullKey struct{ pod, project string }

type fullFor struct {
	reason string
	size   Size // the smallest that found no host
	until  time.Time
}

func (k *fullness) add(key fullKey, v fullFor) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.of) >= maxFull {
		clear(k.of)
	}
	if old := k.of[key]; k.now().Before(old.until) && v.size.atLeast(old.size) {
		v.size = old.size // nor for larger ones
	}
	k.of[key] = v
}

// find says why the pod is believed to have no room.
func (k *fullness) find(name, project string, size *Size) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if v, ok := k.of[fullKey{name, project}]; ok && now.Before(v.until) {
		return v.reason
	}
	v, ok := k.of[fullKey{pod: name}]
	if !ok || size == nil || !now.Before(v.until) || !size.atLeast(v.size) {
		return ""
	}
	return v.reason
}

// NoQuota says that the pod has just refused a server of the project: for half a
// minute other pods go first.
func (f *Fleet) NoQuota(name, project, reason string) {
	f.full.add(fullKey{name, project}, fullFor{reason: "it refused lately: " + reason, until: f.now().Add(noQuotaHolds)})
}

// NoHost says that at that time the pod found no host for a server of the size:
// for two minutes other pods go first for such servers and larger ones.
func (f *Fleet) NoHost(name string, size Size, at time.Time) {
	until := at.Add(noHostHolds)
	if until.Before(f.now()) {
		return
	}
	f.full.add(fullKey{pod: name}, fullFor{size: size, until: until,
		reason: fmt.Sprintf("it found no host for %d VCPUs, %d MiB, %d GiB at %s", size.VCPUs, size.RAM, size.Disk, at.UTC().Format(time.TimeOnly))})
}

// Size is that of the flavor, as a pod has told it lately; nil: it is not known.
func (f *Fleet) Size(flavorID string) *Size { return f.sizes.find(flavorID) }
