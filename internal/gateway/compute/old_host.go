package compute

import (
	"context"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// hosts is "GET /os-hosts", which Nova closed with 2.43. The filter is the
// region's zone, so it is applied here: a pod may have no name for that.
func (a *api) hosts(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	query := r.URL.Query()
	zone := query.Get("zone")
	query.Del("zone")
	answers, err := a.look(ctx, by, nil, question{Method: http.MethodGet, Path: r.Path(), Query: query, Version: versionOf(r), Op: "list hosts"})
	if err != nil {
		return nil, err
	}
	return a.merge(r, answers, "hosts", shape{hosts: []string{"host_name"}, zones: []string{"zone"}}, func(host gjson.Result) bool {
		return zone == "" || host.Get("zone").Str == zone
	})
}

// host is everything about one host: its resources, its status, its power.
func (a *api) host(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	podName, there, err := a.Fleet.FindHost(ctx, r.Param("id"))
	if fault.Is(err, fault.NotFound) {
		return a.toSomePod(ctx, by, r)
	}
	if err != nil {
		return nil, err
	}
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	q.Path = withID(r, there)
	n := a.ask(ctx, by, podName, q)
	if n.Err != nil {
		return nil, n.Err
	}
	return a.replyWith(r, n, hostReply)
}

// hostReply is {"host": "name", …}, or the resources {"host": [{"resource": …}]}.
func hostReply(v view, body []byte) []byte {
	if !gjson.ValidBytes(body) {
		return nil
	}
	host := gjson.GetBytes(body, "host")
	if host.IsArray() {
		return gateway.Splice(body, v.allEdits(host, shape{hosts: []string{"resource.host"}}))
	}
	return gateway.Splice(body, gateway.Renamed(nil, host, v.host))
}
