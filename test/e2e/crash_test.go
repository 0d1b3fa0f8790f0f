//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// TestCrash kills the program at different moments of creating a server. After
// each restart the server is there once, or not at all, and the region knows all
// that the pods have.
func TestCrash(t *testing.T) {
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	image := tenant.uploadImage("e2e-crash")
	network := tenant.networkWithSubnet("e2e-crash", "10.98.0.0/24")
	// With the network in both pods, the moments are those of the server itself.
	tenant.waitActive(tenant.createServer("e2e-warm-1", "az1", image, network), tenant.createServer("e2e-warm-2", "az2", image, network))

	moments := []time.Duration{30, 100, 300, 600, 1000, 1500, 2500}
	for i, after := range moments {
		name := fmt.Sprintf("e2e-crash-%d", i)
		created := make(chan struct{})
		go func() {
			defer close(created)
			servers.Create(live(t), tenant.Compute, servers.CreateOpts{
				Name: name, ImageRef: image, FlavorRef: flavorID, AvailabilityZone: []string{"az1", "az2"}[i%2],
				Networks: []servers.Network{{UUID: network}},
			}, nil)
		}()
		select {
		case <-time.After(after * time.Millisecond):
		case <-created:
		}
		region.crash(t)
		<-created
	}

	// A crash leaves the question whether the pod's reply was lost; it is asked
	// again after some minutes, and then what was made for nothing is freed.
	eventually(t, 6*time.Minute, "all is as if nothing had happened", func() error {
		want, got := serversInPods(t, tenant.Project), serversOf(t, tenant)
		if diff := cmp.Diff(want, got); diff != "" {
			return errors.New("servers (-pods +region):\n" + diff)
		}
		if n := len(tenant.portsOn(network)); n != len(got) {
			return fmt.Errorf("%d ports for %d servers", n, len(got))
		}
		return nil
	})
	seen := map[string]bool{}
	for _, s := range serversOf(t, tenant) {
		name, id, _ := strings.Cut(s, " ")
		if seen[name] {
			t.Errorf("there are two servers %s", name)
		}
		seen[name] = true
		tenant.deleteServer(id)
	}
	t.Logf("%d of %d servers were made in spite of the crash", len(seen)-2, len(moments))
}

// serversOf lists "name id" of the tenant's servers.
func serversOf(t *testing.T, tenant *Tenant) []string {
	t.Helper()
	pages := must(servers.List(tenant.Compute, servers.ListOpts{}).AllPages(live(t)))(t)
	all := []string{}
	for _, s := range must(servers.ExtractServers(pages))(t) {
		all = append(all, s.Name+" "+s.ID)
	}
	slices.Sort(all)
	return all
}

func serversInPods(t *testing.T, project string) []string {
	t.Helper()
	all := []string{}
	for _, p := range pods(t) {
		for _, thing := range p.inventory(project) {
			if server, ok := strings.CutPrefix(thing, "servers "); ok {
				all = append(all, server)
			}
		}
	}
	slices.Sort(all)
	return all
}
