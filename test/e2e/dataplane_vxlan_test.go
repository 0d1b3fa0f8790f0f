//go:build e2e

package e2e

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// TestDataplaneVXLAN has one network in the pods' own tunnels, whose operators grant
// their message buses: everybody reaches everybody, by both versions of IP, with
// packets as large as tunnels bear, and nobody whom a group keeps out. When the network goes,
// so do the agents that were played for it. A pod whose operator grants nothing has no
// server of it.
func TestDataplaneVXLAN(t *testing.T) {
	longer(t)
	s := newScene(t, "vxlan")
	grantBus(t, "pod1", "pod2")
	tunnel := s.Admin.create("network", object{"name": "tunnel", "project_id": s.Project, "provider:network_type": "vxlan"})
	wide := tunnel.text("id")
	s.subnet(wide, "10.112.0.0/24")
	s.subnet(wide, "2001:db8:112::/64")
	shut := s.group("shut")
	s.boot(
		Box{Name: "a1", Zone: "az1", Network: wide},
		Box{Name: "b1", Zone: "az1", Network: wide},
		Box{Name: "a2", Zone: "az2", Network: wide},
		Box{Name: "shut2", Zone: "az2", Network: wide, Groups: []string{shut}},
	)
	s.reach(t, "tunnels between two pods", `
		       a1   b1   a2   shut2
		a1     -    all  all  none
		b1     all  -    all  none
		a2     all  all  -    none
		shut2  all  all  all  -
	`)
	t.Run("large packets", func(t *testing.T) { s.largePackets(t, 1450, "a1", "a2") })
	t.Run("without a grant", func(t *testing.T) {
		_, err := servers.Create(live(t), s.Compute, s.describe(Box{Name: "a3", Zone: "az3", Network: wide}), nil).Extract()
		if !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) || !strings.Contains(err.Error(), wide) {
			t.Errorf("a server in az3: %v, want a 400 that names the network", err)
		}
	})
}

// grantBus has the pods' operators grant their message buses, until the test ends and
// no agent is played any more.
func grantBus(t *testing.T, pods ...string) {
	t.Helper()
	set := func(pod, where string) {
		if out, err := region.tricircle("pod", "set", pod, "--message-bus", where); err != nil {
			t.Errorf("pod set %s --message-bus: %v\n%s", pod, err, out)
		}
	}
	for _, pod := range pods {
		file := filepath.Join(t.TempDir(), pod)
		if err := os.WriteFile(file, []byte("amqp://tb:secret@127.0.0.10:5672/"+pod), 0o600); err != nil {
			t.Fatal(err)
		}
		set(pod, "file:"+file)
	}
	t.Cleanup(func() {
		eventually(t, 2*time.Minute, "no agent is played", func() error { return playedAgents(t) })
		for _, pod := range pods {
			set(pod, "")
		}
	})
}

// playedAgents are an error, if pods have some.
func playedAgents(t *testing.T) error {
	var found []string
	for _, p := range pods(t) {
		for _, a := range p.list(p.Network, "agents", "agents") {
			if host := a.text("host"); strings.HasPrefix(host, "tricircle-") {
				found = append(found, p.Name+": "+host)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	return errors.New(strings.Join(found, ", "))
}
