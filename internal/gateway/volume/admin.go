package volume

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// What admins see of the pods' insides has names that each pod chose for itself,
// and the numbers of its database.

// withID is the request's path with another ID in it.
func withID(r *gateway.Request, id string) string {
	parts := strings.SplitN(r.Path(), "/", 4) // "", collection, ID, rest
	parts[2] = url.PathEscape(id)
	return strings.Join(parts, "/")
}

// withBody puts the client's body into a question.
func withBody(q *pod.Request, r *gateway.Request) error {
	body, err := r.Bytes()
	if err != nil || len(body) == 0 {
		return err
	}
	q.Body, q.Length = bytes.NewReader(body), int64(len(body))
	return nil
}

// gather is a list without order or pages: every pod's rows, one pod after the
// other. A host in the query names the pod.
func (a *api) gather(field string, show func(l look, row gjson.Result) []byte) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		query := r.URL.Query()
		pods, err := a.hostFilter(ctx, query, nil, "host", "name")
		if err != nil {
			return nil, err
		}
		if pods == nil {
			if pods, err = a.zoneFilter(ctx, query, "zone"); err != nil {
				return nil, err
			}
		}
		question := ask(&by, r, "list "+field)
		question.RawQuery = query.Encode()
		answers, err := a.Dispatch.All(ctx, pods, question)
		if err != nil {
			return nil, err
		}
		good, away, err := sift(answers)
		if err != nil {
			return nil, err
		}
		rows, err := a.rowsOf(ctx, good, field, show)
		if err != nil {
			return nil, err
		}
		return gateway.JSON(http.StatusOK, map[string]any{field: rows}).Without(away...), nil
	}
}

func (a *api) rowsOf(ctx context.Context, answers []dispatch.Answer, field string, show func(l look, row gjson.Result) []byte) ([]json.RawMessage, error) {
	zones, err := a.zoneNames(ctx)
	if err != nil {
		return nil, err
	}
	rows := []json.RawMessage{}
	for _, answer := range answers {
		l := a.lookOf(ctx, answer.Pod, zones)
		for _, row := range gjson.GetBytes(answer.Body, field).Array() {
			rows = append(rows, show(l, row))
		}
	}
	return rows, nil
}

func plain(l look, row gjson.Result) []byte { return l.shown([]byte(row.Raw)) }

// byName shows what is called like a host: pools and clusters.
func byName(l look, row gjson.Result) []byte {
	raw := []byte(row.Raw)
	return gateway.Splice(raw, gateway.Renamed(nil, gjson.GetBytes(raw, "name"), l.host))
}

// hostReply is {"host": "name", ...}, or the resources {"host": [{"resource": ...}]}.
func hostReply(l look, body []byte) []byte {
	host := gjson.GetBytes(body, "host")
	var edits []gateway.Edit
	for _, entry := range host.Array() {
		edits = gateway.Renamed(edits, entry.Get("resource.host"), l.host)
	}
	return gateway.Splice(body, gateway.Renamed(edits, host, l.host))
}

func clusterReply(l look, body []byte) []byte {
	return gateway.Splice(body, gateway.Renamed(nil, gjson.GetBytes(body, "cluster.name"), l.host))
}

// capabilities are shown in a namespace that ends with the host.
func capabilities(l look, body []byte) []byte {
	return gateway.Splice(body, gateway.Renamed(nil, gjson.GetBytes(body, "namespace"), func(name string) string {
		i := strings.LastIndex(name, "::")
		if i < 0 {
			return name
		}
		return name[:i+2] + l.host(name[i+2:])
	}))
}

// updateService is "PUT /os-services/{action}". What concerns the log levels may
// concern all services.
func (a *api) updateService(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	switch r.Param("id") {
	case "get-log":
		return a.everywhere(ctx, by, r, "log_levels")
	case "set-log":
		return a.everywhere(ctx, by, r, "")
	}
	return a.byHost(resource{}, "host", "cluster")(ctx, by, r)
}

// everywhere asks the pod of the server that the body names, or all pods, and
// joins the lists that they answer with.
func (a *api) everywhere(ctx context.Context, by identity.Caller, r *gateway.Request, field string) (*gateway.Reply, error) {
	answers, away, err := a.tell(ctx, by, r, "server")
	if err != nil {
		return nil, err
	}
	reply := &gateway.Reply{Status: answers[0].Status}
	if field != "" {
		rows, err := a.rowsOf(ctx, answers, field, plain)
		if err != nil {
			return nil, err
		}
		reply = gateway.JSON(answers[0].Status, map[string]any{field: rows})
	}
	return reply.Without(away...), nil
}

// tell puts the request to the pod of the host that the body names, else to all.
func (a *api) tell(ctx context.Context, by identity.Caller, r *gateway.Request, members ...string) ([]dispatch.Answer, []string, error) {
	podName, err := a.hostInBody(ctx, r, members...)
	if err != nil {
		return nil, nil, err
	}
	return a.tellPods(ctx, by, r, podName)
}

// tellPods puts the request to the pod, empty is all.
func (a *api) tellPods(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) ([]dispatch.Answer, []string, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, nil, err
	}
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return nil, nil, err
	}
	pods = slices.DeleteFunc(slices.Clone(pods), func(p store.Pod) bool { return podName != "" && p.Name != podName })
	if len(pods) == 0 {
		return nil, nil, fault.New(fault.Unavailable, "", "the region has no pods")
	}
	answers := make([]dispatch.Answer, len(pods))
	var wg sync.WaitGroup
	for i, p := range pods {
		wg.Go(func() {
			question := ask(&by, r, r.Method+" "+r.Route.Pattern)
			question.Body, question.Length = bytes.NewReader(body), int64(len(body))
			answers[i] = a.Dispatch.Ask(ctx, p.Name, question)
		})
	}
	wg.Wait()
	return sift(answers)
}

// updateCluster is "PUT /clusters/enable" and "…/disable".
func (a *api) updateCluster(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	podName, err := a.hostInBody(ctx, r, "name")
	if err != nil {
		return nil, err
	}
	if podName == "" {
		return a.somePod(ctx, by, r)
	}
	reply, err := a.pass(ctx, by, r, podName, resource{})
	if err != nil {
		return nil, err
	}
	if body, ok := reply.Body.([]byte); ok {
		zones, err := a.zoneNames(ctx)
		if err != nil {
			return nil, err
		}
		reply.Body = clusterReply(a.lookOf(ctx, podName, zones), body)
	}
	return reply, nil
}
