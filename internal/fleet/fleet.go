// Package fleet knows the pods: which there are, how to talk to each, and which
// one a new server goes to.
package fleet

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/alias"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/release"
	"github.com/tricircle/tricircle/internal/store"
)

// staleAfter bounds how long another replica goes on with an old list of pods.
const staleAfter = 2 * time.Second

// Options are what New needs; Store and Own must be set.
type Options struct {
	Store *store.Store
	// Own is Tricircle's own account, used in every pod whose row names no cloud.
	Own *pod.Account
	// Credentials finds the account of a pod whose row names a cloud.
	Credentials func(ref string) (pod.AccountOptions, error)
	// Secret finds what is behind a reference such as a pod's message bus.
	Secret func(ref string) (pod.Secret, error)
	// Client is what the clients of all pods share: time limits, breaker, metrics.
	// Name, Region, Interface and Account are filled in per pod.
	Client pod.Options
	// Versions bounds the versions of the Compute API that the region offers.
	Versions release.Limits
	Now      func() time.Time
	Log      *slog.Logger
}

// Fleet is the set of pods. It is safe for concurrent use.
type Fleet struct {
	store       *store.Store
	own         *pod.Account
	credentials func(ref string) (pod.AccountOptions, error)
	secret      func(ref string) (pod.Secret, error)
	client      pod.Options
	now         func() time.Time
	log         *slog.Logger
	seen        *sightings
	hosts       hostNames
	capacity    *capacities
	sizes       *sizes
	full        *fullness
	versions    release.Limits
	releases    *release.Book
	aliases     *alias.Book

	mu      sync.Mutex
	epoch   int // bumped by Changed: a list read before it is not kept
	pods    []store.Pod
	readAt  time.Time
	clients map[string]held
}

// Zone is an availability zone as users see it.
type Zone struct {
	Name      string   `json:"name"`
	Pods      []string `json:"pods"`
	Available bool     `json:"available"` // a pod of it takes new servers now
}

// New makes a Fleet; it reads nothing yet.
func New(o Options) *Fleet {
	now := o.Now
	if now == nil {
		now = time.Now
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	credentials := o.Credentials
	if credentials == nil {
		credentials = func(ref string) (pod.AccountOptions, error) {
			return pod.AccountOptions{}, fault.New(fault.Invalid, "", "no credentials called %q are configured", ref)
		}
	}
	f := &Fleet{
		store: o.Store, own: o.Own, credentials: credentials, secret: o.Secret, client: o.Client, now: now, log: log,
		seen: newSightings(now), clients: map[string]held{},
		capacity: &capacities{now: now, of: map[string]reading{}}, sizes: &sizes{now: now, of: map[string]sized{}},
		full:     &fullness{now: now, of: map[fullKey]fullFor{}},
		versions: o.Versions, releases: release.NewBook(now, log),
	}
	f.aliases = alias.NewBook(f.pairs)
	f.client.Around = f.around
	return f
}

// Pods lists the pods by name. Another replica's change is seen within two
// seconds, this replica's at once.
func (f *Fleet) Pods(ctx context.Context) ([]store.Pod, error) {
	f.mu.Lock()
	epoch := f.epoch
	if !f.readAt.IsZero() && f.now().Sub(f.readAt) < staleAfter {
		defer f.mu.Unlock()
		return slices.Clone(f.pods), nil
	}
	f.mu.Unlock()

	readAt := f.now()
	pods, err := f.store.ListPods(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(pods, func(a, b store.Pod) int { return cmp.Compare(a.Name, b.Name) })

	f.mu.Lock()
	defer f.mu.Unlock()
	if f.epoch == epoch {
		f.pods, f.readAt = slices.Clip(append([]store.Pod{}, pods...)), readAt
	}
	return pods, nil
}

// Changed says that this replica has added, changed or removed a pod.
func (f *Fleet) Changed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch++
	f.readAt = time.Time{} // what names and numbers are made of stays until it is read anew
}

// Pod finds one pod by name; fault.NotFound when there is none.
func (f *Fleet) Pod(ctx context.Context, name string) (store.Pod, error) {
	pods, err := f.Pods(ctx)
	if err != nil {
		return store.Pod{}, err
	}
	if p, ok := find(pods, name); ok {
		return p, nil
	}
	return store.Pod{}, fault.New(fault.NotFound, "", "Pod %s could not be found", name)
}

func find(pods []store.Pod, name string) (store.Pod, bool) {
	i := slices.IndexFunc(pods, func(p store.Pod) bool { return p.Name == name })
	if i < 0 {
		return store.Pod{}, false
	}
	return pods[i], true
}

// Zones lists the zones by name. A zone is available when one of its pods is
// neither cordoned nor away.
func (f *Fleet) Zones(ctx context.Context) ([]Zone, error) {
	pods, err := f.Pods(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string]Zone{}
	for _, p := range pods {
		z := byName[p.Zone]
		z.Name = p.Zone
		z.Pods = append(z.Pods, p.Name)
		z.Available = z.Available || !p.Cordoned && !f.away(ctx, p.Name)
		byName[p.Zone] = z
	}
	zones := make([]Zone, 0, len(byName))
	for _, z := range byName {
		zones = append(zones, z)
	}
	slices.SortFunc(zones, func(a, b Zone) int { return cmp.Compare(a.Name, b.Name) })
	return zones, nil
}

func (f *Fleet) away(ctx context.Context, name string) bool {
	client, err := f.Client(ctx, name)
	if err != nil {
		return true
	}
	state, _, _ := client.State()
	return state == pod.Away
}

// ZoneOf is the zone of the pod, out of the list read last: it serves callers
// that have just had a reply from that pod. It is empty for an unknown pod.
func (f *Fleet) ZoneOf(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, _ := find(f.pods, name)
	return p.Zone
}

// Where finds the pod that holds the thing, for kinds that live in one pod;
// fault.NotFound when no pod is known to.
func (f *Fleet) Where(ctx context.Context, kind, id string) (store.Mapping, error) {
	mappings, err := f.store.ListMappings(ctx, store.MappingQuery{Kind: kind, ID: id})
	if err != nil {
		return store.Mapping{}, err
	}
	for _, m := range mappings {
		if m.PodID != "" {
			return m, nil
		}
	}
	return store.Mapping{}, fault.New(fault.NotFound, "", "%s %s could not be found", kind, id)
}
