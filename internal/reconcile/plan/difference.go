package plan

import (
	"maps"
	"slices"
)

// What the region has not changed since it told a pod is left as the pod has it,
// whoever changed it there. These are the parts of that comparison.

// specs are the keys to set and to drop, for a pod that was told one thing, has
// another, and is to have a third.
func specs(want, told, found map[string]string) (set map[string]string, drop []string) {
	for k, v := range want {
		if was, ok := told[k]; ok && was == v {
			continue
		}
		if is, ok := found[k]; !ok || is != v {
			if set == nil {
				set = map[string]string{}
			}
			set[k] = v
		}
	}
	for _, k := range slices.Sorted(maps.Keys(told)) {
		if _, wanted := want[k]; wanted {
			continue
		}
		if _, there := found[k]; there {
			drop = append(drop, k)
		}
	}
	return set, drop
}

// members are those to add and to take away.
func members(want, told, found []string) (add, remove []string) {
	for _, p := range want {
		if !slices.Contains(told, p) && !slices.Contains(found, p) {
			add = append(add, p)
		}
	}
	for _, p := range told {
		if !slices.Contains(want, p) && slices.Contains(found, p) {
			remove = append(remove, p)
		}
	}
	return add, remove
}

// changed says that the region has changed a value, and the pod has not got it.
func changed[T comparable](want, told, found T) bool { return want != told && want != found }
