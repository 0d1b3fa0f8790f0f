package compute

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// zoneInfo is one zone as Nova shows it.
type zoneInfo struct {
	Name  string                     `json:"zoneName"`
	State zoneState                  `json:"zoneState"`
	Hosts map[string]json.RawMessage `json:"hosts"`
}

type zoneState struct {
	Available bool `json:"available"`
}

// zones is "GET /os-availability-zone": the zones that the pods' rows name, and
// those that aggregates make beside them.
func (a *api) zones(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	list, err := a.zoneInfos(ctx)
	if err != nil {
		return nil, err
	}
	pods, err := a.divided(ctx)
	if err != nil {
		return nil, err
	}
	answers, err := a.look(ctx, by, pods, question{Method: http.MethodGet, Path: "/os-availability-zone", Version: versionOf(r), Op: "list zones"})
	if err != nil {
		return nil, err
	}
	for _, n := range succeeded(answers) {
		for _, theirs := range gjson.GetBytes(n.Body, "availabilityZoneInfo").Array() {
			list = withZone(list, a.Fleet.ZoneName(n.Pod, theirs.Get("zoneName").Str), theirs)
		}
	}
	return a.merged(map[string]any{"availabilityZoneInfo": list}, answers), nil
}

// divided are the pods that may have zones beside their own.
func (a *api) divided(ctx context.Context) ([]string, error) {
	pods, err := a.Fleet.Pods(ctx)
	names := []string{}
	for _, p := range pods {
		if p.PodZone != "" {
			names = append(names, p.Name)
		}
	}
	return names, err
}

// withZone adds a pod's zone to the list, unless it is there.
func withZone(list []*zoneInfo, name string, theirs gjson.Result) []*zoneInfo {
	available := theirs.Get("zoneState.available").Bool()
	for _, z := range list {
		if z.Name == name {
			return list // what a row names is available or not as Tricircle knows
		}
	}
	return append(list, &zoneInfo{Name: name, State: zoneState{available}})
}

func (a *api) zoneInfos(ctx context.Context) ([]*zoneInfo, error) {
	zones, err := a.Fleet.Zones(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]*zoneInfo, 0, len(zones))
	for _, z := range zones {
		list = append(list, &zoneInfo{Name: z.Name, State: zoneState{z.Available}})
	}
	return list, nil
}

// zonesDetail is "GET /os-availability-zone/detail", for admins: the hosts of the
// pods' zones under ours, and those of the control plane under "internal".
func (a *api) zonesDetail(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	answers, err := a.look(ctx, by, nil, q)
	if err != nil {
		return nil, err
	}
	if err := a.listed(answers); err != nil {
		return nil, err
	}
	list, err := a.zoneInfos(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range succeeded(answers) {
		v := a.viewOf(r, n.Pod)
		for _, theirs := range gjson.GetBytes(n.Body, "availabilityZoneInfo").Array() {
			name := v.zone(theirs.Get("zoneName").Str)
			list = withZone(list, name, theirs)
			i := slices.IndexFunc(list, func(z *zoneInfo) bool { return z.Name == name })
			list[i].addHosts(v, theirs.Get("hosts"))
		}
	}
	return a.merged(map[string]any{"availabilityZoneInfo": list}, answers), nil
}

func (z *zoneInfo) addHosts(v view, hosts gjson.Result) {
	hosts.ForEach(func(name, services gjson.Result) bool {
		if z.Hosts == nil {
			z.Hosts = map[string]json.RawMessage{}
		}
		z.Hosts[v.host(name.Str)] = json.RawMessage(services.Raw)
		return true
	})
}

// noSuchZone has Nova's words.
func noSuchZone() error {
	return fault.New(fault.Invalid, "", "The requested availability zone is not available")
}

// podZones finds the pods that have the zone now, and their names for it. own is
// true for a zone that no pod's row names: the pods are asked for that, unless
// nobody's token is at hand, as when a creation is only explained.
func (a *api) podZones(ctx context.Context, by identity.Caller, zone string) (list []fleet.PodZone, own bool, err error) {
	list, own, err = a.Fleet.PodZones(ctx, zone)
	if err != nil || !own || by.Token == "" && len(list) > 0 {
		return list, own, err
	}
	names := []string{}
	for _, z := range list {
		names = append(names, z.Pod)
	}
	answers, err := a.look(ctx, by, names, question{Method: http.MethodGet, Path: "/os-availability-zone", Version: minVersion, Op: "look for zone"})
	if err != nil {
		return nil, own, err
	}
	has := func(z fleet.PodZone) bool {
		return slices.ContainsFunc(succeeded(answers), func(n answer) bool {
			return n.Pod == z.Pod && slices.ContainsFunc(gjson.GetBytes(n.Body, "availabilityZoneInfo").Array(), func(theirs gjson.Result) bool {
				return theirs.Get("zoneName").Str == z.Zone && theirs.Get("zoneState.available").Bool()
			})
		})
	}
	list = slices.DeleteFunc(list, func(z fleet.PodZone) bool { return !has(z) })
	if len(list) == 0 {
		if err := none(answers); err != nil {
			return nil, own, err // it may be where nobody answers
		}
		return nil, own, noSuchZone()
	}
	return list, own, nil
}

// resolveZone finds the zone that a creation names.
func (a *api) resolveZone(ctx context.Context, j *job) error {
	zone := &j.wish.Zone
	if zone.Name == "" {
		return nil
	}
	list, own, err := a.podZones(ctx, j.by, zone.Name)
	if err != nil || !own {
		return err
	}
	zone.Name, zone.Own = "", list[0].Zone
	for _, z := range list {
		zone.Pods = append(zone.Pods, z.Pod)
	}
	return nil
}
