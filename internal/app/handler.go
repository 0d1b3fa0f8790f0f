package app

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/compute"
	"github.com/tricircle/tricircle/internal/gateway/image"
	"github.com/tricircle/tricircle/internal/gateway/network"
	"github.com/tricircle/tricircle/internal/gateway/volume"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/trace"
)

// handler is the API: all services under one address, told apart by path.
func (a *App) handler(o Options) http.Handler {
	verifier := identity.NewVerifier(identity.Options{
		AuthURL: a.account.AuthURL(), Service: a.account,
		TTL: a.config.Tokens.MaxStaleness, Size: a.config.Tokens.Cache, Client: a.account.HTTP(),
	})
	inside := &gateway.Inside{}
	handler := gateway.New(gateway.Options{
		Services: []gateway.Service{
			compute.Service(a.compute(inside)),
			compute.Unversioned(a.compute(inside)),
			network.Service(network.Deps{
				Store: a.store, Zones: a.fleet, Policy: a.policy, Settle: a.settle, Pods: a.reconciler, Log: a.log,
				Clouds: a.dispatch, Names: a.fleet, Bring: a.bring,
			}),
			volume.Service(volume.Deps{Store: a.store, Fleet: a.fleet, Dispatch: a.dispatch, Reconciler: a.reconciler, Log: a.log}),
			image.Service(image.Deps{Store: a.store, Fleet: a.fleet, Dispatch: a.dispatch, Reconciler: a.reconciler, Log: a.log}),
			a.admin(o).Service(),
		},
		Verifier: verifier, AuthURL: a.account.AuthURL(), Log: a.log, Metrics: a.metrics,
		MaxBody: int64(a.config.Limits.Body), BodyTime: a.config.Limits.ReadTimeout, PublicURL: a.config.PublicURL,
	})
	inside.Open(handler)
	return handler
}

func (a *App) compute(inside *gateway.Inside) compute.Deps {
	return compute.Deps{Store: a.store, Fleet: a.fleet, Dispatch: a.dispatch, Reconciler: a.reconciler, Region: inside, Log: a.log,
		Key: a.key, Stay: a.config.Images.Boot == config.BootStay}
}

// bring makes a thing right in a pod, for a user who waits.
func (a *App) bring(ctx context.Context, t store.Target) error {
	return a.reconciler.Ensure(ctx, t, nil)
}

// settle frees what a deleted server held, now rather than when its job runs:
// clients delete a network right after the server.
func (a *App) settle(ctx context.Context, serverID, podName string) error {
	return a.reconciler.Ensure(ctx, store.Target{Kind: store.KindServer, ID: serverID, Pod: podName}, nil)
}

func (a *App) admin(o Options) *admin.Admin {
	wires := make([]string, 0, len(a.config.Networks.PhysicalNetworks))
	for name := range a.config.Networks.PhysicalNetworks {
		wires = append(wires, name)
	}
	return admin.New(admin.Options{
		Store: a.store, Fleet: a.fleet, Jobs: a.jobs, Replicas: a.reconciler, Region: a.config.Region, PublicURL: a.config.PublicURL,
		Account: a.account, Credentials: a.credentials(o.Getenv), PhysicalNetworks: wires,
		HTTP: a.account.HTTP(), Version: o.Version, Trace: &trace.Tracer{Store: a.store, Pods: a.fleet},
		Explain: compute.Explain(a.compute(&gateway.Inside{})),
	})
}
