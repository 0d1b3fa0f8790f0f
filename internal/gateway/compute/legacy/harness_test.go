package legacy_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/compute/legacy"
	"github.com/tricircle/tricircle/internal/identity"
)

// fake is a region whose services say what a test has written down. What is not
// written down is Neutron's 404.
type fake struct {
	says  map[string]string // "GET /path?query" to "200 body"
	asked []string          // "GET /path?query body"
}

func (f *fake) Do(_ context.Context, _ identity.Caller, q gateway.Question) (gateway.Answer, error) {
	line := q.Method + " " + q.Path
	if len(q.Query) > 0 {
		plain, err := url.QueryUnescape(q.Query.Encode())
		if err != nil {
			return gateway.Answer{}, err
		}
		line += "?" + plain
	}
	f.asked = append(f.asked, strings.TrimSpace(line+" "+string(q.Body)))
	said, ok := f.says[line]
	if !ok {
		said = `404 {"NeutronError":{"type":"HTTPNotFound","message":"The resource could not be found.","detail":""}}`
	}
	if said == "away" {
		return gateway.Answer{}, fault.New(fault.Unavailable, "", "the answer broke off")
	}
	status, body, _ := strings.Cut(said, " ")
	a := gateway.Answer{Body: []byte(body), Header: http.Header{"X-Openstack-Request-Id": {"req-1"}, gateway.UnreachableHeader: {""}}}
	for _, d := range status {
		a.Status = a.Status*10 + int(d-'0')
	}
	return a, nil
}

type verifier struct{}

func (verifier) Verify(_ context.Context, token string) (identity.Caller, error) {
	return identity.Caller{UserID: "u", ProjectID: "p", Roles: []string{token}}, nil
}

// region is the old doors alone, as a service.
type region struct {
	*fake
	handler http.Handler
}

func newRegion(says map[string]string) *region {
	f := &fake{says: says}
	doors := &legacy.Doors{Region: f}
	// The actions of a server, as the Compute API's table has them, less the server.
	act := func(_ context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		body, err := r.Bytes()
		if err != nil {
			return nil, err
		}
		name, err := legacy.ActionName(body)
		if err != nil {
			return nil, err
		}
		change := func(do func(context.Context, identity.Caller, *gateway.Request) (string, error)) (*gateway.Reply, error) {
			port, err := do(r.Context(), by, r)
			return &gateway.Reply{Status: http.StatusAccepted, Body: port}, err
		}
		switch name {
		case "addFixedIp":
			return change(doors.AddFixedIP)
		case "removeFixedIp":
			return change(doors.RemoveFixedIP)
		case "addFloatingIp":
			return doors.AddFloatingIP(r.Context(), by, r)
		case "removeFloatingIp":
			return doors.RemoveFloatingIP(r.Context(), by, r)
		}
		return nil, legacy.NoAction(name)
	}
	groups := func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		return doors.ServerGroups(ctx, by, r.Param("id"))
	}
	routes := append(doors.Routes(), legacy.GoneRoutes()...)
	routes = append(routes,
		gateway.Route{Method: "POST", Pattern: "/servers/{id}/action", Handle: act},
		gateway.Route{Method: "GET", Pattern: "/servers/{id}/os-security-groups", Handle: groups})
	return &region{f, gateway.New(gateway.Options{
		Verifier: verifier{}, PublicURL: "http://r",
		Services: []gateway.Service{{Name: "compute", Prefix: "/compute", Version: "/v2.1", ProjectInPath: true, Error: gateway.NovaError, Routes: routes}},
	})}
}

// do sends "[admin] [2.36] GET /path [body]".
func (r *region) do(t *testing.T, line string) (int, string, http.Header) {
	t.Helper()
	role, version := "member", "2.1"
	if rest, ok := strings.CutPrefix(line, "admin "); ok {
		role, line = "admin", rest
	}
	if strings.HasPrefix(line, "2.") {
		version, line, _ = strings.Cut(line, " ")
	}
	parts := append(strings.SplitN(line, " ", 3), "", "")
	q := httptest.NewRequest(parts[0], "/compute/v2.1"+parts[1], strings.NewReader(parts[2]))
	q.Header.Set("X-Auth-Token", role)
	q.Header.Set("X-Openstack-Nova-Api-Version", version)
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	return w.Code, w.Body.String(), w.Header()
}

// same compares JSON documents, whatever the order of their members.
func same(t *testing.T, what, want, got string) {
	t.Helper()
	if want == got {
		return
	}
	if diff := cmp.Diff(gjson.Parse(want).Value(), gjson.Parse(got).Value()); diff != "" || !gjson.Valid(got) {
		t.Errorf("%s (-want +got):\n%s\nbody: %s", what, diff, got)
	}
}

func message(body string) string { return gjson.Get(body, "*.message").Str }
