package region_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// TestAnOutageMakesJobsWait: changes are accepted while a pod is away; its jobs
// wait, saying why, and finish once it is back.
func TestAnOutageMakesJobsWait(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		r := newRegion(t, setup{database: url, config: brisk})
		demo, admin := r.as("demo"), r.as("admin")
		blue, _ := demo.network("blue", "10.1.0.0/24")
		one, two := demo.boot(on(blue)), demo.boot(m{"networks": []m{{"uuid": blue}}, "availability_zone": "az2"})
		r.settled()

		r.pod("pod2").Down()
		demo.do("PUT", network+"/networks/"+blue, m{"network": m{"name": "azure"}}).want(t, 200)
		demo.remove(one) // pod1 is not concerned
		var waits gjson.Result
		eventually(t, "the network's job waits", func() string {
			list := r.jobs("state=waiting&pod=pod2&kind=network")
			if len(list) == 0 || list[0].Get("reason").Str == "" {
				return fmt.Sprint(r.jobs("pod=pod2"))
			}
			waits = list[0]
			return ""
		})
		if reason := waits.Get("reason").Str; !strings.Contains(reason, "pod pod2") || !strings.Contains(reason, "cannot ") ||
			!strings.Contains(reason, "refused") && !strings.Contains(reason, "away since") || waits.Get("resource").Str != blue {
			t.Errorf("the job is %s, want what, where and why", waits.Raw)
		}
		where := admin.do("GET", "/admin/v1/resources/"+blue, nil).want(t, 200)
		if place := where.get(`resource.places.#(pod=="pod2")`); place.Get("current").Bool() || !strings.Contains(place.Get("reason").Str, "pod2") {
			t.Errorf("resource where says %s, want that pod2 does not have the change, and why", where.body)
		}
		if got := demo.do("DELETE", compute+"/servers/"+two, nil); got.status != 503 || !strings.Contains(got.message(), "pod2") {
			t.Errorf("deletion of a server that is away: %d %s, want 503 that names pod2", got.status, got.body)
		}
		if got := demo.create(m{"availability_zone": "az2"}); got.status != 503 || !strings.Contains(got.message(), "pod2") {
			t.Errorf("creation in a zone that is away: %d %s, want 503 that names pod2", got.status, got.body)
		}

		r.pod("pod2").Up()
		r.settled()
		for _, n := range r.pod("pod2").Objects("network") {
			if n["name"] == "blue" {
				t.Error("pod2 has the network's old name")
			}
		}
		eventually(t, "pod2 takes requests", func() string {
			return string(demo.do("DELETE", compute+"/servers/"+two, nil).body)
		})
		eventually(t, "the server is gone", func() string { return strings.Join(demo.servers(), " ") })
		demo.drop(blue)
		r.clean()
	})
}

// TestAPodIsRemoved: not while somebody's things are there, and the answer counts
// them; then it is cleared and goes, and its zone with it.
func TestAPodIsRemoved(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo, admin := r.as("demo"), r.as("admin")
	blue, _ := demo.network("blue", "10.1.0.0/24")
	one, two := demo.boot(on(blue)), demo.boot(on(blue))
	disk := demo.do("POST", volume+"/"+demo.project+"/volumes", m{"volume": m{"size": 1, "availability_zone": "az1"}}).want(t, 202).get("volume.id").Str
	refused := func(when string, words ...string) {
		t.Helper()
		got := admin.do("DELETE", "/admin/v1/pods/pod1", nil)
		for _, word := range words {
			if got.status != 409 || !strings.Contains(got.message(), word) {
				t.Errorf("%s: %d %s, want 409 with %q", when, got.status, got.body, word)
			}
		}
	}
	refused("in use", "2 servers", "1 volume", "1 network")
	admin.do("PATCH", "/admin/v1/pods/pod1", m{"pod": m{"cordoned": true}}).want(t, 200)
	refused("cordoned but in use", "2 servers", "1 volume")
	if got := demo.create(nil); got.status != 503 || !strings.Contains(got.message(), "cordoned") {
		t.Errorf("creation in a cordoned zone: %d %s, want 503 that says so", got.status, got.body)
	}
	demo.remove(one, two)
	demo.do("DELETE", volume+"/"+demo.project+"/volumes/"+disk, nil).want(t, 202)
	eventually(t, "the volume is gone", func() string {
		if got := demo.do("GET", volume+"/"+demo.project+"/volumes/"+disk, nil); got.status != 404 {
			return string(got.body)
		}
		return ""
	})
	eventually(t, "the pod is cleared and removed", func() string {
		got := admin.do("DELETE", "/admin/v1/pods/pod1", nil)
		if got.status != 204 && got.status != 409 {
			t.Fatalf("removal: %d %s", got.status, got.body)
		}
		return string(got.body)
	})
	if got := r.inventory()["pod1"]; len(got["network"])+len(got["port"])+len(got["security_group"]) != 0 {
		t.Errorf("left in the pod that was removed: %v", got)
	}
	admin.do("GET", "/admin/v1/pods/pod1", nil).want(t, 404)
	demo.do("GET", network+"/networks/"+blue, nil).want(t, 200) // it is the region's
	if got := demo.create(nil); got.status != 400 || !strings.Contains(got.message(), "zone is not available") {
		t.Errorf("creation in a zone that has gone: %d %s, want 400", got.status, got.body)
	}
	if got := demo.do("GET", compute+"/servers", nil).want(t, 200).header.Get("X-Tricircle-Unreachable-Pods"); got != "" {
		t.Errorf("the list misses %q", got)
	}
	demo.boot(m{"networks": []m{{"uuid": blue}}, "availability_zone": "az2"})
}

// TestShutdown: requests under way are answered, new ones are not taken.
func TestShutdown(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo := r.as("demo")
	blue, _ := demo.network("blue", "10.1.0.0/24")
	began := make(chan struct{})
	proceed := r.pod("pod1").Fault(podtest.Fault{Service: podtest.Compute, Method: "POST", Path: "/servers$", Delay: time.Minute})
	r.pod("pod1").Fault(podtest.Fault{Service: podtest.Network, Method: "POST", Path: "/networks$", Times: 1, After: func(*http.Request) { close(began) }})
	answers := make(chan reply, 1)
	go func() {
		got, err := demo.try(t.Context(), "POST", compute+"/servers", server(on(blue)))
		if err != nil {
			t.Errorf("the request under way was cut: %v", err)
		}
		answers <- got
	}()
	<-began
	ended := make(chan error, 1)
	go func() { ended <- r.stop() }()
	eventually(t, "no new requests are taken", func() string {
		if _, err := demo.try(t.Context(), "GET", compute, nil); err == nil {
			return "one was"
		}
		return ""
	})
	select {
	case <-answers:
		t.Fatal("the creation was answered before its pod did")
	case err := <-ended:
		t.Fatalf("the program ended (%v) before the request did", err)
	default:
	}
	proceed()
	if got := <-answers; got.status != 202 {
		t.Errorf("the request under way: %d %s, want 202", got.status, got.body)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}

// TestShutdownHasItsLimit: a request that takes longer than the time for it is
// cut, and the program ends.
func TestShutdownHasItsLimit(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{config: func(c *config.Config) { c.Limits.ShutdownTimeout = 200 * time.Millisecond }})
	demo := r.as("demo")
	began := make(chan struct{})
	r.pod("pod1").Fault(podtest.Fault{Service: podtest.Compute, Method: "GET", Path: "/servers/detail", Before: func(*http.Request) { close(began) }, Hang: true})
	go func() { _, _ = demo.try(t.Context(), "GET", compute+"/servers", nil) }()
	<-began
	r.cut = true
	if err := r.stop(); err == nil || !strings.Contains(err.Error(), "requests were cut off") {
		t.Errorf("Run = %v, want that requests were cut off", err)
	}
}
