// Package compute is the Compute (Nova) API of the region: a table of routes and
// their hooks.
package compute

import (
	"context"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/compute/legacy"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/microversion"
	"github.com/tricircle/tricircle/internal/seal"
	"github.com/tricircle/tricircle/internal/store"
)

// The two headers that name a microversion, which Nova reads and writes both, and
// that of its request ID.
const (
	versionHeader       = "Openstack-Api-Version"
	legacyVersionHeader = "X-Openstack-Nova-Api-Version"
	requestIDHeader     = "X-Compute-Request-Id"
)

// DefaultCreateTimeout bounds a creation from its journal entry to the reply.
const DefaultCreateTimeout = 3 * time.Minute

// Reconciler brings things into pods. Package reconcile implements it.
type Reconciler interface {
	Ensure(ctx context.Context, t store.Target, complete func(context.Context, *store.Tx) error) error
	// EnsureAs is Ensure with the caller's own token where the pod wants it.
	EnsureAs(ctx context.Context, by identity.Caller, t store.Target) error
	// Hold keeps others from settling the creation while we work on it.
	Hold(ctx context.Context, intentID, pod string) (release func(), err error)
	// HoldReplica keeps others from changing a thing that is the same in every pod.
	HoldReplica(ctx context.Context, kind, id string) (release func(), err error)
	// Record makes sure that such a thing, which pods may have had before there was
	// a region, is on record.
	Record(ctx context.Context, kind, id string) (store.Replica, error)
	// LearnDefaults asks pods that have never told for their default quotas.
	LearnDefaults(ctx context.Context, service string)
	// CureQuota gives the pod the region's limits of the project, if they are higher
	// than its own, and reports whether they were.
	CureQuota(ctx context.Context, service, project, pod string) (bool, error)
	// CountAnew looks after the project's volumes that may count too much, and
	// reports whether there were any.
	CountAnew(ctx context.Context, project string) bool
}

// Deps are what the service needs.
type Deps struct {
	Store      *store.Store
	Fleet      *fleet.Fleet
	Dispatch   *dispatch.Dispatcher
	Reconciler Reconciler
	// Region is how old clients get at the region's other services.
	Region legacy.Region
	// Key seals what waits in the database with a caller's token.
	Key seal.Key
	// Stay keeps servers away from pods without their image, which get no copy then.
	Stay bool
	// CreateTimeout is how long one creation may take. Default DefaultCreateTimeout.
	CreateTimeout time.Duration
	Now           func() time.Time
	Log           *slog.Logger
}

// api holds the handlers.
type api struct {
	Deps
	doors *legacy.Doors
}

// Service is the Compute API.
func Service(d Deps) gateway.Service {
	a := newAPI(d)
	return gateway.Service{
		Name: "compute", Prefix: "/compute", Version: "/v2.1", ProjectInPath: true, Strict: true,
		Routes: a.routes(),
		Error:  gateway.NovaError,
		Before: a.before,
		After:  after,
	}
}

func newAPI(d Deps) *api {
	if d.CreateTimeout == 0 {
		d.CreateTimeout = DefaultCreateTimeout
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &api{Deps: d, doors: &legacy.Doors{Region: d.Region}}
}

// before holds what Nova settles before it looks who does the work.
func (a *api) before(ctx context.Context, _ identity.Caller, r *gateway.Request) error {
	if err := a.settleVersion(ctx, r); err != nil {
		return err
	}
	return checkType(r)
}

// checkType refuses bodies that are not JSON, as Nova does: a missing type, a
// malformed one and text/plain pass for JSON.
func checkType(r *gateway.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil, kind == "text/plain", kind == "application/json", kind == "application/vnd.openstack.compute+json":
		return nil
	}
	return fault.New(fault.UnknownMedia, "", "Unsupported Content-Type")
}

// settleVersion settles the microversion. It is written back into the request, so
// that "latest" means the same number here and in every pod.
func (a *api) settleVersion(ctx context.Context, r *gateway.Request) error {
	w, err := a.Fleet.Window(ctx)
	if err != nil {
		if _, given := microversion.Asked(r.Header, "compute", legacyVersionHeader); given {
			return err
		}
		w = gateway.Window{Min: minVersion, Max: minVersion}
	}
	// What is refused is told in the answer's header, too.
	if r.Version, err = w.Negotiate(r.Header, "compute", legacyVersionHeader); err != nil {
		return err
	}
	r.Header.Set(versionHeader, "compute "+r.Version.String())
	r.Header.Set(legacyVersionHeader, r.Version.String())
	return nil
}

// versionOf is the microversion that before has settled.
func versionOf(r *gateway.Request) gateway.Microversion {
	if r == nil {
		return minVersion // an operator asks what would be, without a client's request
	}
	v, ok := gateway.ParseMicroversion(r.Header.Get(legacyVersionHeader))
	if !ok {
		return minVersion
	}
	return v
}

// after adds what Nova puts on every reply: the version spoken (for 406 the one
// asked for), unless the request failed before it was read, and Nova's own name
// for the request ID. Where one pod answered that is the pod's ID: clients look it
// up in the server's os-instance-actions. Ours is X-Openstack-Request-Id.
func after(r *gateway.Request, h http.Header) {
	if h.Get(requestIDHeader) == "" {
		h.Set(requestIDHeader, r.ID)
	}
	if r.Version.IsZero() {
		return
	}
	h.Set(versionHeader, "compute "+r.Version.String())
	h.Set(legacyVersionHeader, r.Version.String())
	h["Vary"] = []string{"OpenStack-API-Version", "X-OpenStack-Nova-API-Version"}
}

// viewOf is how replies to the request must read when they come from the pod.
func (a *api) viewOf(r *gateway.Request, pod string) view {
	return view{
		base: r.PrefixURL(), project: r.URLProject(),
		zone:   func(zone string) string { return a.Fleet.ZoneName(pod, zone) },
		host:   func(host string) string { return a.Fleet.HostName(r.Context(), pod, host) },
		group:  func(id string) string { return a.serverGroupOf(r.Context(), pod, id) },
		number: func(id int64) int64 { return a.Fleet.RegionNumber(pod, id) },
	}
}
