//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestClientLife walks through the life of a server with the client, in the zone whose
// pod gets the image first.
func TestClientLife(t *testing.T) {
	leavesNothing(t, login(t, "alt"))
	c := session(t, "alt")
	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run("image create --disk-format raw --file " + file + " cli-life")
	c.atEnd("image delete cli-life")
	c.run("network create cli-life")
	c.atEnd("network delete cli-life")
	c.run("subnet create --network cli-life --subnet-range 10.94.0.0/24 cli-life")
	c.life("az2", "cli-az2")
}

// life makes one server in the zone, does to it what users do, and deletes it.
func (c Client) life(zone, name string) {
	c.run("--os-compute-api-version 2.64 server group create --policy soft-affinity " + name)
	group := c.show("server group show " + name).text("id")
	c.run("server create --wait --image cli-life --flavor m1.tiny --network cli-life --availability-zone " + zone +
		" --hint group=" + group + " " + name)
	c.wantShown("server show "+name, "OS-EXT-AZ:availability_zone", zone)
	if members := fmt.Sprint(c.show("server group show " + name)["members"]); !strings.Contains(members, c.show("server show "+name).text("id")) {
		c.t.Errorf("members of the group are %s, want the server", members)
	}
	for _, step := range []struct{ act, status string }{
		{"pause", "PAUSED"}, {"unpause", "ACTIVE"}, {"suspend", "SUSPENDED"}, {"resume", "ACTIVE"},
		{"rescue", "RESCUE"}, {"unrescue", "ACTIVE"}, {"shelve", "SHELVED_OFFLOADED"}, {"unshelve", "ACTIVE"},
	} {
		c.run("server " + step.act + " " + name)
		c.becomes(name, step.status)
	}
	c.run("server resize --wait --flavor m1.small " + name)
	c.becomes(name, "VERIFY_RESIZE")
	c.run("server resize confirm " + name)
	c.becomes(name, "ACTIVE")
	if flavor := fmt.Sprint(c.show("server show " + name)["flavor"]); !strings.Contains(flavor, "m1.small") {
		c.t.Errorf("flavor after the resize is %s, want m1.small", flavor)
	}
	c.run("server rebuild --wait --image cli-life " + name)
	c.run("server lock " + name)
	c.run("server unlock " + name)
	c.run("--os-compute-api-version 2.26 server set --tag life " + name)
	c.wantListed("--os-compute-api-version 2.26 server list --tags life", "Name", name)
	c.run("console log show " + name)
	c.wantListed("server event list "+name, "Action", "create", "resize", "rebuild", "shelve")
	c.volumes(zone, name)
	c.run("server delete --wait " + name)
	c.run("server group delete " + name)
}

// volumes attaches a volume of the server's zone, and is refused one of another.
func (c Client) volumes(zone, name string) {
	elsewhere := map[string]string{"az1": "az2", "az2": "az1"}[zone]
	c.run("volume create --size 1 --availability-zone " + zone + " " + name)
	c.run("volume create --size 1 --availability-zone " + elsewhere + " " + name + "-far")
	available := func(volume string) {
		c.t.Helper()
		eventually(c.t, time.Minute, volume+" available", func() error {
			if got := c.show("volume show " + volume).text("status"); got != "available" {
				return fmt.Errorf("status is %s", got)
			}
			return nil
		})
	}
	available(name)
	available(name + "-far")
	c.run("server add volume " + name + " " + name)
	c.wantListed("server volume list "+name, "Volume ID", c.show("volume show "+name).text("id"))
	if said := c.refused("server add volume " + name + " " + name + "-far"); !strings.Contains(said, "az1") || !strings.Contains(said, "az2") {
		c.t.Errorf("a volume of another zone is refused with %q, want both zones named", said)
	}
	c.run("server remove volume " + name + " " + name)
	available(name)
	c.run("volume delete " + name + " " + name + "-far")
}
