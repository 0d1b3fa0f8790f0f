package compute

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/release"
)

// minVersion is what Nova assumes when a request names no version, and the
// lowest that any Nova with v2.1 speaks.
var minVersion = gateway.Microversion{Major: 2, Minor: 1}

// tooOld says which pods cannot make the server as the request's version has it,
// and why.
func (a *api) tooOld(ctx context.Context, j *job) (map[string]string, error) {
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return nil, err
	}
	call := release.Call{Method: http.MethodPost, Path: "/servers", Body: j.body, Admin: j.by.IsAdmin()}
	why := map[string]string{}
	for _, p := range pods {
		err := a.Fleet.Releases().Check(p.Name, call, j.wish.atVersion)
		if f, ok := faultOf(err); ok {
			why[p.Name] = f.Message
		}
	}
	return why, nil
}

// versions is "GET /compute/": the list of API versions, in which microversions
// play no part.
func (a *api) versions(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	doc, err := a.versionDocument(ctx, r)
	if err != nil {
		return nil, err
	}
	doc["links"] = []map[string]string{{"rel": "self", "href": r.PrefixURL() + "/v2.1/"}}
	return gateway.JSON(http.StatusOK, map[string]any{"versions": []any{unversioned(r), doc}}), nil
}

// version is "GET /compute/v2.1/": one version's document. Anybody may read it,
// but in a microversion that is offered.
func (a *api) version(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := a.settleVersion(ctx, r); err != nil {
		return nil, err
	}
	if id := r.Param("version"); id != "" && id != "v2.1" {
		return nil, fault.New(fault.NotFound, "", "The resource could not be found.")
	}
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
	w, err := a.Fleet.Window(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"id": "v2.1", "status": "CURRENT", "version": w.Max.String(), "min_version": w.Min.String(),
		"updated": "2013-07-23T11:33:21Z",
	}, nil
}
