package compute_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

func (c *client) setQuota(t *testing.T, project string, limits m) {
	t.Helper()
	c.do("PUT", "/os-quota-sets/"+project, m{"quota_set": limits}).want(t, 200)
}

// TestQuotaIsOneNumber: for both pods together, exactly, with a pod's own lower
// quota lifted, and with a pod away.
func TestQuotaIsOneNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, admin := w.as("demo"), w.as("admin")
	admin.setQuota(t, demo.project, m{"instances": 3})
	var wg sync.WaitGroup
	var mu sync.Mutex
	made, refused := []string{}, ""
	for i := range 12 {
		wg.Go(func() {
			got, err := demo.try(t.Context(), "POST", "/servers", server(m{"availability_zone": []string{"az1", "az2"}[i%2]}))
			must(t, err)
			mu.Lock()
			defer mu.Unlock()
			if got.status == 202 {
				made = append(made, got.get("server.id").Str)
			} else {
				refused = got.message()
			}
		})
	}
	wg.Wait()
	want := "Quota exceeded for instances: Requested 1, but already used 3 of 3 instances"
	if len(made) != 3 || refused != want {
		t.Errorf("%d servers, want 3; refused with %q, want %q", len(made), refused, want)
	}
	detail := demo.do("GET", "/os-quota-sets/"+demo.project+"/detail", nil).want(t, 200)
	if got := detail.get("quota_set.instances").Raw; got != `{"in_use":3,"limit":3,"reserved":0}` {
		t.Errorf("instances = %s", got)
	}
	for _, p := range w.cloud.Pods() {
		eventually(t, p.Name+" has the limit", func() bool { return p.Compute.Quota(demo.project, "instances") == 3 })
	}
	w.cloud.Pod("pod2").Down()
	if got := demo.do("POST", "/servers", server(m{"availability_zone": "az1"})); got.status != 403 {
		t.Errorf("one more while pod2 is away: %d %s, want 403", got.status, got.body)
	}
	w.cloud.Pod("pod2").Up()
	demo.remove(t, made...)
	admin.do("DELETE", "/os-quota-sets/"+demo.project, nil).want(t, 202)
	if got := demo.do("GET", "/os-quota-sets/"+demo.project, nil).get("quota_set.instances").Int(); got != 1000 {
		t.Errorf("instances after the deletion = %d, want the pods' default", got)
	}
	eventually(t, "all is done", func() bool { return w.idle(t) })
}

// TestPodQuotaIsLifted: what the region admits no pod refuses.
func TestPodQuotaIsLifted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	first := demo.boot("az1", nil)
	w.cloud.Pod("pod1").SetQuota(1)
	second := demo.boot("az1", nil)
	demo.do("POST", "/servers/"+second+"/action", m{"resize": m{"flavorRef": "2"}}).want(t, 202)
	demo.remove(t, first, second)
}

func TestResizeNeedsQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, admin := w.as("demo"), w.as("admin")
	id := demo.boot("az1", nil)
	admin.setQuota(t, demo.project, m{"ram": 500})
	got := demo.do("POST", "/servers/"+id+"/action", m{"resize": m{"flavorRef": "2"}})
	if want := "Quota exceeded for ram: Requested 448, but already used 64 of 500 ram"; got.status != 403 || got.message() != want {
		t.Errorf("resize: %d %s, want 403 %s", got.status, got.body, want)
	}
	admin.setQuota(t, demo.project, m{"ram": 512})
	demo.do("POST", "/servers/"+id+"/action", m{"resize": m{"flavorRef": "2"}}).want(t, 202)
	if got := demo.do("GET", "/limits", nil).get("limits.absolute.totalRAMUsed").Int(); got != 512 {
		t.Errorf("memory in use = %d, want 512", got)
	}
	if got := demo.do("POST", "/servers/"+id+"/action", m{"resize": m{"flavorRef": "1"}}); got.status != 409 {
		t.Errorf("resize of a server that is being resized: %d %s", got.status, got.body)
	}
	demo.remove(t, id)
}

func TestQuotaRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, alt, admin := w.as("demo"), w.as("alt"), w.as("admin")
	id := demo.boot("az1", nil)
	put := func(limits any) reply { return admin.do("PUT", "/os-quota-sets/"+demo.project, m{"quota_set": limits}) }
	for name, tt := range map[string]struct {
		got    reply
		status int
		say    string
	}{
		"another project's":    {demo.do("GET", "/os-quota-sets/"+alt.project, nil), 403, "os_compute_api:os-quota-sets:show"},
		"no admin":             {demo.do("PUT", "/os-quota-sets/"+demo.project, m{"quota_set": m{"cores": 1}}), 403, "os_compute_api:os-quota-sets:update"},
		"no project":           {admin.do("GET", "/os-quota-sets/nobody", nil), 400, "Project ID nobody is not a valid project."},
		"unknown resource":     {put(m{"foo": 1}), 400, "'foo' was unexpected"},
		"gone since 2.36":      {put(m{"fixed_ips": 1}), 400, "'fixed_ips' was unexpected"},
		"below none":           {put(m{"cores": -2}), 400, "-2 is less than the minimum of -1"},
		"too large":            {put(m{"cores": 4294967296}), 400, "is greater than the maximum of 2147483647"},
		"no number":            {put(m{"cores": "many"}), 400, "does not match '^-?[0-9]+$'"},
		"no object":            {put(3), 400, "is not of type 'object'"},
		"below what is in use": {put(m{"instances": "0"}), 400, "Quota limit 0 for instances must be greater than or equal to already used and reserved 1."},
		"forced":               {put(m{"instances": 0, "force": "True"}), 200, `"instances":0`},
		"unlimited":            {put(m{"instances": -1}), 200, `"instances":-1`},
		"user over project":    {admin.do("PUT", "/os-quota-sets/"+demo.project+"?user_id=u", m{"quota_set": m{"key_pairs": 101}}), 400, "must be less than or equal to 100"},
		"unknown parameter":    {demo.do("GET", "/limits?reserved=1", nil), 400, "'reserved' was unexpected"},
		"limits of another":    {demo.do("GET", "/limits?tenant_id="+alt.project, nil), 403, "os_compute_api:limits:other_project"},
		"old limits":           {demo.at("2.1").do("GET", "/limits?reserved=1", nil), 200, `"maxSecurityGroups":-1`},
		"mark has its room":    {demo.do("GET", "/limits", nil), 200, `"maxServerMeta":127`},
		"class of no admin":    {demo.do("GET", "/os-quota-class-sets/default", nil), 403, "os_compute_api:os-quota-class-sets:show"},
		"usage of another":     {demo.do("GET", "/os-simple-tenant-usage/"+alt.project, nil), 403, "os_compute_api:os-simple-tenant-usage:show"},
		"usage of all":         {demo.do("GET", "/os-simple-tenant-usage", nil), 403, "os_compute_api:os-simple-tenant-usage:list"},
		"usage, no marker":     {admin.do("GET", "/os-simple-tenant-usage?marker=nobody&start=2020-01-01T00:00:00", nil), 400, "Marker nobody could not be found."},
		"usage, no time":       {admin.do("GET", "/os-simple-tenant-usage?start=yesterday", nil), 400, "Datetime is in invalid format"},
	} {
		if tt.got.status != tt.status || !strings.Contains(string(tt.got.body), tt.say) {
			t.Errorf("%s: %d %s, want %d and %q", name, tt.got.status, tt.got.body, tt.status, tt.say)
		}
	}
	admin.do("PUT", "/os-quota-class-sets/default", m{"quota_class_set": m{"cores": 7}}).want(t, 200)
	if got := alt.do("GET", "/os-quota-sets/"+alt.project+"/defaults", nil).get("quota_set.cores").Int(); got != 7 {
		t.Errorf("default cores = %d, want 7", got)
	}
	demo.remove(t, id)
}

// TestUsage: pages of servers over both pods are the whole list, whatever pod has
// the marker, also when it is gone; and sums are those of the pods.
func TestUsage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, alt, admin := w.as("demo"), w.as("alt"), w.as("admin")
	var want []string
	for i, c := range []*client{demo, alt, demo, demo, alt, demo, alt} {
		want = append(want, c.project+" "+c.boot([]string{"az1", "az2"}[i%2], nil))
	}
	_, gone, _ := strings.Cut(want[0], " ")
	demo.remove(t, gone)
	slices.Sort(want)
	const period = "start=2020-01-01T00:00:00"
	for _, limit := range []string{"1", "2", "3", "7", "100"} {
		var got []string
		path := "/os-simple-tenant-usage?detailed=1&" + period + "&limit=" + limit
		for path != "" {
			page := admin.do("GET", path, nil).want(t, 200)
			for _, s := range page.get("tenant_usages.#.server_usages|@flatten").Array() {
				got = append(got, s.Get("tenant_id").Str+" "+s.Get("instance_id").Str)
			}
			_, path, _ = strings.Cut(page.get("tenant_usages_links.0.href").Str, "/v2.1")
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %s: %v, want %v", limit, got, want)
		}
	}
	whole := demo.do("GET", "/os-simple-tenant-usage/"+demo.project+"?"+period, nil).want(t, 200)
	hours := 0.0
	for _, h := range whole.get("tenant_usage.server_usages.#.hours").Array() {
		hours += h.Num
	}
	if got := whole.get("tenant_usage.server_usages.#").Int(); got != 4 || whole.get("tenant_usage.total_hours").Num != hours ||
		whole.get("tenant_usage.total_memory_mb_usage").Num < 63*hours {
		t.Errorf("usage of the project: %s", whole.body)
	}
	w.cloud.Pod("pod2").Down()
	if got := demo.do("GET", "/os-simple-tenant-usage/"+demo.project+"?"+period, nil); got.status != 503 || !strings.Contains(got.message(), "pod2") {
		t.Errorf("while pod2 is away: %d %s, want 503 that names it", got.status, got.body)
	}
}
