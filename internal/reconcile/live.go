package reconcile

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// Whether a port is up, and on which host, is what its pod says. It is asked when
// somebody looks, many ports in one call; what was asked a moment ago, and what a
// pod that is away said last, is taken as it stands. Neutron with its filters
// checked cannot be asked for "what changed since".

const (
	// liveFor is how long an answer is fresh.
	liveFor = 2 * time.Second
	// livePatience is how long somebody who looks waits for it.
	livePatience = 2 * time.Second
	// liveBatch keeps the address of a request under 8 KB.
	liveBatch = 150
	// liveCalls bounds the calls to one pod for one look; the sweep reads the rest.
	liveCalls = 2
)

// freshness remembers which ports were asked for lately.
type freshness struct {
	mu sync.Mutex
	at map[string]time.Time // by port ID
}

// stale returns the ports to ask for, and counts them as asked.
func (f *freshness) stale(all []store.Mapping, now time.Time) []store.Mapping {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, at := range f.at {
		if now.Sub(at) >= liveFor {
			delete(f.at, id)
		}
	}
	var due []store.Mapping
	for _, m := range all {
		if _, fresh := f.at[m.ID]; !fresh {
			f.at[m.ID] = now
			due = append(due, m)
		}
	}
	return due
}

// forget makes the port be asked for at the next look.
func (f *freshness) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.at, id)
}

// livePort is what a pod says about a port.
type livePort struct {
	ID         string         `json:"id"`
	Status     string         `json:"status"`
	Host       string         `json:"binding:host_id"`
	VIFType    string         `json:"binding:vif_type"`
	VIFDetails map[string]any `json:"binding:vif_details"`
	Profile    map[string]any `json:"binding:profile"`
}

// PodID is its ID in the pod.
func (p livePort) PodID() string { return p.ID }

func (r *Reconciler) binding(ctx context.Context, podName string, p livePort) topology.Binding {
	b := topology.Binding{Status: p.Status, Host: r.pods.HostName(ctx, podName, p.Host), VIFType: p.VIFType,
		VIFDetails: p.VIFDetails, Profile: p.Profile}
	if b.VIFDetails == nil {
		b.VIFDetails = map[string]any{}
	}
	if b.Profile == nil {
		b.Profile = map[string]any{}
	}
	return b
}

// Freshen brings the ports' bindings up to date, in place and in the database.
// Those not up come first. A pod that does not answer is no error.
func (r *Reconciler) Freshen(ctx context.Context, ports []topology.Port) error {
	byID := make(map[string]*topology.Port, len(ports))
	ids := make([]string, 0, len(ports))
	for i := range ports {
		byID[ports[i].ID] = &ports[i]
		ids = append(ids, ports[i].ID)
	}
	placed, err := r.store.PlacedPorts(ctx, ids)
	if err != nil {
		return err
	}
	down := func(m store.Mapping) int {
		if byID[m.ID].Status == topology.StatusActive {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(placed, func(a, b store.Mapping) int { return cmp.Compare(down(a), down(b)) })
	changed := map[string]topology.Binding{}
	for id, told := range askPods[livePort](ctx, r, store.KindPort, placed,
		"id", "status", "binding:host_id", "binding:vif_type", "binding:vif_details", "binding:profile") {
		if b := r.binding(ctx, told.pod, told.thing); !reflect.DeepEqual(byID[id].Binding, b) {
			changed[id] = b
			byID[id].Binding = b
		}
	}
	return r.store.SetBindings(ctx, changed)
}

// told is what a pod says about a thing.
type told[T found] struct {
	pod   string
	thing T
}

// askPods asks the pods, all at once, about those of the things that were not asked
// for lately, the first ones if there are too many; the answers are by our IDs.
func askPods[T found](ctx context.Context, r *Reconciler, kind string, placed []store.Mapping, fields ...string) map[string]told[T] {
	byPod := map[string][]store.Mapping{}
	for _, m := range placed {
		if len(byPod[m.Pod]) < liveBatch*liveCalls {
			byPod[m.Pod] = append(byPod[m.Pod], m)
		}
	}
	all := map[string]told[T]{}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for podName, there := range byPod {
		due := r.asked.stale(there, r.now())
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, livePatience)
			defer cancel()
			for batch := range slices.Chunk(due, liveBatch) {
				things, err := askPod[T](ctx, r, kind, podName, batch, fields)
				if err != nil {
					r.log.DebugContext(ctx, "shown as they were: the pod does not say", "kind", kind, "pod", podName, "error", err)
					return
				}
				mu.Lock()
				for _, m := range batch {
					if thing, ok := things[m.PodID]; ok {
						all[m.ID] = told[T]{podName, thing}
					}
				}
				mu.Unlock()
			}
		})
	}
	asked.Wait()
	return all
}

// askPod is one call; the answers are by the pod's IDs.
func askPod[T found](ctx context.Context, r *Reconciler, kind, podName string, batch []store.Mapping, fields []string) (map[string]T, error) {
	c, err := r.pods.Client(ctx, podName)
	if err != nil {
		return nil, err
	}
	q := url.Values{"fields": fields}
	for _, m := range batch {
		q.Add("id", m.PodID)
	}
	all, err := list[T](ctx, c, kind, q)
	things := make(map[string]T, len(all))
	for _, t := range all {
		things[t.PodID()] = t
	}
	return things, err
}

// FreshenMoving is Freshen for the project's ports that are about to come up: a
// list of what is up, or on a host, must not miss them. Empty is every project.
func (r *Reconciler) FreshenMoving(ctx context.Context, project string) error {
	moving, err := r.store.MovingPorts(ctx, project, liveBatch)
	if err != nil || len(moving) == 0 {
		return err
	}
	return r.Freshen(ctx, moving)
}

// Bring puts a port into a pod for an admin who wants it on a host there, and
// waits. When that does not work out its job goes on.
func (r *Reconciler) Bring(ctx context.Context, p topology.Port, podName string) error {
	t := store.Target{Kind: store.KindPort, ID: p.ID, Pod: podName}
	if _, err := r.store.Want(ctx, p.ProjectID, t); err != nil {
		return err
	}
	r.asked.forget(p.ID)
	return r.Ensure(ctx, t, nil)
}

// FindHost finds the pod of a host that a caller names.
func (r *Reconciler) FindHost(ctx context.Context, name string) (podName string, err error) {
	podName, _, err = r.pods.FindHost(ctx, name)
	return podName, err
}

// hostIn is the pod's own name of a host.
func hostIn(podName, host string) string { return strings.TrimSuffix(host, "@"+podName) }

// Bindings passes a request about the bindings of a port on to the pod that has
// it; tail is the path below the port's bindings. found is false when no pod does.
func (r *Reconciler) Bindings(ctx context.Context, portID, method, tail string, in map[string]any) (out map[string]any, found bool, err error) {
	placed, err := r.store.PlacedPorts(ctx, []string{portID})
	if err != nil || len(placed) == 0 {
		return nil, false, err
	}
	m := placed[0]
	c, err := r.pods.Client(ctx, m.Pod)
	if err != nil {
		return nil, true, err
	}
	if host, ok := in["host"].(string); ok {
		in["host"] = hostIn(m.Pod, host)
	}
	path := "/ports/" + url.PathEscape(m.PodID) + "/bindings"
	if host, rest, _ := strings.Cut(strings.TrimPrefix(tail, "/"), "/"); host != "" {
		path += "/" + url.PathEscape(hostIn(m.Pod, host))
		if rest != "" {
			path += "/" + rest
		}
	}
	var body any
	if in != nil {
		body = map[string]any{"binding": in}
	}
	if method == http.MethodDelete {
		err = c.JSON(ctx, pod.Request{Service: pod.Network, Method: method, Path: path, Op: "delete port binding"}, nil, nil)
	} else {
		err = c.JSON(ctx, pod.Request{Service: pod.Network, Method: method, Path: path, Op: "ask for port bindings"}, body, &out)
	}
	if fault.Is(err, fault.NotFound) {
		return nil, true, topology.NoBinding(portID, strings.TrimPrefix(tail, "/"))
	}
	r.asked.forget(portID)
	r.nameHosts(ctx, m.Pod, out)
	return out, true, err
}

// nameHosts turns the pod's names of hosts into the region's.
func (r *Reconciler) nameHosts(ctx context.Context, podName string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if host, ok := v["host"].(string); ok {
			v["host"] = r.pods.HostName(ctx, podName, host)
		}
		for _, inner := range v {
			r.nameHosts(ctx, podName, inner)
		}
	case []any:
		for _, inner := range v {
			r.nameHosts(ctx, podName, inner)
		}
	}
}
