package release

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/microversion"
	"github.com/tricircle/tricircle/internal/pod"
)

const (
	bookAge     = 5 * time.Minute  // how soon an upgraded pod is noticed
	bookRetry   = 10 * time.Second // how soon a pod is asked again that did not answer
	bookTimeout = 5 * time.Second
)

// Book knows which versions of the Compute API each pod speaks, by the pods' own
// version documents. It is safe for concurrent use.
type Book struct {
	now func() time.Time
	log *slog.Logger

	mu    sync.Mutex
	pages map[string]*page
}

// page is what is known of one pod. One that has answered keeps counting while it
// is away.
type page struct {
	window microversion.Window
	known  bool
	asked  time.Time // last
	busy   bool      // somebody asks
}

// NewBook makes an empty book.
func NewBook(now func() time.Time, log *slog.Logger) *Book {
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Book{now: now, log: log, pages: map[string]*page{}}
}

// Learn asks those of the pods whose versions are not known, or were asked for
// too long ago. It waits only for pods that it asks for the first time: a pod that
// hangs would else delay a request every few seconds.
func (b *Book) Learn(ctx context.Context, clients []*pod.Client) {
	var wg sync.WaitGroup
	for _, c := range clients {
		due, first := b.claim(c.Name())
		switch {
		case first:
			wg.Go(func() { b.ask(ctx, c) })
		case due:
			go b.ask(ctx, c) // ends by its own time limit
		}
	}
	wg.Wait()
}

func (b *Book) claim(name string) (due, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[name]
	if p == nil {
		p = &page{}
		b.pages[name] = p
	}
	age, limit := b.now().Sub(p.asked), bookAge
	if !p.known {
		limit = bookRetry
	}
	first = p.asked.IsZero()
	due = first || !p.busy && age > limit
	p.busy = p.busy || due
	return due, first
}

// ask asks the pod. It outlives the request that happened to start it.
func (b *Book) ask(ctx context.Context, c *pod.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookTimeout)
	defer cancel()
	var list struct {
		Versions []struct {
			ID  string `json:"id"`
			Max string `json:"version"`
			Min string `json:"min_version"`
		} `json:"versions"`
	}
	err := c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodGet, Path: "//", Timeout: bookTimeout, Op: "list versions"}, nil, &list)
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[c.Name()]
	if p == nil {
		return // forgotten meanwhile
	}
	p.asked, p.busy = b.now(), false
	if err != nil {
		return // what is known stands
	}
	for _, v := range list.Versions {
		low, ok1 := microversion.Parse(v.Min)
		high, ok2 := microversion.Parse(v.Max)
		if v.ID != "v2.1" || !ok1 || !ok2 {
			continue
		}
		w := microversion.Window{Min: low, Max: high}
		if p.window != w {
			b.log.Info("pod speaks the Compute API", "pod", c.Name(), "versions", w.String())
		}
		p.window, p.known = w, true
	}
}

// Of is what the pod speaks; false if it never said.
func (b *Book) Of(name string) (microversion.Window, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[name]
	if p == nil || !p.known {
		return microversion.Window{}, false
	}
	return p.window, true
}

// Forget drops what is known of a pod that is another cloud from now on.
func (b *Book) Forget(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pages, name)
}

// doubt has the pod asked again soon: it has refused what the book says it knows.
func (b *Book) doubt(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.pages[name]; p != nil && !p.busy {
		p.asked = time.Time{}
	}
}

// Limits are the operator's bounds of what is offered; those that are zero follow
// from the pods.
type Limits struct{ Min, Max microversion.Version }

// Offer is the window of the region. By itself it is what all pods speak. A
// maximum may be lower, or higher, up to what the best pod speaks and the table
// of changes knows: the other pods are then spoken to in older versions. A
// minimum may be higher, or lower, down to the lowest that a pod speaks.
func (l Limits) Offer(spoken map[string]microversion.Window) (microversion.Window, error) {
	if len(spoken) == 0 {
		return microversion.Window{}, fault.New(fault.Unavailable, "", "no pod has told which API versions it speaks")
	}
	first := true
	var all, any microversion.Window
	for _, w := range spoken {
		if first {
			all, any, first = w, w, false
			continue
		}
		all.Min, any.Min = later(all.Min, w.Min), earlier(any.Min, w.Min)
		all.Max, any.Max = earlier(all.Max, w.Max), later(any.Max, w.Max)
	}
	if !l.Max.IsZero() {
		all.Max = earlier(l.Max, later(all.Max, earlier(any.Max, Known)))
	}
	if !l.Min.IsZero() {
		all.Min = later(l.Min, any.Min)
	}
	if all.Max.Less(all.Min) {
		return all, fault.New(fault.Unavailable, "", "the pods have no API version in common: %s", list(spoken))
	}
	return all, nil
}

func list(spoken map[string]microversion.Window) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(spoken)) {
		parts = append(parts, "pod "+name+" speaks "+spoken[name].String())
	}
	return strings.Join(parts, ", ")
}

func order(a, b microversion.Version) int {
	return cmp.Or(cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor))
}

func earlier(a, b microversion.Version) microversion.Version {
	return slices.MinFunc([]microversion.Version{a, b}, order)
}

func later(a, b microversion.Version) microversion.Version {
	return slices.MaxFunc([]microversion.Version{a, b}, order)
}
