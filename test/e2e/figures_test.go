//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The tests of this file print figures; they assert that things work, not how
// fast. Machines differ.

// TestLatency measures what Tricircle adds to showing a server.
func TestLatency(t *testing.T) {
	const rounds = 150
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	server := tenant.createServer("e2e-latency", "az1", tenant.uploadImage("e2e-latency"), tenant.networkWithSubnet("e2e-latency", "10.95.0.0/24"))
	tenant.waitActive(server)

	pod := loginTo(t, "alt", "Pod1")
	direct, through := make([]time.Duration, rounds), make([]time.Duration, rounds)
	for i := range rounds { // by turns, so that both see the same load
		direct[i] = timeGet(t, pod, "servers/"+server)
		through[i] = timeGet(t, tenant, "servers/"+server)
	}
	t.Logf("GET /servers/{id}, %d by turns: pod p50 %s p99 %s; through Tricircle p50 %s p99 %s; added p50 %s",
		rounds, percentile(direct, 50), percentile(direct, 99), percentile(through, 50), percentile(through, 99),
		percentile(through, 50)-percentile(direct, 50))
}

// TestWarmCreation counts the calls to pods that creating a server takes when its
// network is in the pod already.
func TestWarmCreation(t *testing.T) {
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	image := tenant.uploadImage("e2e-warm")
	network := tenant.networkWithSubnet("e2e-warm", "10.96.0.0/24")
	first := tenant.createServer("e2e-cold", "az1", image, network)
	tenant.waitActive(first)

	pod := loginTo(t, "alt", "Pod1")
	inPod := pods(t)[0].list(pod.Network, "networks?name=e2e-warm", "networks")[0].text("id")
	const rounds = 5
	var direct, through []time.Duration
	var calls float64
	for i := range rounds {
		began := time.Now()
		s := pod.createServer(fmt.Sprintf("e2e-direct-%d", i), "nova", image, inPod)
		direct = append(direct, time.Since(began))
		pod.deleteServer(s)

		before := podCalls(t)
		began = time.Now()
		tenant.createServer(fmt.Sprintf("e2e-warm-%d", i), "az1", image, network)
		through = append(through, time.Since(began))
		calls += podCalls(t) - before
	}
	t.Logf("POST /servers, warm, %d times: pod p50 %s; through Tricircle p50 %s with %.1f pod calls",
		rounds, percentile(direct, 50), percentile(through, 50), calls/rounds)
}

// TestMemory shows the process's size after many requests.
func TestMemory(t *testing.T) {
	const requests, workers = 10_000, 16
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	network := tenant.networkWithSubnet("e2e-memory", "10.97.0.0/24")
	t.Logf("before: %s", region.memory(t))
	began := time.Now()
	var wait sync.WaitGroup
	failed := make([]error, workers)
	for w := range workers {
		wait.Go(func() {
			for range requests / workers {
				// Tricircle's own data and a merged list, mixed, so that the pods bear it.
				if err := fetch(tenant, tenant.Network.ServiceURL("networks", network)); err != nil {
					failed[w] = err
				}
			}
			if err := fetch(tenant, tenant.Compute.ServiceURL("servers", "detail")); err != nil {
				failed[w] = err
			}
		})
	}
	wait.Wait()
	for _, err := range failed {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("after %d requests in %s: %s", requests+workers, time.Since(began).Round(time.Second), region.memory(t))
}

func (u *Tenant) networkWithSubnet(name, cidr string) string {
	u.t.Helper()
	network := u.createNetwork(name)
	u.createSubnet(network, cidr)
	return network
}

func timeGet(t *testing.T, u *Tenant, path string) time.Duration {
	t.Helper()
	began := time.Now()
	if err := fetch(u, u.Compute.ServiceURL(path)); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

func fetch(u *Tenant, url string) error {
	req, err := http.NewRequestWithContext(live(u.t), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Auth-Token", u.Compute.Token())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s %s", url, resp.Status, body)
	}
	return err
}

func percentile(all []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)].Round(100 * time.Microsecond)
}

// podCalls sums the program's own count of calls to pods.
func podCalls(t *testing.T) float64 {
	t.Helper()
	resp := must(http.Get(region.Operations + "/metrics"))(t)
	defer resp.Body.Close()
	var sum float64
	for line := range strings.Lines(string(must(io.ReadAll(resp.Body))(t))) {
		if !strings.HasPrefix(line, "tricircle_pod_request_seconds_count") {
			continue
		}
		var n float64
		if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// memory is the resident size of the program.
func (r *Region) memory(t *testing.T) string {
	t.Helper()
	b := must(os.ReadFile(fmt.Sprintf("/proc/%d/status", r.process.Process.Pid)))(t)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return "resident " + strings.TrimSpace(rest)
		}
	}
	return "unknown"
}
