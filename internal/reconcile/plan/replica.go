package plan

import (
	"cmp"
	"maps"
	"slices"
)

// Replica is a thing that is to be the same in every pod, as a report shows it.
type Replica struct {
	Kind   string            `json:"kind"`
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	Owner  string            `json:"owner,omitempty"` // user, for kinds that belong to one
	Fields map[string]string `json:"fields"`          // what must be alike
}

// Problem says how pods differ.
type Problem string

// The problems. Only is no drift: some pods had the thing before there was a
// region, and it stays where it is; servers that use it go there.
const (
	Missing   Problem = "missing"   // the region made it, a pod has none
	Different Problem = "different" // the same ID or name, other content
	Renamed   Problem = "other id"  // the same name, other IDs
	Only      Problem = "only in"   // made in some pods by their operators
)

// Difference is one thing that is not the same in every pod.
type Difference struct {
	Kind    string   `json:"kind"`
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Owner   string   `json:"owner,omitempty"`
	Problem Problem  `json:"problem"`
	Pods    []string `json:"pods"` // that lack it; for Only, that have it
	// Fields that differ, each with the value in every pod that has the thing; for
	// Renamed the ID.
	Fields []FieldDifference `json:"fields,omitempty"`
	// Waiting says in which pods a job is about to put it right, and why it has not.
	Waiting map[string]string `json:"waiting,omitempty"`
}

// FieldDifference is one field that differs, by pod. A field that a pod does not have is absent.
type FieldDifference struct {
	Field  string            `json:"field"`
	Values map[string]string `json:"values"`
}

// Drift says that somebody has to do something about it.
func (d Difference) Drift() bool { return d.Problem != Only }

// Compare finds what is not the same in the pods: things by pod, for those that
// answered. made are those that the region itself wants in all pods, by ID.
func Compare(pods map[string][]Replica, made map[string]Replica) []Difference {
	names := slices.Sorted(maps.Keys(pods))
	byID := map[string]map[string]Replica{}
	for pod, things := range pods {
		for _, t := range things {
			if byID[t.ID] == nil {
				byID[t.ID] = map[string]Replica{}
			}
			byID[t.ID][pod] = t
		}
	}
	var out []Difference
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		_, everywhere := made[id]
		out = append(out, compareOne(names, byID[id], everywhere)...)
	}
	for id, t := range made {
		if byID[id] == nil && len(names) > 0 {
			out = append(out, Difference{Kind: t.Kind, ID: t.ID, Name: t.Name, Owner: t.Owner, Problem: Missing, Pods: names})
		}
	}
	out = append(out, renamed(byID)...)
	slices.SortStableFunc(out, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func compareOne(pods []string, has map[string]Replica, made bool) []Difference {
	var with, without []string
	for _, pod := range pods {
		if _, ok := has[pod]; ok {
			with = append(with, pod)
		} else {
			without = append(without, pod)
		}
	}
	first := has[with[0]]
	d := Difference{Kind: first.Kind, ID: first.ID, Name: first.Name, Owner: first.Owner}
	var out []Difference
	if len(without) > 0 {
		lacks := d
		lacks.Problem, lacks.Pods = Only, with
		if made {
			lacks.Problem, lacks.Pods = Missing, without
		}
		out = append(out, lacks)
	}
	if d.Fields = fieldsThatDiffer(has); len(d.Fields) > 0 {
		d.Problem, d.Pods = Different, with
		out = append(out, d)
	}
	return out
}

func fieldsThatDiffer(has map[string]Replica) []FieldDifference {
	fields := map[string]bool{}
	for _, t := range has {
		for f := range t.Fields {
			fields[f] = true
		}
	}
	var out []FieldDifference
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		values, distinct := map[string]string{}, map[string]bool{}
		for pod, t := range has {
			if v, ok := t.Fields[f]; ok {
				values[pod], distinct[v] = v, true
			}
		}
		if len(distinct) > 1 || len(values) < len(has) {
			out = append(out, FieldDifference{f, values})
		}
	}
	return out
}

// renamed finds names that stand for different IDs in different pods.
func renamed(byID map[string]map[string]Replica) []Difference {
	type key struct{ owner, name string }
	byName := map[key]map[string]string{} // pod to ID
	kinds := map[key]string{}
	for _, has := range byID {
		for pod, t := range has {
			k := key{t.Owner, t.Name}
			if byName[k] == nil {
				byName[k] = map[string]string{}
			}
			byName[k][pod], kinds[k] = t.ID, t.Kind
		}
	}
	var out []Difference
	for k, ids := range byName {
		pods := slices.Sorted(maps.Keys(ids))
		distinct := slices.Compact(slices.Sorted(maps.Values(ids)))
		if len(distinct) < 2 {
			continue
		}
		out = append(out, Difference{Kind: kinds[k], ID: ids[pods[0]], Name: k.name, Owner: k.owner, Problem: Renamed, Pods: pods,
			Fields: []FieldDifference{{"id", ids}}})
	}
	return out
}
