// Package volume is the Block Storage (Cinder) API of the region: a table of
// routes and their hooks.
package volume

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/replica"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// Fleet is what the service needs to know of pods and zones.
type Fleet interface {
	Pods(ctx context.Context) ([]store.Pod, error)
	Zones(ctx context.Context) ([]fleet.Zone, error)
	Choose(ctx context.Context, by identity.Caller, need fleet.Need) (store.Pod, error)
	Hosts
}

// Hosts are the names and numbers of what the pods are made of.
type Hosts interface {
	StorageHostName(ctx context.Context, podName, host string) string
	FindStorageHost(ctx context.Context, name string) (podName, host string, err error)
	RegionNumber(podName string, id int64) int64
	PodNumber(ctx context.Context, n int64) (podName string, id int64, err error)
}

// Reconciler does the work that jobs do, too. Package reconcile implements it.
type Reconciler interface {
	// Hold keeps others from settling the creation while we work on it.
	Hold(ctx context.Context, intentID, pod string) (release func(), err error)
	// LearnDefaults asks pods that have never told for their default quotas;
	// RefreshDefaults asks all.
	LearnDefaults(ctx context.Context, service string)
	RefreshDefaults(ctx context.Context, service string)
	// CureQuota gives the pod the region's limits of the project, if they are higher
	// than its own, and reports whether they were.
	CureQuota(ctx context.Context, service, project, pod string) (bool, error)
	// CountAnew looks after the project's volumes that may count too much, and
	// reports whether there were any.
	CountAnew(ctx context.Context, project string) bool
	// CanFill says whether a volume of the pod can get its data from something in
	// another one; fault.Invalid if not.
	CanFill(ctx context.Context, from store.FillSource, pod string) error
	replica.Reconciler
	// AdoptNamed gives what the pods have of a kind, and the region does not know
	// yet, its region-wide ID.
	AdoptNamed(ctx context.Context, kind string) error
}

// DefaultCreateTimeout bounds a creation from its journal entry to the reply.
const DefaultCreateTimeout = 3 * time.Minute

// Deps are what the service needs.
type Deps struct {
	Store      *store.Store
	Fleet      Fleet
	Dispatch   *dispatch.Dispatcher
	Reconciler Reconciler
	// CreateTimeout is how long one creation may take. Default DefaultCreateTimeout.
	CreateTimeout time.Duration
	Now           func() time.Time
	Log           *slog.Logger
}

type api struct {
	Deps
	window window
}

// Service is the Block Storage API.
func Service(d Deps) gateway.Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.CreateTimeout == 0 {
		d.CreateTimeout = DefaultCreateTimeout
	}
	a := &api{Deps: d}
	return gateway.Service{
		Name: "volume", Prefix: "/volume", Version: "/v3", ProjectInPath: true, Strict: true,
		Routes: a.routes(), Error: gateway.CinderError, Before: a.before, After: after,
	}
}

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	remove = http.MethodDelete
)

// ask is a question to pods that is the client's own.
func ask(by *identity.Caller, r *gateway.Request, op string) pod.Request {
	return pod.Request{
		Service: pod.Volume, Method: r.Method, Path: r.Path(), RawQuery: r.URL.RawQuery,
		Header: gateway.PassHeader(r.Header), As: by, Op: op,
	}
}
