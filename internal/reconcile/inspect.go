package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// PlacedKinds are the kinds of things that a pod has as the region says.
func PlacedKinds() []string {
	return []string{store.KindNetwork, store.KindPort, store.KindSecurityGroup, store.KindRouter, store.KindShadowPort, store.KindFloatingIP,
		store.KindAddressGroup, store.KindGroupMembers, store.KindImage}
}

// Wants is the key of a field's value as the region wants it.
const Wants = ""

// Inspect says what in the pod is not as the region wants it, copies of images
// included, and what networks and ports only the pod has. Things that a job is about to change are left out.
func (r *Reconciler) Inspect(ctx context.Context, podName string) ([]plan.Difference, error) {
	c, err := r.pods.Client(ctx, podName)
	if err != nil {
		return nil, err
	}
	began := r.now()
	kinds := photographed
	able, err := r.known.addressGroups(ctx, c, began)
	if err != nil {
		return nil, err
	}
	if able {
		kinds = append(slices.Clone(kinds), store.KindAddressGroup)
	}
	s, err := photograph(ctx, c, kinds)
	if err != nil {
		return nil, err
	}
	all, err := r.foreign(ctx, s, podName)
	if err != nil {
		return nil, err
	}
	if err := r.store.SetPodSegments(ctx, podName, s.segments(all)); err != nil {
		return nil, err
	}
	live := map[string]topology.Binding{}
	for _, kind := range PlacedKinds() {
		if s.objects[member(kind)] == nil {
			continue // the pod cannot have any
		}
		placed, err := r.store.ListMappings(ctx, store.MappingQuery{Kind: kind, Pod: podName})
		if err != nil {
			return nil, err
		}
		for _, m := range placed {
			if !m.Wanted || m.Pending() || m.UpdatedAt.After(began) {
				continue
			}
			if p, ok := s.port(m.PodID); ok && kind == store.KindPort {
				live[m.ID] = r.binding(ctx, podName, p)
			}
			deeds, err := r.rehearse(ctx, s, c, m)
			if err != nil {
				return nil, fmt.Errorf("cannot compare %s %s in pod %s: %w", kind, m.ID, podName, err)
			}
			if len(deeds) > 0 {
				all = append(all, s.difference(m, deeds))
			}
		}
	}
	images, err := r.inspectImages(ctx, c, began)
	if err != nil {
		return nil, err
	}
	return append(all, images...), r.store.SetBindings(ctx, live)
}

func (s *stage) port(podID string) (p livePort, ok bool) {
	o, ok := s.objects[store.KindPort][podID]
	if ok {
		text, _ := json.Marshal(o)
		ok = json.Unmarshal(text, &p) == nil
	}
	return p, ok
}

// difference says what is wrong with the mapping's thing. Of a network that is
// gone only that is said, not what stood on it.
func (s *stage) difference(m store.Mapping, deeds []deed) plan.Difference {
	d := plan.Difference{Kind: m.Kind, ID: m.ID, Name: m.PodID, Problem: plan.Different, Pods: []string{m.Pod}}
	kind := member(m.Kind)
	if o, ok := s.objects[kind][m.PodID]; ok {
		d.Name = nameOf(o)
	}
	for _, done := range deeds {
		switch {
		case done.method == http.MethodPost && done.kind == kind:
			d.Problem, d.Fields = plan.Missing, nil
			d.Name = nameOf(done.body)
			return d
		case done.method == http.MethodPut:
			found := s.objects[done.kind][done.id]
			for _, name := range slices.Sorted(maps.Keys(done.body)) {
				field := name
				if done.kind != kind {
					field = done.kind + " " + name
				}
				d.Fields = append(d.Fields, plan.FieldDifference{Field: field,
					Values: map[string]string{Wants: shown(done.body[name]), m.Pod: shown(found[name])}})
			}
		default:
			what := map[string]string{http.MethodPost: "missing", http.MethodDelete: "too much"}[done.method]
			field := plan.FieldDifference{Field: strings.ReplaceAll(done.kind, "_", " "), Values: map[string]string{m.Pod: what}}
			if !slices.ContainsFunc(d.Fields, func(f plan.FieldDifference) bool { return f.Field == field.Field && f.Values[m.Pod] == what }) {
				d.Fields = append(d.Fields, field)
			}
		}
	}
	return d
}

// nameOf is what a thing is called: a floating IP by its address.
func nameOf(o map[string]any) string {
	name, ok := o["name"].(string)
	if !ok {
		name, _ = o["floating_ip_address"].(string)
	}
	return name
}

func shown(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// foreign are the networks and ports that only the pod knows.
func (r *Reconciler) foreign(ctx context.Context, s *stage, podName string) ([]plan.Difference, error) {
	all := []plan.Difference{}
	for _, kind := range []string{store.KindNetwork, store.KindPort} {
		placed, err := r.store.ListMappings(ctx, store.MappingQuery{Kind: kind, Pod: podName})
		if err != nil {
			return nil, err
		}
		ours := map[string]bool{}
		for _, m := range placed {
			ours[m.PodID] = true
		}
		for id, o := range s.objects[kind] {
			text := func(name string) string {
				v, _ := o[name].(string)
				return v
			}
			// A pod makes ports for its own agents and routers, and what a job is about to
			// take over or remove has our mark.
			if ours[id] || strings.HasPrefix(text("device_owner"), topology.OwnerNetwork) || plan.Marked(text("description")) {
				continue
			}
			all = append(all, plan.Difference{Kind: kind, ID: id, Name: text("name"), Owner: text("project_id"), Problem: plan.Only, Pods: []string{podName}})
		}
	}
	slices.SortFunc(all, func(a, b plan.Difference) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// segments are those of the networks that only the pod has.
func (s *stage) segments(foreign []plan.Difference) []topology.Segment {
	var all []topology.Segment
	add := func(o map[string]any) {
		physical, _ := o["provider:physical_network"].(string)
		if id, _ := o["provider:segmentation_id"].(float64); id > 0 {
			all = append(all, topology.Segment{Physical: physical, ID: int(id)})
		}
	}
	for _, d := range foreign {
		if d.Kind != store.KindNetwork {
			continue
		}
		o := s.objects[store.KindNetwork][d.ID]
		add(o)
		several, _ := o["segments"].([]any)
		for _, one := range several {
			if segment, ok := one.(map[string]any); ok {
				add(segment)
			}
		}
	}
	return all
}

// PutRight has the pod's jobs make the differences go.
func (r *Reconciler) PutRight(ctx context.Context, podName string, all []plan.Difference) (n int, err error) {
	for _, d := range all {
		if d.Drift() && slices.Contains(PlacedKinds(), d.Kind) {
			n++
			err = errors.Join(err, r.store.TouchIn(ctx, store.Target{Kind: d.Kind, ID: d.ID, Pod: podName}))
		}
	}
	return n, err
}

// Patrol inspects a pod in the census' turn, and does about it what the pod's
// operator wants.
func (r *Reconciler) Patrol(ctx context.Context, podName string) error {
	p, err := r.pods.Pod(ctx, podName)
	if err != nil {
		return err
	}
	all, err := r.Inspect(ctx, podName)
	if err != nil {
		return err
	}
	drifted := slices.DeleteFunc(all, func(d plan.Difference) bool { return !d.Drift() })
	if len(drifted) == 0 {
		return nil
	}
	r.log.WarnContext(ctx, "things in a pod are not as the region wants them: see tricircle drift", "pod", podName,
		"things", len(drifted), "first", drifted[0].Kind+" "+drifted[0].ID, "policy", p.Drift)
	if p.Drift != store.DriftRepair {
		return nil
	}
	_, err = r.PutRight(ctx, podName, drifted)
	return err
}

// RepairPlaced makes one thing in a pod, or in all, as the region wants it, now.
func (r *Reconciler) RepairPlaced(ctx context.Context, o Repair) (Repaired, error) {
	done := Repaired{Kind: o.Kind, ID: o.Name, Steps: []PodSteps{}}
	placed, err := r.store.ListMappings(ctx, store.MappingQuery{Kind: o.Kind, ID: o.Name, Pod: o.Pod})
	if err != nil {
		return done, err
	}
	if len(placed) == 0 {
		return done, fault.New(fault.NotFound, "", "no pod has a %s with the ID %s", o.Kind, o.Name)
	}
	for _, m := range placed {
		step, err := r.repairPlaced(ctx, m, o.DryRun)
		if err != nil {
			step.State, step.Reason = RepairAway, err.Error()
		}
		done.Steps = append(done.Steps, step)
	}
	return done, nil
}

func (r *Reconciler) repairPlaced(ctx context.Context, m store.Mapping, dry bool) (PodSteps, error) {
	if m.Kind == store.KindImage {
		return r.repairImage(ctx, m, dry)
	}
	step := PodSteps{Pod: m.Pod, State: RepairNothing}
	c, err := r.pods.Client(ctx, m.Pod)
	if err != nil {
		return step, err
	}
	deeds, err := r.rehearse(ctx, &stage{}, c, m)
	if err != nil || len(deeds) == 0 {
		return step, err
	}
	for _, d := range deeds {
		step.Actions = append(step.Actions, strings.TrimSpace(doing[d.method]+" "+strings.ReplaceAll(d.kind, "_", " ")+" "+d.id))
	}
	if step.State = RepairPlanned; dry {
		return step, nil
	}
	if err := r.store.TouchIn(ctx, m.Target); err != nil {
		return step, err
	}
	step.State = RepairDone
	if err := r.Ensure(ctx, m.Target, nil); err != nil {
		step.State, step.Reason = RepairLater, err.Error()
	}
	return step, nil
}

var doing = map[string]string{http.MethodPost: "create", http.MethodPut: "change", http.MethodDelete: "delete"}
