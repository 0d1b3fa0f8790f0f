package fleet

import (
	"context"

	"github.com/tricircle/tricircle/internal/microversion"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/release"
)

// Releases is what the pods speak.
func (f *Fleet) Releases() *release.Book { return f.releases }

// Window is the range of versions of the Compute API that the region offers: what
// all pods speak, within the operator's limits. A pod that has never answered
// does not count; one that has keeps counting while it is away.
func (f *Fleet) Window(ctx context.Context) (microversion.Window, error) {
	pods, err := f.Pods(ctx)
	if err != nil {
		return microversion.Window{}, err
	}
	var clients []*pod.Client
	for _, p := range pods {
		if c, err := f.Client(ctx, p.Name); err == nil {
			clients = append(clients, c)
		}
	}
	f.releases.Learn(ctx, clients)
	spoken := map[string]microversion.Window{}
	for _, p := range pods {
		if w, ok := f.releases.Of(p.Name); ok {
			spoken[p.Name] = w
		}
	}
	return f.versions.Offer(spoken)
}
