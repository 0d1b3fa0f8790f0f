//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Difference is one point where two answers do not agree.
type Difference struct {
	What      string // "status", "header Vary", "body servers[].name"
	Pod, Ours string
}

func (d Difference) String() string {
	return fmt.Sprintf("%s: the pod has %s, the region %s", d.What, d.Pod, d.Ours)
}

// headersThatMatter are compared; the rest is the server's own business.
var headersThatMatter = []string{
	"Content-Type", "Vary", "Openstack-Api-Version", "X-Openstack-Nova-Api-Version", "Location", "Allow", "Retry-After",
	"Www-Authenticate",
}

// headersThatIdentify must be there, with any value.
var headersThatIdentify = []string{"X-Openstack-Request-Id", "X-Compute-Request-Id"}

// compare lists what differs once names, IDs, links, times and zones are those of
// no world.
func compare(pod, ours Answer, inPod, inRegion *World) []Difference {
	var all []Difference
	add := func(what, a, b string) {
		if a != b {
			all = append(all, Difference{what, a, b})
		}
	}
	if pod.Status == http.StatusInternalServerError && ours.Status/100 == 4 {
		add("status 500", pod.brief(inPod), ours.brief(inRegion))
		return all
	}
	if pod.Status != ours.Status { // then so does all else
		add("status", pod.brief(inPod), ours.brief(inRegion))
		return all
	}
	for _, name := range headersThatMatter {
		add("header "+name, headerText(pod.Header, name, inPod), headerText(ours.Header, name, inRegion))
	}
	for _, name := range headersThatIdentify {
		add("header "+name, fmt.Sprint(pod.Header.Get(name) != ""), fmt.Sprint(ours.Header.Get(name) != ""))
	}
	a, b := flatten(pod, inPod), flatten(ours, inRegion)
	for _, path := range slices.Sorted(maps.Keys(union(a, b))) {
		if oneEmpty(a, b, path) {
			continue // which the list's own path tells
		}
		add("body "+path, words(a, path), words(b, path))
	}
	return all
}

// words is what stands at the path; for a list that the other side has empty, that
// there is something.
func words(all map[string][]string, path string) string {
	for other := range all {
		if strings.HasPrefix(other, path+"[]") {
			return "elements"
		}
	}
	return strings.Join(all[path], " | ")
}

// oneEmpty says that the path is in a list that has elements on one side only.
func oneEmpty(a, b map[string][]string, path string) bool {
	for i := strings.Index(path, "[]"); i >= 0 && i < len(path); {
		if _, empty := a[path[:i]]; empty {
			return true
		}
		if _, empty := b[path[:i]]; empty {
			return true
		}
		next := strings.Index(path[i+2:], "[]")
		if next < 0 {
			return false
		}
		i += 2 + next
	}
	return false
}

// brief is the status, and the error's own words.
func (a Answer) brief(w *World) string {
	text := fmt.Sprint(a.Status)
	for path, values := range flatten(a, w) {
		if a.Status >= http.StatusBadRequest && strings.HasSuffix(path, "essage") {
			text += " " + strings.Join(values, " | ")
		}
	}
	return text
}

func headerText(h http.Header, name string, w *World) string {
	values := h.Values(name)
	if len(values) == 0 {
		return "none"
	}
	return w.plain(strings.Join(values, ", "))
}

func union(a, b map[string][]string) map[string]bool {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}

// flatten makes a document into what stands at each path of it. The elements of
// a list share their paths, so that a longer list of the same is no difference.
func flatten(a Answer, w *World) map[string][]string {
	out := map[string][]string{}
	if len(a.Body) == 0 {
		return out
	}
	var doc any
	if err := json.Unmarshal(a.Body, &doc); err != nil {
		out["(text)"] = []string{w.plain(string(a.Body))}
		return out
	}
	put(out, "", doc, w)
	for path := range out {
		slices.Sort(out[path])
		out[path] = slices.Compact(out[path])
	}
	return out
}

func put(out map[string][]string, path string, v any, w *World) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			out[path] = append(out[path], "{}")
		}
		for key, value := range v {
			put(out, strings.TrimPrefix(path+"."+w.plain(key), "."), value, w)
		}
	case []any:
		if len(v) == 0 {
			out[path] = append(out[path], "[]")
		}
		for _, value := range v {
			put(out, path+"[]", value, w)
		}
	case string:
		if ownText.MatchString(path) {
			v = "<own>"
		}
		out[path] = append(out[path], fmt.Sprintf("%q", w.plain(v)))
	case float64:
		out[path] = append(out[path], number(path, v))
	default:
		out[path] = append(out[path], fmt.Sprint(v))
	}
}

// ownText and ownNumber are the paths of what is made at random or counted, so
// that only its type can be compared.
var (
	ownText   = regexp.MustCompile(`(^|\.)(adminPass|private_key|fingerprint|public_key|uptime|cpu_info|auth_key)$`)
	ownNumber = regexp.MustCompile(`^(hypervisors?(\[\])?|hypervisor_statistics|host(\[\])?|tenant_usages?(\[\])?|instance_usage_audit_logs?)\.|` +
		`^(keypair|keypairs\[\]\.keypair|services\[\]|aggregates\[\])\.id$`)
)

func number(path string, v float64) string {
	if ownNumber.MatchString(path) {
		return "<number>"
	}
	return fmt.Sprint(v)
}

// anonymous replaces what is different by nature.
var anonymous = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<uuid>"},
	{regexp.MustCompile(`\b[0-9a-f]{56}\b`), "<host>"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "<project>"},
	{regexp.MustCompile(`(<root>(/v3)?)/<project>/`), "$1/"}, // Cinder's links are as it was asked
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?`), "<time>"},
	{regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}`), "<mac>"},
	{regexp.MustCompile(`\br-[a-z0-9]{8}\b`), "<reservation>"},
	{regexp.MustCompile(`instance-[0-9a-f]{8}`), "<instance>"},
	{regexp.MustCompile(`\bpod\d-node\d\b`), "<host>"},
	{regexp.MustCompile(`/pod\d/data/`), "/<pod>/data/"},
	{regexp.MustCompile(`@pod\d\b`), ""}, // the region says whose host it is
	{regexp.MustCompile(`(http://[0-9.:]+|<services>/image)/+images/`), "<image>/images/"},
	{regexp.MustCompile(`\b10\.91\.[09]\.\d+\b`), "<ip>"}, // of subnets where some are given at random
	{regexp.MustCompile(`\b2001:db8:91:[0-9a-f:]+`), "<ip>"},
}
