// Package quota has the rules of quotas: which limit holds, what still fits, and
// how a refusal is said. It knows no SQL and no HTTP.
package quota

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// The services whose quotas these are, in tables that all services share.
const (
	Compute = "compute"
	Network = "network"
	Volume  = "volume"
)

// CodeTooMany marks the refusal of servers.
const CodeTooMany = "TooManyInstances"

// Unlimited is the limit that is none.
const Unlimited = -1

// Amounts holds a number per resource: limits, or what is used.
type Amounts map[string]int64

// Size is what a server takes beside its being one. Zero means unknown: Nova has
// no flavor without a CPU or memory.
type Size struct{ VCPUs, RAM int64 }

// Known reports whether the size is known.
func (s Size) Known() bool { return s.VCPUs > 0 && s.RAM > 0 }

// Larger is the larger of both, each part for itself.
func (s Size) Larger(o Size) Size { return Size{max(s.VCPUs, o.VCPUs), max(s.RAM, o.RAM)} }

// times is what n servers of the size take.
func (s Size) times(n int) Amounts {
	return Amounts{"instances": int64(n), "cores": int64(n) * s.VCPUs, "ram": int64(n) * s.RAM}
}

// stock is what services that nobody has configured give a project. It serves until
// a pod has told its own. One item of a server's metadata is our mark.
var stock = map[string]Amounts{
	Compute: {
		"instances": 10, "cores": 20, "ram": 50 * 1024, "metadata_items": 127, "key_pairs": 100,
		"server_groups": 10, "server_group_members": 10,
		"injected_files": 5, "injected_file_content_bytes": 10 * 1024, "injected_file_path_bytes": 255,
		// nova-network's: no longer counted anywhere, still in old versions of the API.
		"fixed_ips": Unlimited, "floating_ips": Unlimited, "security_groups": Unlimited, "security_group_rules": Unlimited,
	},
	Network: {
		"network": 100, "subnet": 100, "subnetpool": Unlimited, "port": 500, "router": 10, "floatingip": 50,
		"rbac_policy": 10, "security_group": 10, "security_group_rule": 100, "trunk": Unlimited,
	},
	Volume: {
		"volumes": 10, "gigabytes": 1000, "snapshots": 10, "backups": 10, "backup_gigabytes": 1000, "groups": 10, perVolume: Unlimited,
	},
}

// Stock is what the service gives a project as long as nobody has configured
// anything.
func Stock(service string) Amounts { return maps.Clone(stock[service]) }

// Resources are the names of the service's resources, sorted; without those of
// single volume types.
func Resources(service string) []string { return slices.Sorted(maps.Keys(stock[service])) }

// Is reports whether the service has a resource of the name.
func Is(service, name string) bool {
	_, ok := stock[service][name]
	return ok || service == Volume && OfType(name)
}

// Defaults are the limits of a project that has none of its own: the region's
// default class; where that has no number, the largest that a pod gives.
func Defaults(service string, class Amounts, pods []Amounts) Amounts {
	limits := Stock(service)
	for _, told := range append(pods[:len(pods):len(pods)], class) {
		for name := range told {
			if service == Volume && OfType(name) {
				limits[name] = Unlimited
			}
		}
	}
	for name := range limits {
		if largest, ok := Largest(name, pods); ok {
			limits[name] = largest
		}
		if n, ok := class[name]; ok {
			limits[name] = n
		}
	}
	return limits
}

// Largest is the largest of the limits; Unlimited is larger than any number.
func Largest(name string, all []Amounts) (largest int64, ok bool) {
	for _, limits := range all {
		n, has := limits[name]
		switch {
		case !has:
		case !ok || Less(largest, n):
			largest, ok = n, true
		}
	}
	return largest, ok
}

// Less orders limits: Unlimited is the largest.
func Less(a, b int64) bool { return a >= 0 && (b < 0 || a < b) }

// With is the amounts, those in over replaced.
func (a Amounts) With(over Amounts) Amounts {
	all := maps.Clone(a)
	maps.Copy(all, over)
	return all
}

// Scope is something that a request must fit into: the project's limits, and
// those of the user if he has his own.
type Scope struct{ Limits, Used Amounts }

// over are the resources of which there would be too much, sorted.
func (s Scope) over(more Amounts) []string {
	var names []string
	for name, n := range more {
		if limit, ok := s.Limits[name]; ok && limit >= 0 && s.Used[name]+n > limit {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// room is how many servers of the size still fit, at most most.
func (s Scope) room(size Size, most int) int {
	for name, each := range size.times(1) {
		if limit := s.Limits[name]; limit >= 0 && each > 0 {
			most = min(most, int(max(0, limit-s.Used[name])/each))
		}
	}
	return most
}

// Fit tells how many of most servers may be made: fewer than most where the quota
// ends before, as long as they are at least least. Otherwise it is
// fault.OverQuota in Nova's words.
func Fit(scopes []Scope, size Size, least, most int) (int, error) {
	n := most
	for _, s := range scopes {
		n = s.room(size, n)
	}
	if n >= least && n > 0 {
		return n, nil
	}
	wish := size.times(most)
	requested := map[string]string{"instances": strconv.Itoa(least)}
	if least != most {
		requested["instances"] = fmt.Sprintf("%d-%d", least, most)
	}
	for _, s := range scopes {
		if names := s.over(wish); len(names) > 0 {
			return 0, s.refusal(names, wish, requested)
		}
	}
	return n, nil // nothing was asked for
}

// Grow checks that a server may become larger by what is more.
func Grow(scopes []Scope, more Amounts) error {
	for _, s := range scopes {
		if names := s.over(more); len(names) > 0 {
			return s.refusal(names, more, nil)
		}
	}
	return nil
}

// Growth is what a server takes more at its new size; what it takes less does
// not count.
func Growth(from, to Size) Amounts {
	more := Amounts{}
	if d := to.VCPUs - from.VCPUs; d > 0 {
		more["cores"] = d
	}
	if d := to.RAM - from.RAM; d > 0 {
		more["ram"] = d
	}
	return more
}

// Exceeded is how Neutron refuses more of the resource.
func Exceeded(resource string) error {
	return fault.New(fault.OverQuota, "OverQuota", "Quota exceeded for resources: ['%s'].", resource)
}

// refusal is nova.exception.TooManyInstances, which clients and tests read.
func (s Scope) refusal(names []string, wish Amounts, text map[string]string) error {
	var requested, used, limits []string
	for _, name := range names {
		r, ok := text[name]
		if !ok {
			r = strconv.FormatInt(wish[name], 10)
		}
		requested = append(requested, r)
		used = append(used, strconv.FormatInt(s.Used[name], 10))
		limits = append(limits, strconv.FormatInt(s.Limits[name], 10))
	}
	list := func(words []string) string { return strings.Join(words, ", ") }
	return fault.New(fault.OverQuota, CodeTooMany, "Quota exceeded for %s: Requested %s, but already used %s of %s %s",
		list(names), list(requested), list(used), list(limits), list(names))
}
