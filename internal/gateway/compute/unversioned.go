package compute

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// Unversioned is what Nova calls v2.0: the same API at /v2, where microversions
// play no part and 2.1 is spoken whatever a client asks for. Old clients take the
// first version that a service lists, which is this one.
func Unversioned(d Deps) gateway.Service {
	s := Service(d)
	s.Version = "/v2"
	s.Routes = slices.DeleteFunc(s.Routes, func(r gateway.Route) bool { return strings.HasPrefix(r.Pattern, "//") })
	s.Routes = append(s.Routes, gateway.Route{Method: http.MethodGet, Pattern: "//v2", Strategy: gateway.Public, Handle: unversionedDocument})
	before := s.Before
	s.Before = func(ctx context.Context, by identity.Caller, r *gateway.Request) error {
		r.Header.Del(versionHeader)
		r.Header.Del(legacyVersionHeader)
		return before(ctx, by, r)
	}
	after := s.After
	s.After = func(r *gateway.Request, h http.Header) {
		after(r, h)
		for _, name := range []string{versionHeader, legacyVersionHeader, "Vary"} {
			h.Del(name)
		}
	}
	return s
}

func unversioned(r *gateway.Request) map[string]any {
	return map[string]any{
		"id": "v2.0", "status": "SUPPORTED", "version": "", "min_version": "", "updated": "2011-01-21T11:33:21Z",
		"links": []map[string]string{{"rel": "self", "href": r.PrefixURL() + "/v2/"}},
	}
}

func unversionedDocument(_ context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	doc := unversioned(r)
	doc["links"] = append(doc["links"].([]map[string]string),
		map[string]string{"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"})
	doc["media-types"] = []map[string]string{
		{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2"},
	}
	return gateway.JSON(http.StatusOK, map[string]any{"version": doc}), nil
}
