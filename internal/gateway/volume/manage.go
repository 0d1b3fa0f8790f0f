package volume

import (
	"context"

	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// manageable lists what a back end has and Cinder does not know. The query names
// the host, and so the pod.
func (a *api) manageable(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	query := r.URL.Query()
	pods, err := a.hostFilter(ctx, query, nil, "host", "cluster")
	if err != nil {
		return nil, err
	}
	if len(pods) != 1 {
		return a.somePod(ctx, by, r)
	}
	r.URL.RawQuery = query.Encode()
	return a.pass(ctx, by, r, pods[0], resource{})
}

// manageVolume takes a volume over from a back end, in the host's pod.
func (a *api) manageVolume(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	podName, err := a.hostInBody(ctx, r, "volume.host", "volume.cluster")
	if err != nil {
		return nil, err
	}
	if podName == "" {
		return a.somePod(ctx, by, r)
	}
	return a.createAt(ctx, by, r, volumes, podName)
}

// zoneInBody puts the pod's own name for the zone into a creation that names one.
func (a *api) zoneInBody(ctx context.Context, r *gateway.Request, of resource, podName string) error {
	zone, err := named(r, of.item+".availability_zone")
	if err != nil || zone == "" {
		return err
	}
	home, err := a.placeAt(ctx, fleet.Need{PodOnly: podName, Zone: zone, Why: "what it is made from is there"}, of.item)
	if err != nil {
		return err
	}
	body, err := r.Bytes()
	if err != nil {
		return err
	}
	if body, err = withZone(body, of.item, home.PodZone); err != nil {
		return err
	}
	r.SetBytes(body)
	return nil
}
