//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Client is the public command line client, used as a tenant of the region.
type Client struct {
	t       *testing.T
	Cloud   string
	session *Session // none: a process for each command, as for those that begin with an option
}

// in is the client in a part of the test.
func (c Client) in(t *testing.T) Client {
	c.t = t
	return c
}

// ask runs a command. The command line is one string: no argument here has a space.
func (c Client) ask(line string) reply {
	c.t.Helper()
	if c.session != nil && !strings.HasPrefix(line, "-") {
		return must(c.session.ask(line))(c.t)
	}
	cmd := exec.CommandContext(live(c.t), "/usr/bin/openstack", strings.Fields(line)...)
	cmd.Env = append(os.Environ(), "OS_CLIENT_CONFIG_FILE="+region.Clouds, "OS_CLOUD="+c.Cloud)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		c.t.Fatalf("openstack %s: %v", line, err)
	}
	return reply{cmd.ProcessState.ExitCode(), out.String(), said.String()}
}

// run fails the test when the command fails.
func (c Client) run(line string) string {
	c.t.Helper()
	r := c.ask(line)
	if r.Code != 0 {
		c.t.Fatalf("openstack %s: exit code %d\n%s%s", line, r.Code, r.Out, r.Said)
	}
	return r.Out
}

// refused expects the command to fail, and returns what it says.
func (c Client) refused(line string) string {
	c.t.Helper()
	r := c.ask(line)
	if r.Code == 0 {
		c.t.Errorf("openstack %s succeeds, want a refusal\n%s", line, r.Out)
	}
	return r.Out + r.Said
}

// show runs a command that prints one thing.
func (c Client) show(line string) object {
	c.t.Helper()
	return parse[object](c, line)
}

// list runs a command that prints a table, and returns one of its columns.
func (c Client) list(line, column string) []string {
	c.t.Helper()
	var all []string
	for _, row := range parse[[]object](c, line) {
		all = append(all, row.text(column))
	}
	return all
}

func parse[T any](c Client, line string) T {
	c.t.Helper()
	out := c.run(line + " -f json")
	var v T
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		c.t.Fatalf("openstack %s: %v\n%s", line, err, out)
	}
	return v
}

func (c Client) wantListed(line, column string, want ...string) {
	c.t.Helper()
	got := c.list(line, column)
	for _, w := range want {
		if !slices.Contains(got, w) {
			c.t.Errorf("openstack %s: %s = %q, want %q among them", line, column, got, w)
		}
	}
}

func (c Client) wantShown(line, field, want string) object {
	c.t.Helper()
	o := c.show(line)
	if got := fmt.Sprint(o[field]); got != want {
		c.t.Errorf("openstack %s: %s = %q, want %q", line, field, got, want)
	}
	return o
}

// becomes waits for a server's status.
func (c Client) becomes(server, status string) {
	c.t.Helper()
	eventually(c.t, time.Minute, server+" "+status, func() error {
		if got := c.show("server show " + server).text("status"); got != status {
			return fmt.Errorf("status is %s", got)
		}
		return nil
	})
}

// atEnd runs a command at the end of the test, whatever became of it.
func (c Client) atEnd(line string) {
	c.t.Cleanup(func() {
		if r := c.ask(line); r.Code != 0 {
			c.t.Errorf("openstack %s: exit code %d\n%s%s", line, r.Code, r.Out, r.Said)
		}
	})
}

// TestClientNetworks walks through the client's network commands.
func TestClientNetworks(t *testing.T) {
	leavesNothing(t, login(t, "alt"))
	c := session(t, "alt")

	c.run("network create cli-net")
	c.atEnd("network delete cli-net-2")
	c.run("network set --name cli-net-2 --description renamed cli-net")
	c.wantListed("network list", "Name", "cli-net-2")
	c.wantShown("network show cli-net-2", "description", "renamed")

	c.run("subnet create --network cli-net-2 --subnet-range 10.92.0.0/24 cli-subnet")
	c.run("subnet set --dns-nameserver 192.0.2.53 cli-subnet")
	c.wantListed("subnet list --network cli-net-2", "Subnet", "10.92.0.0/24")
	c.wantShown("subnet show cli-subnet", "gateway_ip", "10.92.0.1")
	c.refused("subnet create --network cli-net-2 --subnet-range 10.92.0.128/25 cli-overlap")

	c.run("port create --network cli-net-2 --fixed-ip subnet=cli-subnet,ip-address=10.92.0.77 cli-port")
	c.atEnd("port delete cli-port-2")
	c.run("port set --name cli-port-2 cli-port")
	c.wantListed("port list --network cli-net-2", "Name", "cli-port-2")
	c.wantShown("port show cli-port-2", "status", "DOWN")
	c.refused("port create --network cli-net-2 --fixed-ip ip-address=10.92.0.77 cli-double")
	c.refused("network delete cli-net-2")
}

// TestClientServers walks through the client's server commands.
func TestClientServers(t *testing.T) {
	leavesNothing(t, login(t, "alt"))
	c := session(t, "alt")

	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run("image create --disk-format raw --file " + file + " cli-image")
	c.atEnd("image delete cli-image")
	c.wantListed("image list", "Name", "cli-image")
	c.wantShown("image show cli-image", "status", "active")

	c.run("keypair create cli-key")
	c.atEnd("keypair delete cli-key")
	c.wantListed("keypair list", "Name", "cli-key")
	c.wantListed("flavor list", "Name", "m1.tiny", "m1.small")
	c.wantListed("availability zone list --compute", "Zone Name", "az1", "az2")
	c.wantListed("limits show --absolute", "Name", "maxTotalInstances", "totalInstancesUsed")
	c.run("volume list")

	c.run("network create cli-servers")
	c.atEnd("network delete cli-servers")
	c.run("subnet create --network cli-servers --subnet-range 10.93.0.0/24 cli-servers")
	c.run("port create --network cli-servers cli-servers")
	c.atEnd("port delete cli-servers")

	const create = "server create --wait --image cli-image --flavor m1.tiny "
	t.Cleanup(func() { c.run("server delete --wait " + strings.Join(c.list("server list", "ID"), " ")) })
	c.run(create + "--network cli-servers --key-name cli-key --property colour=red --availability-zone az1 cli-a")
	c.run(create + "--port cli-servers --availability-zone az2 cli-az2")
	network := c.show("network show cli-servers").text("id")
	c.run(create + "--nic net-id=" + network + ",v4-fixed-ip=10.93.0.99 --availability-zone az2 cli-fixed")
	// The client's own default is microversion 2.1, which knows no "none".
	const bare = "--os-compute-api-version 2.37 " + create + "--nic none "
	c.run(bare + "cli-bare")
	c.run("server set --name cli-az1 cli-a")

	c.wantListed("server list", "Name", "cli-az1", "cli-az2", "cli-fixed", "cli-bare")
	c.wantListed("port list --server cli-az2", "Name", "cli-servers")
	one := c.wantShown("server show cli-az1", "OS-EXT-AZ:availability_zone", "az1")
	if got := one.text("key_name"); got != "cli-key" {
		t.Errorf("key_name = %q, want cli-key", got)
	}
	if properties, _ := one["properties"].(map[string]any); len(properties) != 1 || properties["colour"] != "red" {
		t.Errorf("properties = %v, want just colour=red", one["properties"])
	}
	fixed, _ := c.show("server show cli-fixed")["addresses"].(map[string]any)
	if list, _ := fixed["cli-servers"].([]any); len(list) != 1 || list[0] != "10.93.0.99" {
		t.Errorf("addresses = %v, want cli-servers=10.93.0.99", fixed)
	}

	c.run("server stop cli-az1")
	c.becomes("cli-az1", "SHUTOFF")
	c.run("server start cli-az1")
	c.becomes("cli-az1", "ACTIVE")
	c.run("server reboot --hard --wait cli-az1")
	c.wantShown("server show cli-az1", "status", "ACTIVE")
	if said := c.refused(bare + "--availability-zone nowhere cli-nowhere"); !strings.Contains(said, "availability zone is not available") {
		t.Errorf("an unknown zone is refused with %q, want Nova's words", said)
	}
}
