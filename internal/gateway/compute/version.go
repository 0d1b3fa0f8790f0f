package compute

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
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

	mu     sync.Mutex
	max    map[string]gateway.Microversion // by pod
	asked  time.Time
	expire time.Time
}

// get is the current window. Readers of a fresh one do not wait for pods.
func (w *window) get(ctx context.Context) (gateway.Window, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pods, err := w.fleet.Pods(ctx)
	if err != nil {
		return gateway.Window{}, err
	}
	known := 0
	for _, p := range pods {
		if _, ok := w.max[p.Name]; ok {
			known++
		}
	}
	now := w.now()
	if !now.Before(w.expire) || known < len(pods) && now.Sub(w.asked) > windowRetry {
		w.refresh(ctx)
	}
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

// refresh asks every pod. It outlives the request that happened to start it.
func (w *window) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), windowTimeout)
	defer cancel()
	w.asked, w.expire = w.now(), w.now().Add(windowAge)
	fresh := map[string]gateway.Microversion{}
	for name, v := range w.max {
		fresh[name] = v
	}
	var mu sync.Mutex
	eachPod(ctx, w.fleet, func(name string, c *pod.Client) {
		var list struct {
			Versions []struct {
				ID      string `json:"id"`
				Version string `json:"version"`
			} `json:"versions"`
		}
		if c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodGet, Path: "//", Timeout: windowTimeout, Op: "list versions"}, nil, &list) != nil {
			return // what it said before stands
		}
		for _, v := range list.Versions {
			if highest, ok := gateway.ParseMicroversion(v.Version); ok && v.ID == "v2.1" {
				mu.Lock()
				fresh[name] = highest
				mu.Unlock()
			}
		}
	})
	w.max = fresh
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
