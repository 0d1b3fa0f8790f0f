//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// TestCrash kills the program at different moments of creating a server and a volume.
// After each restart either is there once, or not at all, and the region knows all
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
		name, zone := fmt.Sprintf("e2e-crash-%d", i), []string{"az1", "az2"}[i%2]
		var creations sync.WaitGroup
		creations.Go(func() {
			servers.Create(live(t), tenant.Compute, servers.CreateOpts{
				Name: name, ImageRef: image, FlavorRef: flavorID, AvailabilityZone: zone,
				Networks: []servers.Network{{UUID: network}},
			}, nil)
		})
		creations.Go(func() {
			volumes.Create(live(t), tenant.Volume, volumes.CreateOpts{Name: name, Size: 1, AvailabilityZone: zone}, nil)
		})
		created := make(chan struct{})
		go func() {
			defer close(created)
			creations.Wait()
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
		want, got := madeInPods(t, tenant.Project), madeBy(t, tenant)
		if diff := cmp.Diff(want, got); diff != "" {
			return errors.New("servers and volumes (-pods +region):\n" + diff)
		}
		booted := slices.DeleteFunc(got, func(thing string) bool { return !strings.HasPrefix(thing, "servers ") })
		if n := len(tenant.portsOn(network)); n != len(booted) {
			return fmt.Errorf("%d ports for %d servers", n, len(booted))
		}
		return nil
	})
	made := map[string]int{}
	for _, thing := range madeBy(t, tenant) {
		kind, rest, _ := strings.Cut(thing, " ")
		name, id, _ := strings.Cut(rest, " ")
		if made[kind+" "+name]++; made[kind+" "+name] == 2 {
			t.Errorf("of %s there are two called %s", kind, name)
		}
		made[kind]++
		if kind == "servers" {
			tenant.deleteServer(id)
			continue
		}
		tenant.gone("volume", id, volumes.Delete(live(t), tenant.Volume, id, nil).ExtractErr())
	}
	t.Logf("of %d each, %d servers and %d volumes were made in spite of the crash", len(moments), made["servers"]-2, made["volumes"])
}

// madeBy lists the tenant's servers and volumes as an inventory does.
func madeBy(t *testing.T, tenant *Tenant) []string {
	t.Helper()
	all := []string{}
	pages := must(servers.List(tenant.Compute, servers.ListOpts{}).AllPages(live(t)))(t)
	for _, s := range must(servers.ExtractServers(pages))(t) {
		all = append(all, strings.Join([]string{"servers", s.Name, s.ID}, " "))
	}
	pages = must(volumes.List(tenant.Volume, volumes.ListOpts{}).AllPages(live(t)))(t)
	for _, v := range must(volumes.ExtractVolumes(pages))(t) {
		all = append(all, strings.Join([]string{"volumes", v.Name, v.ID}, " "))
	}
	slices.Sort(all)
	return all
}

func madeInPods(t *testing.T, project string) []string {
	t.Helper()
	all := []string{}
	for _, p := range pods(t) {
		for _, thing := range p.inventory(project) {
			if strings.HasPrefix(thing, "servers ") || strings.HasPrefix(thing, "volumes ") {
				all = append(all, thing)
			}
		}
	}
	slices.Sort(all)
	return all
}
