package compute_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

func names(list gjson.Result) string {
	var all []string
	for _, s := range list.Array() {
		all = append(all, s.Get("name").Str)
	}
	return strings.Join(all, " ")
}

func TestListServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, alt, admin := w.as("demo"), w.as("alt"), w.as("admin")
	for _, s := range []struct{ name, zone string }{{"a", "az1"}, {"b", "az2"}, {"c", "az1"}, {"d", "az2"}} {
		demo.boot(s.zone, m{"name": s.name})
	}
	alt.boot("az1", m{"name": "z"})
	byName := "sort_key=display_name&sort_dir="
	for query, want := range map[string]string{
		byName + "asc": "a b c d", byName + "desc": "d c b a", byName + "asc&limit=2": "a b", byName + "asc&name=[bc]": "b c",
		byName + "asc&availability_zone=az2": "b d", byName + "asc&availability_zone=az9": "", "limit=0": "",
	} {
		for _, path := range []string{"/servers", "/servers/detail"} {
			if got := names(demo.do("GET", path+"?"+query, nil).want(t, 200).get("servers")); got != want {
				t.Errorf("%s?%s = %q, want %q", path, query, got, want)
			}
		}
	}
	if got := names(admin.do("GET", "/servers/detail?all_tenants=1&"+byName+"asc", nil).want(t, 200).get("servers")); got != "a b c d z" {
		t.Errorf("an admin sees %q of all", got)
	}
	first := demo.do("GET", "/servers/detail?"+byName+"asc&limit=3", nil).want(t, 200)
	next, err := url.Parse(first.get("servers_links.0.href").Str)
	must(t, err)
	if !strings.HasPrefix(next.String(), w.url+"/v2.1/servers/detail?") {
		t.Errorf("next = %s", next)
	}
	second := demo.do("GET", "/servers/detail?"+next.RawQuery, nil).want(t, 200)
	if got := names(second.get("servers")); got != "d" || second.get("servers_links").Exists() {
		t.Errorf("second page = %s", second.body)
	}
	item := first.get("servers.1")
	if item.Get("OS-EXT-AZ:availability_zone").Str != "az2" || strings.Contains(item.Raw, "tricircle\"") || !strings.HasPrefix(item.Get("links.0.href").Str, w.url) {
		t.Errorf("item = %s", item.Raw)
	}
	brief := demo.do("GET", "/servers?limit=1", nil).want(t, 200).get("servers.0")
	var keys []string
	brief.ForEach(func(k, _ gjson.Result) bool { keys = append(keys, k.Str); return true })
	if diff := cmp.Diff([]string{"id", "name", "links"}, keys); diff != "" {
		t.Errorf("brief (-want +got):\n%s", diff)
	}
	for _, query := range []string{"limit=x", "limit=-1", "sort_dir=up", "marker=nosuch"} {
		demo.do("GET", "/servers?"+query, nil).want(t, 400)
	}
}

func TestListWithPodAway(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, podtest.Options{}, 500*time.Millisecond)
	demo := w.as("demo")
	demo.boot("az1", m{"name": "a"})
	lost := demo.boot("az2", m{"name": "b"})
	for what, spoil := range map[string]func() func(){
		"down": func() func() { w.cloud.Pod("pod2").Down(); return w.cloud.Pod("pod2").Up },
		"hangs": func() func() {
			return w.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Compute, Method: "GET", Path: "/servers", Hang: true})
		},
		"500": func() func() {
			return w.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Compute, Method: "GET", Path: "/servers", Status: 500})
		},
		"garbage": func() func() {
			return w.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Compute, Method: "GET", Path: "/servers", Garbage: true})
		},
	} {
		repair := spoil()
		list := demo.do("GET", "/servers/detail", nil).want(t, 200)
		unknown := list.get(`servers.#(status=="UNKNOWN")`)
		if list.get("servers.#").Int() != 2 || unknown.Get("id").Str != lost || unknown.Get("tenant_id").Str != demo.project || unknown.Get("name").Exists() {
			t.Errorf("%s: list = %s", what, list.body)
		}
		if got := list.header.Get("X-Tricircle-Unreachable-Pods"); got != "pod2" {
			t.Errorf("%s: unreachable pods = %q", what, got)
		}
		old := demo.at("2.68").do("GET", "/servers/detail", nil).want(t, 200)
		if got := names(old.get("servers")); got != "a" {
			t.Errorf("%s: before 2.69 the list has %q, want a", what, got)
		}
		if got := demo.do("GET", "/servers?status=ACTIVE", nil).want(t, 200).get("servers.#").Int(); got != 1 {
			t.Errorf("%s: with a filter that the index cannot answer there are %d", what, got)
		}
		if got := demo.do("GET", "/servers/"+lost, nil); got.status != 503 && got.status != 504 || !strings.Contains(got.message(), "pod2") {
			t.Errorf("%s: show: %d %s, want 503 or 504 that names pod2", what, got.status, got.body)
		}
		repair()
		eventually(t, "pod2 is back", func() bool { return demo.do("GET", "/servers/"+lost, nil).status == 200 })
	}
}
