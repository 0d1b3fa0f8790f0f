package region_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// volumes lists the IDs of the client's volumes, sorted.
func (c *client) volumes() []string {
	c.t.Helper()
	ids := []string{}
	for _, v := range c.do("GET", volume+"/volumes/detail", nil).want(c.t, 200).get("volumes").Array() {
		ids = append(ids, v.Get("id").Str)
	}
	slices.Sort(ids)
	return ids
}

// TestVolumeCreationFails spoils, in each way, the call that makes a volume. In
// the end pod and region agree on one volume or none.
func TestVolumeCreationFails(t *testing.T) {
	t.Parallel()
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, setup{config: brisk, clouds: podtest.Options{Pods: []string{"pod1"}}})
			demo, pod1 := r.as("demo"), r.pod("pod1")
			demo.volumes() // warms what is asked once in a while
			fault := ways[way]
			fault.Service, fault.Method, fault.Path, fault.Times = podtest.Volume, "POST", `/volumes$`, 1
			remove := pod1.Fault(fault)
			got := demo.do("POST", volume+"/volumes", m{"volume": m{"name": "v", "size": 1}})
			if got.status != 503 && got.status != 504 || !strings.Contains(got.message(), "volume") || !strings.Contains(got.message(), "pod pod1") {
				t.Errorf("%d %s, want 503 or 504 naming pod and operation", got.status, got.body)
			}
			remove()
			r.settled()
			inPod, known := pod1.Inventory()["volume"], demo.volumes()
			if made := fault.DropReply || fault.Hang; !slices.Equal(inPod, known) || len(known) > 1 || made != (len(known) == 1) {
				t.Errorf("volumes in the pod %v, in the region %v, want the same; made: %v", inPod, known, made)
			}
			for _, id := range known {
				demo.do("DELETE", volume+"/volumes/"+id, nil).want(t, 202)
			}
			r.clean()
		})
	}
}

// TestVolumeCostsOneCall: a warm creation is one call to the pod, and what marks
// the volume there never shows.
func TestVolumeCostsOneCall(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{clouds: podtest.Options{Pods: []string{"pod1"}}})
	demo, pod1 := r.as("demo"), r.pod("pod1")
	make := func() reply {
		return demo.do("POST", volume+"/volumes", m{"volume": m{"size": 1, "metadata": m{"mine": "1"}}}).want(t, 202)
	}
	make()
	pod1.ResetCalls()
	id := make().get("volume.id").Str
	var calls []string
	for _, c := range pod1.Calls() {
		calls = append(calls, c.Method+" "+c.Path)
	}
	if len(calls) != 1 || !strings.HasPrefix(calls[0], http.MethodPost) {
		t.Errorf("a creation costs %v, want one call", calls)
	}
	one := volume + "/volumes/" + id
	for _, path := range []string{volume + "/volumes/detail", one, one + "/metadata", volume + "/volumes/summary"} {
		got := demo.with("OpenStack-API-Version", "volume 3.60").do("GET", path, nil).want(t, 200)
		if strings.Contains(string(got.body), `"tricircle"`) || path != volume+"/volumes/summary" && !strings.Contains(string(got.body), `"mine"`) {
			t.Errorf("GET %s shows %s", path, got.body)
		}
	}
	demo.do("GET", one+"/metadata/tricircle", nil).want(t, 404)
	demo.do("PUT", one+"/metadata/tricircle", m{"meta": m{"tricircle": "x"}}).want(t, 400)
	demo.do("POST", one+"/metadata", m{"metadata": m{"tricircle": "x"}}).want(t, 400)
	demo.do("POST", volume+"/volumes", m{"volume": m{"size": 1, "metadata": m{"tricircle": "x"}}}).want(t, 400)
}
