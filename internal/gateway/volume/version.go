package volume

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
)

const versionHeader = "Openstack-Api-Version"

var (
	minVersion = gateway.Microversion{Major: 3, Minor: 0}
	// fallback is what Zed speaks: for version documents while no pod answers.
	fallback = gateway.Microversion{Major: 3, Minor: 70}
)

const windowAge = 5 * time.Minute

// window is the range of microversions that all pods serve. A pod that does not
// answer does not narrow it: it could not serve the request anyway.
type window struct {
	mu    sync.Mutex
	max   gateway.Microversion
	asked time.Time
}

func (w *window) get(ctx context.Context, d *dispatch.Dispatcher, now time.Time) gateway.Window {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.max != (gateway.Microversion{}) && now.Sub(w.asked) < windowAge {
		return gateway.Window{Min: minVersion, Max: w.max}
	}
	answers, err := d.All(ctx, nil, pod.Request{Service: pod.Volume, Method: http.MethodGet, Path: "//", Op: "list versions"})
	lowest, found := fallback, false
	for _, a := range answers {
		v, ok := gateway.ParseMicroversion(gjson.GetBytes(a.Body, `versions.#(id=="v3.0").version`).String())
		if err == nil && a.Err == nil && ok && (!found || v.Less(lowest)) {
			lowest, found = v, true
		}
	}
	if found {
		w.max, w.asked = lowest, now
	}
	return gateway.Window{Min: minVersion, Max: lowest}
}

// before settles the microversion, so that "latest" is the same number in every
// pod.
func (a *api) before(ctx context.Context, _ identity.Caller, r *gateway.Request) error {
	if err := settleVersion(r.Header); err != nil {
		return err
	}
	offered := gateway.Window{Min: minVersion, Max: minVersion}
	if r.Header.Get(versionHeader) != "" {
		offered = a.window.get(ctx, a.Dispatch, a.Now())
	}
	v, err := offered.Negotiate(r.Header, "volume", "")
	r.Version = v
	switch {
	case err != nil && v.Major != minVersion.Major:
		r.Header.Del(versionHeader) // of no version that Cinder could name
		r.Version = gateway.Microversion{}
	case v != (gateway.Microversion{}):
		r.Header.Set(versionHeader, "volume "+v.String())
	}
	return err
}

// settleVersion leaves in the header what Cinder reads in it (set_api_version_request
// of cinder.api.openstack.wsgi): of all entries the first with "volume" in it. So clients that name the service's type ("volumev3 3.42") are
// understood, and those that name no volume service are refused.
func settleVersion(h http.Header) error {
	all := strings.Join(h.Values(versionHeader), ",")
	if all == "" {
		return nil
	}
	for entry := range strings.SplitSeq(all, ",") {
		if !strings.Contains(entry, "volume") {
			continue
		}
		if parts := strings.Fields(entry); len(parts) == 2 {
			h.Set(versionHeader, "volume "+parts[1])
			return nil
		}
		break
	}
	h.Del(versionHeader)
	return fault.New(fault.Invalid, "", "The header OpenStack-API-Version says %q; it is to be \"volume\" and a version, as in \"volume %s\".", all, fallback)
}

// after writes the headers that Cinder writes on every reply.
func after(r *gateway.Request, h http.Header) {
	if r.Route == nil || !r.Known && r.Route.Strategy != gateway.Public {
		return // Cinder's own code has not seen it
	}
	// A pod's own reply has it or not, as it is: those without a body have not.
	if h.Get("X-Tricircle-Pod") == "" || h.Get("X-Compute-Request-Id") != "" {
		h.Set("X-Compute-Request-Id", r.ID)
	}
	if h.Get(versionHeader) == "" && r.Version != (gateway.Microversion{}) {
		h.Set(versionHeader, "volume "+r.Version.String())
		h.Add("Vary", "OpenStack-API-Version")
	}
}

// versions is the version document; Cinder has the same at both places.
func (a *api) versions(status int) gateway.Handler {
	return func(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		if err := settleVersion(r.Header); err != nil {
			return nil, err
		}
		offered := a.window.get(ctx, a.Dispatch, a.Now())
		if v, err := offered.Negotiate(r.Header, "volume", ""); err == nil {
			r.Version = v // nobody has read it for a request without a token
		}
		return gateway.JSON(status, map[string]any{"versions": []any{map[string]any{
			"id": "v3.0", "status": "CURRENT", "version": offered.Max.String(), "min_version": offered.Min.String(),
			"updated": "2022-08-31T00:00:00Z",
			"links": []any{
				map[string]string{"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
				map[string]string{"rel": "self", "href": r.PrefixURL() + "/v3/"},
			},
			"media-types": []any{map[string]string{
				"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3",
			}},
		}}}), nil
	}
}
