//go:build e2e

package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

// Pod is one of the clouds, seen without Tricircle: by its admin.
type Pod struct {
	*Tenant
	Name, Region string
}

func pods(t *testing.T) []Pod {
	t.Helper()
	var all []Pod
	for _, name := range podNames() {
		in := keystoneRegion(name)
		all = append(all, Pod{Tenant: loginTo(t, "admin", in), Name: name, Region: in})
	}
	return all
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
		{p.Network, "routers", "routers"},
		{p.Network, "floatingips", "floatingips"},
		{p.Compute, "servers/detail?all_tenants=1", "servers"},
		{p.Volume, "volumes/detail?all_tenants=1", "volumes"},
		{p.Image, "images?limit=1000", "images"},
	} {
		for _, o := range p.list(kind.client, kind.path, kind.key) {
			own := kind.key == "security_groups" && o.text("name") == "default"
			if (o.belongsTo(project) || o.onOurWire()) && !own {
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

// onOurWire says whether it is a network on a VLAN of the region: whose it is does
// not matter, as bridges belong to no tenant.
func (o object) onOurWire() bool {
	vlan, _ := o["provider:segmentation_id"].(float64)
	return o.text("provider:physical_network") == "bridge" && vlan >= 301 && vlan <= 400
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

// leavesNothing looks, at the end of the test, that the pods have nothing of the
// tenant's, or on the region's wire, that they did not have when this was called.
// Jobs may still be busy, and so may tests beside this one, whose networks are on
// the same wire: it waits.
func leavesNothing(t *testing.T, tenant *Tenant) {
	t.Helper()
	before := inventories(t, tenant.Project)
	t.Cleanup(func() {
		eventually(t, 4*time.Minute, "nothing new is left in the pods", func() error {
			var left []string
			for pod, all := range inventories(t, tenant.Project) {
				for _, thing := range all {
					if !slices.Contains(before[pod], thing) {
						left = append(left, pod+": "+thing)
					}
				}
			}
			if len(left) > 0 {
				return errors.New(strings.Join(left, ", "))
			}
			return nil
		})
	})
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

// testbedState is the folder where the testbed keeps what its services need.
func testbedState() string {
	return cmp.Or(os.Getenv("TRICIRCLE_TESTBED_DIR"), "/var/tmp/tricircle-testbed")
}

// testbed runs a command of the testbed.
func testbed(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(live(t), "../../testbed/testbed.py", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("testbed.py %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func decode(t *testing.T, resp *http.Response, out any) {
	t.Helper()
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		t.Fatal(err)
	}
}
