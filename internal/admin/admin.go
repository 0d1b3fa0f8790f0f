// Package admin is what operators can do with the region, as a Go service and as
// the JSON API under /admin/v1.
package admin

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/trace"
)

// Queue is the part of the job queue that operators see.
type Queue interface {
	List(ctx context.Context, q jobs.Query) ([]jobs.Job, error)
	Show(ctx context.Context, id int64) (jobs.Job, error)
	Retry(ctx context.Context, id int64) (jobs.Job, error)
	// AddPod gives the pod workers at once; other replicas find it by themselves.
	AddPod(name string) error
}

// Tracer follows packets between servers. Package trace implements it.
type Tracer interface {
	Trace(ctx context.Context, from, to string, traffic trace.Traffic) (trace.Report, error)
}

// Options are what New needs.
type Options struct {
	Store *store.Store
	Fleet *fleet.Fleet
	Jobs  Queue
	// Replicas knows the things that are the same in every pod.
	Replicas Replicas
	// Region is our region in Keystone, PublicURL the address users reach us at;
	// `region register` may give another.
	Region, PublicURL string
	Account           *pod.Account // Tricircle's own; tells where Keystone is
	// Credentials finds the account of a pod that names a cloud.
	Credentials func(ref string) (pod.AccountOptions, error)
	// PhysicalNetworks are the labels that every pod must be able to carry.
	PhysicalNetworks []string
	// Trace follows packets between servers.
	Trace Tracer
	// Explain says where servers would go.
	Explain Explainer
	HTTP    *http.Client // for Keystone
	Version string
}

// Admin serves operators. It is safe for concurrent use.
type Admin struct {
	Options
}

// New makes an Admin.
func New(o Options) *Admin {
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	return &Admin{o}
}
