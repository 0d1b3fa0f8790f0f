package compute_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/store"
)

// imageID is an image that both pods of a test have.
const imageID = "84181aed-ab10-46f3-8dc5-4832dc2fc220"

// world is a region over two simulated clouds: pod1 is zone az1, pod2 zone az2.
type world struct {
	*region
	cloud  *podtest.Cloud
	before map[string]map[string][]string
}

func newWorld(t testing.TB, o podtest.Options) *world {
	t.Helper()
	return newWorldOf(t, o, 5*time.Second)
}

// newWorldOf is newWorld with a time limit for each call to a pod.
func newWorldOf(t testing.TB, o podtest.Options, podTimeout time.Duration) *world {
	t.Helper()
	cloud := podtest.New(t, o)
	var pods []store.Pod
	for i, p := range cloud.Pods() {
		p.AddImage(glance.Image{ID: imageID, Name: "tiny"})
		p.Compute.SetQuota(1000)
		pods = append(pods, store.Pod{Name: p.Name, Region: p.Region, Zone: "az" + string(rune('1'+i)), PodZone: "nova", DHCPPorts: 1})
	}
	w := &world{cloud: cloud, region: newRegion(t, setup{
		authURL: cloud.AuthURL(), pods: pods, podTimeout: podTimeout, intentDelay: 50 * time.Millisecond, intentGrace: time.Second,
	})}
	w.before = w.inventory()
	return w
}

// as is a client for one of the cloud's users, at the newest version.
func (w *world) as(user string) *client {
	return &client{region: w.region, token: w.cloud.Token(user, user), project: w.cloud.ProjectID(user), version: "2.93"}
}

func (c *client) at(version string) *client {
	old := *c
	old.version = version
	return &old
}

func (w *world) inventory() map[string]map[string][]string {
	all := map[string]map[string][]string{}
	for _, p := range w.cloud.Pods() {
		all[p.Name] = p.Inventory()
	}
	return all
}

// clean waits until the pods hold what they held before, and the store nothing
// that still has to be done.
func (w *world) clean(t testing.TB) {
	t.Helper()
	eventually(t, "the pods are as before", func() bool { return cmp.Equal(w.before, w.inventory()) && w.idle(t) }, func() string {
		return cmp.Diff(w.before, w.inventory())
	})
}

// idle reports that no creation and no job is left.
func (w *world) idle(t testing.TB) bool {
	t.Helper()
	intents, err := w.store.ListIntents(t.Context(), time.Now().Add(time.Hour))
	must(t, err)
	pending, err := w.store.ListMappings(t.Context(), store.MappingQuery{Pending: true})
	must(t, err)
	return len(intents) == 0 && len(pending) == 0
}

// busy is what idle waits for.
func (w *world) busy(t testing.TB) string {
	t.Helper()
	intents, err := w.store.ListIntents(t.Context(), time.Now().Add(time.Hour))
	must(t, err)
	pending, err := w.store.ListMappings(t.Context(), store.MappingQuery{Pending: true})
	must(t, err)
	var b strings.Builder
	fmt.Fprintf(&b, "intents %+v", intents)
	for _, m := range pending {
		fmt.Fprintf(&b, "\npending %s: pod's ID %q, wanted %v, tried %v, generation %d, observed %d: %s",
			m.Target, m.PodID, m.Wanted, m.Tried, m.Generation, m.Observed, m.Reason)
	}
	return b.String()
}

// drop deletes the network once nothing uses it.
func (w *world) drop(t testing.TB, networks ...string) {
	t.Helper()
	for _, id := range networks {
		must(t, w.store.DeleteNetwork(t.Context(), id, nil))
	}
}

// remove deletes servers and waits until they are gone.
func (c *client) remove(t testing.TB, ids ...string) {
	t.Helper()
	for _, id := range ids {
		c.do("DELETE", "/servers/"+id, nil).want(t, 204)
	}
	for _, id := range ids {
		eventually(t, "server "+id+" is gone", func() bool { return c.do("GET", "/servers/"+id, nil).status == 404 })
	}
}

// server is a body for POST /servers; fields replace or add to the usual.
func server(fields map[string]any) map[string]any {
	s := map[string]any{"name": "web", "flavorRef": "1", "imageRef": imageID, "networks": "none"}
	for k, v := range fields {
		if v == nil {
			delete(s, k)
			continue
		}
		s[k] = v
	}
	return map[string]any{"server": s}
}

type m = map[string]any

func on(networks ...m) m { return m{"networks": networks} }

// direct asks a pod itself, past the region.
func (c *client) direct(w *world, podName, method, path string) reply {
	c.t.Helper()
	past := *w.region
	past.url = w.cloud.Pod(podName).URL(podtest.Compute)
	d := *c
	d.region = &past
	return d.do(method, path, nil)
}

// volume makes a volume in a pod and returns its ID.
func (c *client) volume(w *world, podName string) string {
	c.t.Helper()
	past := *w.region
	past.url = w.cloud.Pod(podName).URL(podtest.Volume) + "/v3/" + c.project
	d := *c
	d.region, d.version = &past, ""
	return d.do("POST", "//volumes", m{"volume": m{"size": 1, "imageRef": imageID}}).want(c.t, 202).get("volume.id").Str
}
