package compute

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tidwall/gjson"

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

// zones is "GET /os-availability-zone".
func (a *api) zones(ctx context.Context, _ identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
	list, err := a.zoneInfos(ctx)
	if err != nil {
		return nil, err
	}
	return gateway.JSON(http.StatusOK, map[string]any{"availabilityZoneInfo": list}), nil
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
// pods' zones under ours, and those of the control plane under "internal". A host
// name that several pods use carries the pod's name.
func (a *api) zonesDetail(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	answers, err := a.askAll(ctx, by, q)
	if err != nil {
		return nil, err
	}
	if len(succeeded(answers)) == 0 {
		return nil, worst(answers)
	}
	list, err := a.zoneInfos(ctx)
	if err != nil {
		return nil, err
	}
	internal := &zoneInfo{Name: "internal", State: zoneState{true}}
	byName := map[string]*zoneInfo{"internal": internal}
	for _, z := range list {
		byName[z.Name] = z
	}
	for _, n := range succeeded(answers) {
		for _, theirs := range gjson.GetBytes(n.Body, "availabilityZoneInfo").Array() {
			ours := byName[a.Fleet.ZoneOf(n.Pod)]
			if theirs.Get("zoneName").Str == "internal" {
				ours = internal
			}
			if ours != nil {
				ours.addHosts(n.Pod, theirs.Get("hosts"))
			}
		}
	}
	if internal.Hosts != nil {
		list = append(list, internal)
	}
	return a.merged(map[string]any{"availabilityZoneInfo": list}, answers), nil
}

func (z *zoneInfo) addHosts(podName string, hosts gjson.Result) {
	hosts.ForEach(func(name, services gjson.Result) bool {
		if z.Hosts == nil {
			z.Hosts = map[string]json.RawMessage{}
		}
		host := name.Str
		if _, taken := z.Hosts[host]; taken {
			host += "@" + podName
		}
		z.Hosts[host] = json.RawMessage(services.Raw)
		return true
	})
}
