//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2"
)

// Pod is one of the clouds, seen without Tricircle: by its admin.
type Pod struct {
	*Tenant
	Name, Region string
}

func pods(t *testing.T) []Pod {
	t.Helper()
	return []Pod{
		{Tenant: loginTo(t, "admin", "Pod1"), Name: "pod1", Region: "Pod1"},
		{Tenant: loginTo(t, "admin", "Pod2"), Name: "pod2", Region: "Pod2"},
	}
}

// object is a resource of a pod in whatever shape its service gives it.
type object map[string]any

func (o object) text(key string) string {
	s, _ := o[key].(string)
	return s
}

// list reads a whole list; the pods' quotas keep it on one page.
func (p Pod) list(c *gophercloud.ServiceClient, path, key string) []object {
	p.t.Helper()
	var all []object
	if err := json.Unmarshal(get[map[string]json.RawMessage](p.t, c, path)[key], &all); err != nil {
		p.t.Fatalf("GET %s: %v", path, err)
	}
	return all
}

// Inventory is what a tenant has in a pod: "kind name id" of each thing.
type Inventory []string

// inventory lists what belongs to the tenant, and what belongs to nobody but was
// made by Tricircle. The default security group is the pod's own: Neutron makes
// one for every project that it hears of, and it cannot be deleted.
func (p Pod) inventory(project string) Inventory {
	p.t.Helper()
	all := Inventory{}
	for _, kind := range []struct {
		client    *gophercloud.ServiceClient
		path, key string
	}{
		{p.Network, "networks", "networks"},
		{p.Network, "subnets", "subnets"},
		{p.Network, "ports", "ports"},
		{p.Network, "security-groups", "security_groups"},
		{p.Compute, "servers/detail?all_tenants=1", "servers"},
		{p.Volume, "volumes/detail?all_tenants=1", "volumes"},
		{p.Image, "images?limit=1000", "images"},
	} {
		for _, o := range p.list(kind.client, kind.path, kind.key) {
			own := kind.key == "security_groups" && o.text("name") == "default"
			if o.belongsTo(project) && !own {
				all = append(all, strings.Join([]string{kind.key, o.text("name"), o.text("id")}, " "))
			}
		}
	}
	slices.Sort(all)
	return all
}

func (o object) belongsTo(project string) bool {
	for _, key := range []string{"project_id", "tenant_id", "owner", "os-vol-tenant-attr:tenant_id"} {
		if owner := o.text(key); owner != "" {
			return owner == project
		}
	}
	return strings.HasPrefix(o.text("description"), "tricircle:")
}

// inventories of all pods, by pod.
func inventories(t *testing.T, project string) map[string]Inventory {
	t.Helper()
	all := map[string]Inventory{}
	for _, p := range pods(t) {
		all[p.Name] = p.inventory(project)
	}
	return all
}

// leavesNothing compares, at the end of the test, what the tenant has in the pods
// with what it had when this was called; jobs may still be busy, so it waits.
func leavesNothing(t *testing.T, tenant *Tenant) {
	t.Helper()
	before := inventories(t, tenant.Project)
	t.Cleanup(func() {
		eventuallyEqual(t, "what the tenant has in the pods", before, func() map[string]Inventory {
			return inventories(t, tenant.Project)
		})
	})
}

func eventuallyEqual[T any](t *testing.T, what string, want T, got func() T) {
	t.Helper()
	var diff string
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if poll(ctx, func() error {
		diff = cmp.Diff(want, got())
		if diff != "" {
			return errors.New("they differ")
		}
		return nil
	}) != nil {
		t.Errorf("%s differ (-want +got):\n%s", what, diff)
	}
}

// portByMark finds our port in the pod.
func (p Pod) portByMark(id string) object {
	p.t.Helper()
	found := p.list(p.Network, "ports?description=tricircle:port:"+id, "ports")
	if len(found) != 1 {
		p.t.Fatalf("%s has %d ports for port %s, want 1", p.Name, len(found), id)
	}
	return found[0]
}

// networkByMark finds our network in the pod.
func (p Pod) networkByMark(id string) (object, error) {
	p.t.Helper()
	found := p.list(p.Network, "networks?description=tricircle:network:"+id, "networks")
	if len(found) != 1 {
		return nil, fmt.Errorf("%d networks carry the mark of %s, want 1", len(found), id)
	}
	return found[0], nil
}

func (p Pod) hasNetwork(id, name string) error {
	p.t.Helper()
	network, err := p.networkByMark(id)
	if err == nil && network.text("name") != name {
		err = fmt.Errorf("its name is %s, want %s", network.text("name"), name)
	}
	return err
}

// testbed runs a command of the testbed.
func testbed(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(live(t), "../../testbed/testbed.py", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("testbed.py %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Guest is a namespace that acts as a server: the clouds' hypervisor runs none.
type Guest struct {
	t               *testing.T
	host, namespace string
	Address         string // leased from the pod's DHCP server
}

var (
	guestPlace = regexp.MustCompile(`namespace (\S+) on (\S+),`)
	guestLease = regexp.MustCompile(`(?m)^([0-9.]+)/\d+ router=`)
)

// plug makes a guest of a port of the pod and waits for its lease.
func plug(t *testing.T, pod, podPort string) Guest {
	t.Helper()
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if out, err := exec.Command("../../testbed/testbed.py", "vm", "unplug", pod, podPort).CombinedOutput(); err != nil {
			t.Errorf("vm unplug: %v\n%s", err, out)
		}
	})
	out := testbed(t, "vm", "plug", pod, podPort)
	place, lease := guestPlace.FindStringSubmatch(out), guestLease.FindStringSubmatch(out)
	if place == nil || lease == nil {
		t.Fatalf("no lease for port %s of %s:\n%s", podPort, pod, out)
	}
	return Guest{t: t, namespace: place[1], host: place[2], Address: lease[1]}
}

func (g Guest) ping(address string) error {
	args := []string{"exec", g.host, "ip", "netns", "exec", g.namespace, "ping", "-c", "1", "-W", "1", address}
	return exec.CommandContext(live(g.t), "../../testbed/testbed.py", args...).Run()
}

func decode(t *testing.T, resp *http.Response, out any) {
	t.Helper()
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		t.Fatal(err)
	}
}
