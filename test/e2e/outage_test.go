//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestPodHangs stops a pod's Compute and Network API dead: they accept
// connections and never answer, the worst way to be away. The region's list still
// answers, with a placeholder for the server there, and says which pod is
// missing; what must happen in the pod waits and happens when it is back.
func TestPodHangs(t *testing.T) {
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	image := tenant.uploadImage("e2e-outage")
	network := tenant.createNetwork("e2e-outage")
	tenant.createSubnet(network, "10.94.0.0/24")
	a := tenant.createServer("e2e-here", "az1", image, network)
	b := tenant.createServer("e2e-there", "az2", image, network)
	tenant.waitActive(a, b)

	t.Run("away", func(t *testing.T) {
		freeze(t, "pod2-nova-api*", "pod2-neutron-server*")
		got, header := serverStatuses(t, tenant)
		if got[a] != "ACTIVE" || got[b] != "UNKNOWN" {
			t.Errorf("statuses = %v, want %s ACTIVE and %s UNKNOWN", got, a, b)
		}
		if !strings.Contains(header, "pod2") {
			t.Errorf("headers do not name pod2: %s", header)
		}
		// A new name for the network must reach both pods, sooner or later.
		Client{t: t, Cloud: "alt"}.run("network set --name e2e-outage-renamed e2e-outage")
		eventually(t, 2*time.Minute, "a job that says what it waits for", func() error { return jobWaits(network) })
	})

	for _, p := range pods(t) {
		eventually(t, 90*time.Second, p.Name+" knows the new name", func() error { return p.hasNetwork(network, "e2e-outage-renamed") })
	}
	eventually(t, time.Minute, "server of pod2 shown again", func() error { return tenant.isActive(b) })
}

// jobWaits looks for a job of the network that says in words what pod2 lacks.
func jobWaits(network string) error {
	out, err := region.tricircle("job", "list", "--pod", "pod2", "--resource", network, "-f", "json")
	if err != nil {
		return fmt.Errorf("job list: %w: %s", err, out)
	}
	var jobs []struct{ State, Reason string }
	if err := json.Unmarshal([]byte(out), &jobs); err != nil {
		return err
	}
	for _, j := range jobs {
		if strings.Contains(j.Reason, "pod2") {
			return nil
		}
	}
	return fmt.Errorf("jobs are %s", out)
}

// freeze stops processes until the test ends.
func freeze(t *testing.T, patterns ...string) {
	t.Helper()
	t.Cleanup(func() { testbed(t, append([]string{"stop", "--signal", "CONT"}, patterns...)...) })
	testbed(t, append([]string{"stop", "--signal", "STOP"}, patterns...)...)
}

// serverStatuses lists the servers at a microversion with placeholders, and
// returns the reply's headers as text.
func serverStatuses(t *testing.T, tenant *Tenant) (map[string]string, string) {
	t.Helper()
	req := must(http.NewRequestWithContext(live(t), http.MethodGet, tenant.Compute.ServiceURL("servers", "detail"), nil))(t)
	req.Header.Set("X-Auth-Token", tenant.Compute.Token())
	req.Header.Set("OpenStack-API-Version", "compute "+microversion)
	began := time.Now()
	resp := must(http.DefaultClient.Do(req))(t)
	var list struct {
		Servers []struct{ ID, Status string }
	}
	decode(t, resp, &list)
	t.Logf("the list took %s while a pod hung", time.Since(began).Round(time.Millisecond))
	all := map[string]string{}
	for _, s := range list.Servers {
		all[s.ID] = s.Status
	}
	header := must(json.Marshal(resp.Header))(t)
	return all, string(header)
}
