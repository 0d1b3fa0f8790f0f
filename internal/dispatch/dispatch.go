// Package dispatch decides which pods must answer, asks them, and makes one
// answer of theirs: merged lists, the place of an ID, the same question to all.
//
// A pod that is away never takes the others with it. What a list then says of it
// is the caller's choice (List.Placeholder, List.Strict).
package dispatch

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// Pod is what this package needs of a pod's client.
type Pod interface {
	Name() string
	Do(ctx context.Context, r pod.Request) (*http.Response, error)
}

// Index is what it needs of the store.
type Index interface {
	Record(ctx context.Context, entries ...store.Entry) error
	FindEntry(ctx context.Context, kind, id string) (store.Entry, error)
	ListEntries(ctx context.Context, q store.EntryQuery) ([]store.Entry, error)
	ListMappings(ctx context.Context, q store.MappingQuery) ([]store.Mapping, error)
	DropEntry(ctx context.Context, kind, id string) error
	Images
}

// Images knows the homes of images.
type Images interface {
	FindImage(ctx context.Context, id string) (store.Image, error)
	AdoptImage(ctx context.Context, id string) (store.Image, error)
	FindImages(ctx context.Context, ids []string) (map[string]store.Image, error)
}

// DefaultTimeout is how long a list or a search waits for a pod.
const DefaultTimeout = 10 * time.Second

// DefaultPatience is how much longer a list waits for pods in doubt.
const DefaultPatience = 3 * time.Second

// Options make a Dispatcher. Pods, Client and Index are required.
type Options struct {
	Pods   func(ctx context.Context) ([]store.Pod, error)
	Client func(ctx context.Context, name string) (Pod, error)
	Index  Index
	// Timeout bounds what a list or a search waits for one pod's answer.
	Timeout time.Duration
	// Patience is how much longer a list waits for pods that let the last one wait in
	// vain, once half of the pods have answered. Default DefaultPatience.
	Patience time.Duration
	// Strict makes a pod that is away an error in every list.
	Strict bool
	Log    *slog.Logger
	Now    func() time.Time
}

// Dispatcher asks pods. It is safe for concurrent use.
type Dispatcher struct {
	Options
	cursors  *cursors
	absences *absences
	observer *observer
	buffers  buffers
	doubts   doubts
}

// New makes a dispatcher. What it sees in lists reaches the index only while Run
// runs.
func New(o Options) *Dispatcher {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Patience <= 0 {
		o.Patience = DefaultPatience
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Dispatcher{Options: o, cursors: newCursors(), absences: newAbsences(o.Now), observer: newObserver(o)}
}

// OfFleet fills the options that come from a fleet and its store.
func OfFleet(f *fleet.Fleet, s *store.Store) Options {
	return Options{
		Pods: f.Pods,
		Client: func(ctx context.Context, name string) (Pod, error) {
			client, err := f.Client(ctx, name)
			if err != nil {
				return nil, err
			}
			return client, nil
		},
		Index: s,
	}
}

// Run records in the index what lists have shown, until ctx ends; then it writes
// what is left.
func (d *Dispatcher) Run(ctx context.Context) { d.observer.run(ctx) }

// names are the pods to ask: those given, else all.
func (d *Dispatcher) names(ctx context.Context, given []string) ([]string, error) {
	if given != nil {
		return given, nil
	}
	pods, err := d.Pods(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(pods))
	for i, p := range pods {
		names[i] = p.Name
	}
	return names, nil
}
