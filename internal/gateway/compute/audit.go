package compute

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// auditLog is Nova's report on the usage audits of one period.
type auditLog struct {
	Beginning      string                     `json:"period_beginning"`
	Ending         string                     `json:"period_ending"`
	Hosts          int64                      `json:"num_hosts"`
	Done           int64                      `json:"num_hosts_done"`
	Running        int64                      `json:"num_hosts_running"`
	NotRun         int64                      `json:"num_hosts_not_run"`
	HostsNotRun    []string                   `json:"hosts_not_run"`
	TotalInstances int64                      `json:"total_instances"`
	TotalErrors    int64                      `json:"total_errors"`
	Status         string                     `json:"overall_status"`
	Log            map[string]json.RawMessage `json:"log"`
}

// add takes a pod's report in. The period is that of the first: pods that audit by
// the hour do not fit those that audit by the month, but their numbers count.
func (l *auditLog) add(v view, theirs gjson.Result) {
	l.Beginning = cmp.Or(l.Beginning, theirs.Get("period_beginning").Str)
	l.Ending = cmp.Or(l.Ending, theirs.Get("period_ending").Str)
	for name, sum := range map[string]*int64{
		"num_hosts": &l.Hosts, "num_hosts_done": &l.Done, "num_hosts_running": &l.Running, "num_hosts_not_run": &l.NotRun,
		"total_instances": &l.TotalInstances, "total_errors": &l.TotalErrors,
	} {
		*sum += theirs.Get(name).Int()
	}
	for _, host := range theirs.Get("hosts_not_run").Array() {
		l.HostsNotRun = append(l.HostsNotRun, v.host(host.Str))
	}
	theirs.Get("log").ForEach(func(host, entry gjson.Result) bool {
		l.Log[v.host(host.Str)] = json.RawMessage(entry.Raw)
		return true
	})
	done := "ALL"
	if l.Done != l.Hosts {
		done = fmt.Sprintf("%d of %d", l.Done, l.Hosts)
	}
	l.Status = fmt.Sprintf("%s hosts done. %d errors.", done, l.TotalErrors)
}

// audit is "GET /os-instance_usage_audit_log" and, with a time up to which to look,
// "GET /os-instance_usage_audit_log/{id}".
func (a *api) audit(field string) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		answers, err := a.look(ctx, by, nil, question{
			Method: http.MethodGet, Path: r.Path(), Query: r.URL.Query(), Version: versionOf(r), Op: "read the audit log",
		})
		if err != nil {
			return nil, err
		}
		if err := a.listed(answers); err != nil {
			return nil, err
		}
		log := &auditLog{HostsNotRun: []string{}, Log: map[string]json.RawMessage{}}
		for _, n := range succeeded(answers) {
			log.add(a.viewOf(r, n.Pod), gjson.GetBytes(n.Body, field))
		}
		return a.merged(map[string]any{field: log}, answers), nil
	}
}
