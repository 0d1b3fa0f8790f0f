package admin

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// Replicas knows the things that are the same in every pod. Package reconcile
// implements it.
type Replicas interface {
	ReplicasIn(ctx context.Context, kind, pod string) ([]plan.Replica, error)
	Wanted(ctx context.Context, kind string) (map[string]plan.Replica, error)
	Repair(ctx context.Context, o reconcile.Repair) (reconcile.Repaired, error)
	// Inspect and RepairPlaced are of things that a pod has as the region says.
	Inspect(ctx context.Context, pod string) ([]plan.Difference, error)
	RepairPlaced(ctx context.Context, o reconcile.Repair) (reconcile.Repaired, error)
	// Adopt takes a network that only a pod has into the region.
	Adopt(ctx context.Context, pod, podID string) (topology.Network, error)
}

// DriftKinds are the kinds that are looked at.
func DriftKinds() []string { return append(reconcile.ReplicaKinds(), reconcile.PlacedKinds()...) }

// DriftReport says what is not the same in every pod.
type DriftReport struct {
	Differences []plan.Difference `json:"differences"`
	Away        []AwayPod         `json:"away"` // pods that were not looked at
}

// AwayPod is a pod that did not answer.
type AwayPod struct {
	Pod    string `json:"pod"`
	Reason string `json:"reason"`
}

// Drift says whether somebody has to do something.
func (r DriftReport) Drift() bool { return slices.ContainsFunc(r.Differences, plan.Difference.Drift) }

// Drift compares the pods, live. An empty kind means all; a pod limits the report
// to what concerns it.
func (a *Admin) Drift(ctx context.Context, kind, pod string) (DriftReport, error) {
	report := DriftReport{Differences: []plan.Difference{}, Away: []AwayPod{}}
	if pod != "" {
		if _, err := a.Fleet.Pod(ctx, pod); err != nil {
			return report, err
		}
	}
	kinds := DriftKinds()
	if kind != "" {
		if !slices.Contains(kinds, kind) {
			return report, fault.New(fault.Invalid, "", "kind must be one of %v, not %q", kinds, kind)
		}
		kinds = []string{kind}
	}
	for _, k := range kinds {
		if slices.Contains(reconcile.PlacedKinds(), k) {
			continue
		}
		if err := a.driftOf(ctx, k, &report); err != nil {
			return report, err
		}
	}
	if err := a.driftIn(ctx, kinds, pod, &report); err != nil {
		return report, err
	}
	if pod != "" {
		report.Differences = slices.DeleteFunc(report.Differences, func(d plan.Difference) bool { return !slices.Contains(d.Pods, pod) })
	}
	return report, nil
}

func (a *Admin) driftOf(ctx context.Context, kind string, report *DriftReport) error {
	wanted, err := a.Replicas.Wanted(ctx, kind)
	if err != nil {
		return err
	}
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return err
	}
	found := make([][]plan.Replica, len(pods))
	errs := make([]error, len(pods))
	var wg sync.WaitGroup
	for i, p := range pods {
		wg.Go(func() { found[i], errs[i] = a.Replicas.ReplicasIn(ctx, kind, p.Name) })
	}
	wg.Wait()
	byPod := map[string][]plan.Replica{}
	for i, p := range pods {
		if errs[i] == nil {
			byPod[p.Name] = found[i]
			continue
		}
		report.away(p.Name, errs[i])
	}
	differences := plan.Compare(byPod, wanted)
	if err := a.explainWaiting(ctx, kind, differences); err != nil {
		return err
	}
	report.Differences = append(report.Differences, differences...)
	return nil
}

// driftIn inspects the pods, or one, for the kinds of things that each has for itself.
func (a *Admin) driftIn(ctx context.Context, kinds []string, pod string, report *DriftReport) error {
	if !slices.ContainsFunc(kinds, func(k string) bool { return slices.Contains(reconcile.PlacedKinds(), k) }) {
		return nil
	}
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return err
	}
	pods = slices.DeleteFunc(slices.Clone(pods), func(p store.Pod) bool { return pod != "" && p.Name != pod })
	found := make([][]plan.Difference, len(pods))
	errs := make([]error, len(pods))
	var wg sync.WaitGroup
	for i, p := range pods {
		wg.Go(func() { found[i], errs[i] = a.Replicas.Inspect(ctx, p.Name) })
	}
	wg.Wait()
	for i, p := range pods {
		report.away(p.Name, errs[i])
		for _, d := range found[i] {
			if slices.Contains(kinds, d.Kind) {
				report.Differences = append(report.Differences, d)
			}
		}
	}
	return nil
}

// away notes a pod that did not answer, once.
func (r *DriftReport) away(pod string, err error) {
	if err != nil && !slices.ContainsFunc(r.Away, func(w AwayPod) bool { return w.Pod == pod }) {
		r.Away = append(r.Away, AwayPod{pod, err.Error()})
	}
}

// explainWaiting adds where jobs are about to put things right.
func (a *Admin) explainWaiting(ctx context.Context, kind string, differences []plan.Difference) error {
	pending, err := a.Store.ListMappings(ctx, store.MappingQuery{Kind: kind, Pending: true})
	if err != nil {
		return err
	}
	for i := range differences {
		for _, m := range pending {
			if m.ID != differences[i].ID {
				continue
			}
			if differences[i].Waiting == nil {
				differences[i].Waiting = map[string]string{}
			}
			differences[i].Waiting[m.Pod] = m.Reason
		}
	}
	return nil
}

func (a *Admin) showDrift(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q := r.URL.Query()
	report, err := a.Drift(ctx, q.Get("kind"), q.Get("pod"))
	return wrapped("drift", report, err)
}

func (a *Admin) repairDrift(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	var in struct{ Repair reconcile.Repair }
	if err := r.JSON(&in); err != nil {
		return nil, err
	}
	for _, name := range []string{in.Repair.Like, in.Repair.Pod} {
		if name == "" {
			continue
		}
		if _, err := a.Fleet.Pod(ctx, name); err != nil {
			return nil, err
		}
	}
	repair := a.Replicas.Repair
	if slices.Contains(reconcile.PlacedKinds(), in.Repair.Kind) {
		repair = a.Replicas.RepairPlaced
	}
	done, err := repair(ctx, in.Repair)
	return wrapped("repair", done, err)
}

// Adopted is a network that a pod had, as the region has it now.
type Adopted struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	ProjectID string `json:"project_id"`
	Type      string `json:"network_type"`
	Segment   int    `json:"segmentation_id,omitempty"`
}

func (a *Admin) adopt(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	var in struct {
		Adopt struct {
			Pod string `json:"pod"`
			ID  string `json:"id"` // the pod's
		} `json:"adopt"`
	}
	if err := r.JSON(&in); err != nil {
		return nil, err
	}
	if _, err := a.Fleet.Pod(ctx, in.Adopt.Pod); err != nil {
		return nil, err
	}
	n, err := a.Replicas.Adopt(ctx, in.Adopt.Pod, in.Adopt.ID)
	return wrapped("network", Adopted{n.ID, n.Name, n.ProjectID, n.Type, n.SegmentationID}, err)
}

// driftRoutes are the routes of this file.
func (a *Admin) driftRoutes(route func(method, pattern, note string, h gateway.Handler) gateway.Route) []gateway.Route {
	return []gateway.Route{
		route(http.MethodGet, "/drift", "what is not the same in every pod", a.showDrift),
		route(http.MethodPost, "/drift/repair", "make it the same", a.repairDrift),
		route(http.MethodPost, "/drift/adopt", "take a network that only a pod has into the region", a.adopt),
	}
}
