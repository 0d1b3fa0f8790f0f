package region_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// oneZone puts all pods of the region into az1.
func (r *region) oneZone() {
	r.t.Helper()
	for _, p := range r.cloud.Pods() {
		r.as("admin").do("PATCH", "/admin/v1/pods/"+p.Name, m{"pod": m{"zone": "az1"}}).want(r.t, 200)
	}
}

// trouble is one way in which a pod makes creations hard.
type trouble func(p *podtest.Pod, rnd *rand.Rand) (lift func())

func faulty(f podtest.Fault) trouble {
	return func(p *podtest.Pod, rnd *rand.Rand) func() {
		f := f
		f.Nth = 1 + rnd.IntN(3)
		return p.Fault(f)
	}
}

// troubles holds what happens to pods: refusals for want of quota, and replies
// that are late, wrong or lost, of the server itself and of what it stands on.
func troubles() []trouble {
	all := []trouble{
		func(*podtest.Pod, *rand.Rand) func() { return func() {} },
		func(p *podtest.Pod, rnd *rand.Rand) func() {
			p.SetQuota(rnd.IntN(4))
			return func() { p.SetQuota(1000) }
		},
		func(p *podtest.Pod, rnd *rand.Rand) func() {
			what := []string{"port", "network"}[rnd.IntN(2)]
			p.Network.SetQuota(what, rnd.IntN(4))
			return func() { p.Network.SetQuota(what, -1) }
		},
	}
	for _, call := range []podtest.Fault{
		{Service: podtest.Compute, Method: "POST", Path: `/servers$`}, {Service: podtest.Compute, Method: "DELETE", Path: `/servers/`},
		{Service: podtest.Network, Method: "POST", Path: `/ports$`}, {Service: podtest.Network, Method: "POST", Path: `/networks$`},
		{Service: podtest.Network, Method: "DELETE", Path: `/`},
	} {
		for _, way := range []podtest.Fault{{DropReply: true}, {DropRequest: true}, {Delay: tooLate}, {Status: 500}, {Status: 503}} {
			call.DropReply, call.DropRequest, call.Delay, call.Status = way.DropReply, way.DropRequest, way.Delay, way.Status
			all = append(all, faulty(call))
		}
	}
	return all
}

// asked is one request for servers and what became of it.
type asked struct {
	name     string
	min, max int
	got      reply
}

// TestCreationsUnderTrouble makes servers, one and several at a time, several
// clients at once, while the pods of the zone refuse, fail and lose replies at
// random. When all is quiet again the servers in the pods are those in the region,
// each name once; whoever was told that his servers exist has them, whoever was
// refused has none; and when they are deleted nothing is left in any pod.
func TestCreationsUnderTrouble(t *testing.T) {
	t.Parallel()
	for i := range troubledWorlds {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			underTrouble(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

// A pod that is tooLate does the work after pods.timeout, but within pods.grace.
const tooLate = 1300 * time.Millisecond

func patient(c *config.Config) {
	c.Pods.Timeout, c.Pods.ListTimeout, c.Pods.Grace = time.Second, time.Second, 4*time.Second
	c.Pods.Census = time.Second // it frees what a deletion left whose reply was lost
}

func underTrouble(t *testing.T, rnd *rand.Rand) {
	r := newRegion(t, setup{config: patient, clouds: podtest.Options{Pods: []string{"pod1", "pod2", "pod3"}}})
	r.oneZone()
	demo := r.as("demo")
	blue, _ := demo.network("blue", "10.1.0.0/24")
	green, _ := demo.network("green", "10.2.0.0/24")
	var all []*asked
	for round := range 3 {
		var lifts []func()
		for _, p := range r.cloud.Pods() {
			for range 2 {
				choices := troubles()
				lifts = append(lifts, choices[rnd.IntN(len(choices))](p, rnd))
			}
		}
		var wg sync.WaitGroup
		for k := range 4 {
			a := &asked{name: fmt.Sprintf("r%dk%d", round, k), min: 1, max: 1 + rnd.IntN(3)}
			a.min += rnd.IntN(a.max)
			body := m{"server": m{"name": a.name, "flavorRef": "1", "imageRef": imageID, "min_count": a.min, "max_count": a.max,
				"availability_zone": "az1", "networks": []m{{"uuid": []string{blue, green}[rnd.IntN(2)]}}}}
			if rnd.IntN(3) == 0 {
				body["os:scheduler_hints"] = m{"tricircle:spread": "pods"}
			}
			all = append(all, a)
			wg.Go(func() { a.got = demo.do("POST", "/compute/v2.1/servers", body) })
		}
		wg.Wait()
		for _, lift := range lifts {
			lift()
		}
	}
	r.settled()
	names := r.sameServers(demo)
	for _, a := range all {
		a.check(t, names)
	}
	demo.remove(demo.servers()...)
	demo.drop(blue)
	demo.drop(green)
	r.clean()
}

// sameServers holds the servers in the pods against the region's list, and returns
// how many have each name.
func (r *region) sameServers(c *client) map[string]int {
	r.t.Helper()
	var inPods []string
	for _, p := range r.cloud.Pods() {
		inPods = append(inPods, p.Inventory()["server"]...)
	}
	slices.Sort(inPods)
	known := slices.Sorted(slices.Values(c.servers()))
	if !slices.Equal(inPods, known) {
		r.t.Errorf("servers in the pods %v, in the region %v", inPods, known)
	}
	names := map[string]int{}
	for _, s := range c.do("GET", "/compute/v2.1/servers", nil).want(r.t, 200).get("servers").Array() {
		names[s.Get("name").Str]++
	}
	eventually(r.t, "all ports are of servers that exist", func() string {
		for _, p := range c.do("GET", "/network/v2.0/ports?device_owner=compute:az1", nil).want(r.t, 200).get("ports").Array() {
			if !slices.Contains(known, p.Get("device_id").Str) {
				return fmt.Sprintf("port %s is of server %s, which nobody knows", p.Get("id").Str, p.Get("device_id").Str)
			}
		}
		return ""
	})
	return names
}

// check holds what the client was told against the servers with the name.
func (a *asked) check(t *testing.T, names map[string]int) {
	t.Helper()
	have := 0
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if name != a.name && !strings.HasPrefix(name, a.name+"-") {
			continue
		}
		if names[name] > 1 {
			t.Errorf("%d servers are called %s", names[name], name)
		}
		have++
	}
	said := fmt.Sprintf("%s for %d to %d servers was told %d (%s), and has %d", a.name, a.min, a.max, a.got.status, a.got.message(), have)
	switch {
	case have > a.max,
		a.got.status == 202 && have < a.min,
		a.got.status == 403 && have > 0 && !strings.Contains(a.got.message(), "are left"):
		t.Error(said)
	case a.got.status != 202 && a.got.status != 403 && a.got.status != 503 && a.got.status != 504:
		t.Error(said)
	}
}
