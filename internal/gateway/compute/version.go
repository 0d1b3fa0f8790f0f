package compute

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// minVersion is what Nova assumes when a request names no version, and the
// lowest that any Nova with v2.1 speaks.
var minVersion = gateway.Microversion{Major: 2, Minor: 1}

const (
	windowAge     = 5 * time.Minute  // how soon an upgraded pod is noticed
	windowRetry   = 10 * time.Second // how soon a pod is asked again that did not answer
	windowTimeout = 5 * time.Second
)

// window is the range of microversions that every pod speaks. A pod that has
// never answered does not narrow it; one that has keeps counting while it is away.
type window struct {
	fleet *fleet.Fleet
	now   func() time.Time

	mu         sync.Mutex
	max        map[string]gateway.Microversion // by pod
	asked      time.Time
	refreshing bool
}

// get is the current window. One request at a time refreshes it; the others go on
// with what was known, once something is.
func (w *window) get(ctx context.Context) (gateway.Window, error) {
	pods, err := w.fleet.Pods(ctx)
	if err != nil {
		return gateway.Window{}, err
	}
	if known, mine := w.claim(pods); mine {
		w.learn(w.ask(ctx, known))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	lowest, found := gateway.Microversion{}, false
	for _, p := range pods {
		if v, ok := w.max[p.Name]; ok && (!found || v.Less(lowest)) {
			lowest, found = v, true
		}
	}
	if !found {
		return gateway.Window{}, fault.New(fault.Unavailable, "", "no pod has told which API versions it speaks")
	}
	return gateway.Window{Min: minVersion, Max: lowest}, nil
}

// claim reports whether the caller is to ask the pods, and what is known.
func (w *window) claim(pods []store.Pod) (known map[string]gateway.Microversion, mine bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	missing := slices.ContainsFunc(pods, func(p store.Pod) bool { _, ok := w.max[p.Name]; return !ok })
	age := w.now().Sub(w.asked)
	stale := w.max == nil || age > windowAge || missing && age > windowRetry
	if !stale || w.refreshing && len(w.max) > 0 {
		return nil, false
	}
	w.refreshing = true
	return maps.Clone(w.max), true
}

func (w *window) learn(fresh map[string]gateway.Microversion) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.max, w.asked, w.refreshing = fresh, w.now(), false
}

// ask asks every pod; what one does not answer stands as known. It outlives the
// request that happened to start it.
func (w *window) ask(ctx context.Context, known map[string]gateway.Microversion) map[string]gateway.Microversion {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), windowTimeout)
	defer cancel()
	var mu sync.Mutex
	fresh := map[string]gateway.Microversion{}
	maps.Copy(fresh, known)
	eachPod(ctx, w.fleet, func(name string, c *pod.Client) {
		var list struct {
			Versions []struct {
				ID      string `json:"id"`
				Version string `json:"version"`
			} `json:"versions"`
		}
		if c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodGet, Path: "//", Timeout: windowTimeout, Op: "list versions"}, nil, &list) != nil {
			return
		}
		for _, v := range list.Versions {
			if highest, ok := gateway.ParseMicroversion(v.Version); ok && v.ID == "v2.1" {
				mu.Lock()
				fresh[name] = highest
				mu.Unlock()
			}
		}
	})
	return fresh
}

// versions is "GET /compute/": the list of API versions.
func (a *api) versions(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	doc, err := a.versionDocument(ctx, r)
	if err != nil {
		return nil, err
	}
	doc["links"] = []map[string]string{{"rel": "self", "href": r.PrefixURL() + "/v2.1/"}}
	return gateway.JSON(http.StatusOK, map[string]any{"versions": []any{doc}}), nil
}

// version is "GET /compute/v2.1/": one version's document.
func (a *api) version(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	doc, err := a.versionDocument(ctx, r)
	if err != nil {
		return nil, err
	}
	doc["links"] = []map[string]string{
		{"rel": "self", "href": r.PrefixURL() + "/v2.1/"},
		{"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"},
	}
	doc["media-types"] = []map[string]string{
		{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"},
	}
	return gateway.JSON(http.StatusOK, map[string]any{"version": doc}), nil
}

func (a *api) versionDocument(ctx context.Context, _ *gateway.Request) (map[string]any, error) {
	w, err := a.window.get(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"id": "v2.1", "status": "CURRENT", "version": w.Max.String(), "min_version": w.Min.String(),
		"updated": "2013-07-23T11:33:21Z",
	}, nil
}
