package fleet

import (
	"context"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/quota"
)

// FlavorSize is what a server of the flavor counts in quotas. It was mostly seen a
// moment ago, when the pod was chosen; else the pod is asked. fault.NotFound if the
// pod does not show the flavor to the caller.
func (f *Fleet) FlavorSize(ctx context.Context, by identity.Caller, podName, flavorID string) (quota.Size, error) {
	if f.sizes.find(flavorID) == nil {
		client, err := f.Client(ctx, podName)
		if err != nil {
			return quota.Size{}, err
		}
		has, err := f.has(ctx, client, by, question{"flavor", flavorID})
		if err != nil {
			return quota.Size{}, err
		}
		if !has {
			return quota.Size{}, fault.New(fault.NotFound, "", "Flavor %s could not be found.", flavorID)
		}
	}
	s := f.sizes.find(flavorID)
	if s == nil { // it was forgotten just now; it still is what it was
		return quota.Size{}, fault.New(fault.Unavailable, "", "cannot tell the size of flavor %s: try again", flavorID)
	}
	return quota.Size{VCPUs: int64(s.VCPUs), RAM: int64(s.RAM)}, nil
}
