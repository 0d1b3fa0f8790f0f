package region_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// volume makes a volume of one gigabyte and waits for nothing.
func (c *client) volume(zone string, size int) string {
	c.t.Helper()
	return c.do("POST", volume+"/volumes", m{"volume": m{"size": size, "availability_zone": zone}}).want(c.t, 202).get("volume.id").Str
}

// setVolumeQuota sets limits of the client's project.
func (c *client) setVolumeQuota(limits m) {
	c.t.Helper()
	c.as("admin").do("PUT", volume+"/os-quota-sets/"+c.project, m{"quota_set": limits}).want(c.t, 200)
}

// volumeUse is what the project has, with what is reserved, of the resources.
func (c *client) volumeUse(resources ...string) string {
	c.t.Helper()
	set := c.do("GET", volume+"/os-quota-sets/"+c.project+"?usage=true", nil).want(c.t, 200).get("quota_set")
	var words []string
	for _, name := range resources {
		words = append(words, fmt.Sprintf("%d+%d", set.Get(name+".in_use").Int(), set.Get(name+".reserved").Int()))
	}
	return strings.Join(words, " ")
}

func (c *client) wantVolumeUse(want string, resources ...string) {
	c.t.Helper()
	eventually(c.t, strings.Join(resources, ", ")+" "+want, func() string {
		if got := c.volumeUse(resources...); got != want {
			return got
		}
		return ""
	})
}

// TestVolumeQuotaIsOneNumber: what is in one pod counts against what goes to another,
// in Cinder's words, and a refused request reaches no pod.
func TestVolumeQuotaIsOneNumber(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo := r.as("demo")
	demo.setVolumeQuota(m{"volumes": 3, "gigabytes": 10, "snapshots": 1, "per_volume_gigabytes": 6, "volumes_fake": 2})
	first, second := demo.volume("az1", 2), demo.volume("az2", 3)
	before := r.inventory()
	for _, test := range []struct {
		body m
		want string
	}{
		{m{"size": 7}, "VolumeSizeExceedsLimit: Requested volume size 7G is larger than maximum allowed limit 6G."},
		{m{"size": 6}, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 6G, quota is 10G and 5G has been consumed."},
		{m{"size": 1}, "VolumeLimitExceeded: Maximum number of volumes allowed (2) exceeded for quota 'volumes_fake'."},
		{m{"source_volid": first}, "VolumeLimitExceeded: Maximum number of volumes allowed (2) exceeded for quota 'volumes_fake'."},
	} {
		got := demo.do("POST", volume+"/volumes", m{"volume": test.body}).want(t, 413)
		if got.get("overLimit.message").Str != test.want || got.get("overLimit.retryAfter").Str != "0" || got.header.Get("Retry-After") != "0" {
			t.Errorf("%v: %s %v, want %s", test.body, got.body, got.header, test.want)
		}
	}
	if diff := cmp.Diff(before, r.inventory()); diff != "" {
		t.Errorf("refused requests changed pods:\n%s", diff)
	}
	snapshot := demo.do("POST", volume+"/snapshots", m{"snapshot": m{"volume_id": first}}).want(t, 202).get("snapshot.id").Str
	got := demo.do("POST", volume+"/snapshots", m{"snapshot": m{"volume_id": second}}).want(t, 413)
	if want := "SnapshotLimitExceeded: Maximum number of snapshots allowed (1) exceeded"; got.message() != want {
		t.Errorf("snapshot: %s, want %s", got.message(), want)
	}
	demo.do("POST", volume+"/volumes/"+second+"/action", m{"os-extend": m{"new_size": 7}}).want(t, 413)
	demo.do("POST", volume+"/volumes/"+second+"/action", m{"os-extend": m{"new_size": 6}}).want(t, 202)
	demo.wantVolumeUse("2+0 10+0 1+0 2+0", "volumes", "gigabytes", "snapshots", "volumes_fake")
	limits := demo.do("GET", volume+"/limits", nil).want(t, 200).get("limits.absolute")
	if limits.Get("totalGigabytesUsed").Int() != 10 || limits.Get("maxTotalVolumes").Int() != 3 || limits.Get("totalSnapshotsUsed").Int() != 1 {
		t.Errorf("limits = %s", limits.Raw)
	}
	demo.do("DELETE", volume+"/snapshots/"+snapshot, nil).want(t, 202)
	demo.do("DELETE", volume+"/volumes/"+first, nil).want(t, 202)
	demo.do("DELETE", volume+"/volumes/"+second, nil).want(t, 202)
	demo.wantVolumeUse("0+0 0+0 0+0 0+0", "volumes", "gigabytes", "snapshots", "volumes_fake")
	r.clean()
}

// TestVolumeIsReplacedAtTheLimit: what a pod no longer has does not count, whether or
// not a job has seen that.
func TestVolumeIsReplacedAtTheLimit(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo := r.as("demo")
	demo.setVolumeQuota(m{"volumes": 1})
	for _, zone := range []string{"az1", "az2", "az1"} {
		id := demo.volume(zone, 1)
		demo.do("POST", volume+"/volumes", m{"volume": m{"size": 1}}).want(t, 413)
		demo.do("DELETE", volume+"/volumes/"+id, nil).want(t, 202)
	}
	r.clean()
}

// TestVolumesAtOnce: of many creations at once exactly as many are admitted as there
// is room for.
func TestVolumesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{config: func(c *config.Config) { c.Pods.Concurrency = 64 }})
	demo := r.as("demo")
	demo.setVolumeQuota(m{"volumes": 7})
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for i := range 30 {
		wg.Go(func() {
			got, err := demo.try(t.Context(), "POST", volume+"/volumes", m{"volume": m{"size": 1, "availability_zone": fmt.Sprint("az", i%2+1)}})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			answers[got.status]++
		})
	}
	wg.Wait()
	in := r.inventory()
	if n := len(in["pod1"]["volume"]) + len(in["pod2"]["volume"]); n != 7 || answers[202] != 7 || answers[413] != 23 {
		t.Errorf("%d volumes in the pods, answers %v, want 7", n, answers)
	}
}

// TestPodGivesLess: a pod whose own limits are below the region's gets the region's
// when it refuses.
func TestPodGivesLess(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo := r.as("demo")
	r.pod("pod2").Volume.SetQuota(1)
	for range 3 {
		demo.volume("az2", 1)
	}
	if n := r.pod("pod2").Volume.Quota(demo.project, "volumes"); n != 1000 {
		t.Errorf("the pod's limit = %d, want the region's", n)
	}
	demo.setVolumeQuota(m{"volumes": 5})
	r.settled()
	for _, p := range r.cloud.Pods() {
		if n := p.Volume.Quota(demo.project, "volumes"); n != 5 {
			t.Errorf("%s: limit %d, want 5", p.Name, n)
		}
	}
	admin := r.as("admin")
	admin.do("DELETE", volume+"/os-quota-sets/"+demo.project, nil).want(t, 200)
	admin.do("PUT", volume+"/os-quota-class-sets/default", m{"quota_class_set": m{"snapshots": 4}}).want(t, 200)
	r.settled()
	if n := demo.do("GET", volume+"/os-quota-sets/"+demo.project, nil).want(t, 200).get("quota_set.snapshots").Int(); n != 4 {
		t.Errorf("snapshots = %d, want the class's 4", n)
	}
	for _, p := range r.cloud.Pods() {
		if n := p.Volume.Quota("another", "snapshots"); n != 4 {
			t.Errorf("%s: snapshots %d, want 4", p.Name, n)
		}
	}
}

// TestLostExtend: the reply to an extension is lost; the amount is held until its job
// has seen what became of it.
func TestLostExtend(t *testing.T) {
	t.Parallel()
	for _, done := range []bool{true, false} {
		r := newRegion(t, setup{config: brisk, clouds: podtest.Options{Pods: []string{"pod1"}}})
		demo := r.as("demo")
		id := demo.volume("az1", 1)
		remove := r.pod("pod1").Fault(podtest.Fault{Service: podtest.Volume, Method: "POST", Path: `/action$`, DropReply: done, Status: 500 * b2i(!done)})
		demo.do("POST", volume+"/volumes/"+id+"/action", m{"os-extend": m{"new_size": 4}}).want(t, 503)
		remove()
		want := map[bool]string{true: "1+0 4+0", false: "1+0 1+0"}[done]
		demo.wantVolumeUse(want, "volumes", "gigabytes")
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestVolumesPastTheRegion: a list shows what was made in a pod directly, and it
// counts; what was deleted there counts until the volume is looked at, or a census.
func TestVolumesPastTheRegion(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{config: brisk, clouds: podtest.Options{Pods: []string{"pod1"}}})
	demo := r.as("demo")
	direct := demo.directly("pod1")
	direct.do("POST", "/v3/volumes", m{"volume": m{"size": 5}}).want(t, 202)
	demo.volumes()
	demo.wantVolumeUse("1+0 5+0", "volumes", "gigabytes")
	id := demo.volume("az1", 2)
	direct.do("DELETE", "/v3/volumes/"+id, nil).want(t, 202)
	demo.do("GET", volume+"/volumes/"+id, nil).want(t, 404)
	demo.wantVolumeUse("1+0 5+0", "volumes", "gigabytes")
}

// directly is the client speaking to the Block Storage of a pod.
func (c *client) directly(podName string) *client {
	inPod := *c.region
	inPod.url = c.pod(podName).URL(podtest.Volume)
	other := *c
	other.region = &inPod
	return &other
}

// TestVolumesOfServers: what Nova makes for a server that boots from a new volume is
// admitted with the server, counts once the pod has it, and goes with the server.
func TestVolumesOfServers(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{clouds: podtest.Options{Pods: []string{"pod1"}, BuildGets: 2}})
	demo := r.as("demo")
	demo.setVolumeQuota(m{"volumes": 2, "gigabytes": 10})
	device := m{"source_type": "image", "uuid": imageID, "destination_type": "volume", "boot_index": 0, "volume_size": 4, "delete_on_termination": true}
	from := m{"imageRef": nil, "networks": "none", "block_device_mapping_v2": []m{device}}
	id := demo.create(from).want(t, 202).get("server.id").Str
	if got := demo.volumeUse("volumes", "gigabytes"); got == "0+0 0+0" {
		t.Error("nothing counts while the server is built")
	}
	demo.wantVolumeUse("1+0 4+0", "volumes", "gigabytes")
	device["volume_size"] = 7
	if got := demo.create(from).want(t, 403).message(); got != "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 7G, quota is 10G and 4G has been consumed." {
		t.Errorf("refused with %s", got)
	}
	demo.do("DELETE", compute+"/servers/"+id, nil).want(t, 204)
	demo.wantVolumeUse("0+0 0+0", "volumes", "gigabytes")
	r.clean()
}

// TestQuotaOfATypeThatGoes: a type may be limited as soon as it is there, and is not
// shown any more when it is gone.
func TestQuotaOfATypeThatGoes(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	admin, demo := r.as("admin"), r.as("demo")
	class, set := volume+"/os-quota-class-sets/default", volume+"/os-quota-sets/"+demo.project
	gold := admin.do("POST", volume+"/types", m{"volume_type": m{"name": "gold"}}).want(t, 200).get("volume_type.id").Str
	admin.do("PUT", class, m{"quota_class_set": m{"volumes_gold": 3}}).want(t, 200)
	admin.do("PUT", set, m{"quota_set": m{"gigabytes_gold": 30}}).want(t, 200)
	shown := func() m {
		limits := admin.do("GET", set, nil).want(t, 200).get("quota_set")
		return m{"class": admin.do("GET", class, nil).want(t, 200).get("quota_class_set.volumes_gold").Raw,
			"volumes": limits.Get("volumes_gold").Raw, "gigabytes": limits.Get("gigabytes_gold").Raw}
	}
	if diff := cmp.Diff(m{"class": "3", "volumes": "3", "gigabytes": "30"}, shown()); diff != "" {
		t.Errorf("limits of a type (-want +got):\n%s", diff)
	}
	admin.do("PUT", class, m{"quota_class_set": m{"volumes_silver": 3}}).want(t, 400)
	admin.do("DELETE", volume+"/types/"+gold, nil).want(t, 202)
	if diff := cmp.Diff(m{"class": "", "volumes": "", "gigabytes": ""}, shown()); diff != "" {
		t.Errorf("limits of a type that is gone (-want +got):\n%s", diff)
	}
}

// TestVolumeBesideABoot: the volume of a server that has been built counts once, from
// the moment on when a user sees it.
func TestVolumeBesideABoot(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{clouds: podtest.Options{Pods: []string{"pod1"}, BuildGets: 2}})
	demo := r.as("demo")
	demo.setVolumeQuota(m{"volumes": 2})
	device := m{"source_type": "image", "uuid": imageID, "destination_type": "volume", "boot_index": 0, "volume_size": 1}
	id := demo.create(m{"imageRef": nil, "networks": "none", "block_device_mapping_v2": []m{device}}).want(t, 202).get("server.id").Str
	eventually(t, "server ACTIVE", func() string {
		if got := demo.do("GET", compute+"/servers/"+id, nil).get("server.status").Str; got != "ACTIVE" {
			return got
		}
		return ""
	})
	if n := len(demo.volumes()); n != 1 {
		t.Fatalf("%d volumes are listed, want the server's", n)
	}
	other := demo.volume("az1", 1)
	demo.do("POST", volume+"/volumes", m{"volume": m{"size": 1}}).want(t, 413)
	demo.do("DELETE", volume+"/volumes/"+other, nil).want(t, 202)
	demo.create(m{"imageRef": nil, "networks": "none", "block_device_mapping_v2": []m{device}}).want(t, 202)
}
