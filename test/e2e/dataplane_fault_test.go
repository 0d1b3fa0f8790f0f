//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"
)

// faultScene is a router over two pods, with a server in each.
func faultScene(t *testing.T, name string) (s *Scene, router, third string) {
	t.Helper()
	longer(t) // the longer run
	s = newScene(t, name)
	one, two := s.network("one", "10.113.1.0/24"), s.network("two", "10.113.2.0/24")
	third = s.network("third", "10.113.3.0/24")
	router = s.router("faults", one, two)
	s.boot(
		Box{Name: "one1", Zone: "az1", Network: one}, Box{Name: "two2", Zone: "az2", Network: two},
		Box{Name: "third2", Zone: "az2", Network: third}, Box{Name: "third1", Zone: "az1", Network: third},
	)
	s.reach(t, "before", `
		      one1  two2  third2
		one1  -     all   none
		two2  all   -     none
	`)
	return s, router, third
}

// TestDataplanePodAway: a pod's Network API hangs while things are drawn. Packets
// flow on as before; what was drawn meanwhile comes when the pod is back.
func TestDataplanePodAway(t *testing.T) {
	s, router, third := faultScene(t, "away")
	t.Run("away", func(t *testing.T) {
		freeze(t, "pod2-neutron-server*")
		s.attach(router, third)
		s.becomes(t, "what was there flows on", `
			      one1  two2
			one1  -     all
			two2  all   -
		`)
	})
	s.awaitJobs()
	s.renew("third1", "third2")
	s.becomes(t, "the pod is back", `
		        one1  two2  third2  third1
		one1    -     all   all     all
		two2    all   -     all     all
		third2  all   all   -       all
	`)
}

// TestDataplaneAgentStopped: a pod's L3 agent stands still while things are drawn.
func TestDataplaneAgentStopped(t *testing.T) {
	s, router, third := faultScene(t, "agent")
	t.Run("stopped", func(t *testing.T) {
		freeze(t, "pod2-node1-l3-agent")
		s.attach(router, third)
		s.becomes(t, "the other pod's router has the network", `
			        one1  two2
			one1    -     all
			two2    all   -
		`)
	})
	s.renew("third1", "third2")
	s.becomes(t, "the agent goes on", `
		        one1  two2  third2  third1
		one1    -     all   all     all
		two2    all   -     all     all
		third2  all   all   -       all
	`)
}

// TestDataplaneKilled kills the program while it draws, again and again. In the end
// packets flow as drawn, and there is nothing twice.
func TestDataplaneKilled(t *testing.T) {
	s, router, third := faultScene(t, "killed")
	for i, after := range []time.Duration{20, 200, 500, 1000} {
		verb := "add"
		if i%2 == 1 {
			verb = "remove"
		}
		for id, subnet := range s.subnets {
			if subnet.text("network_id") == third {
				s.interfaces(router, verb, object{"subnet_id": id})
			}
		}
		time.Sleep(after * time.Millisecond)
		region.crash(t)
	}
	s.becomes(t, "drawn and taken back, twice", `
		        one1  two2  third2
		one1    -     all   none
		two2    all   -     none
		third2  none  none  -
	`)
	s.attach(router, third)
	region.crash(t)
	s.awaitJobs()
	s.renew("third1", "third2")
	s.becomes(t, "and drawn once more", `
		        one1  two2  third2  third1
		one1    -     all   all     all
		two2    all   -     all     all
		third2  all   all   -       all
	`)
	for _, p := range s.Pods[:2] {
		if n := len(p.list(p.Network, fmt.Sprintf("routers?project_id=%s", s.Project), "routers")); n != 1 {
			t.Errorf("%s has %d routers, want 1", p.Name, n)
		}
	}
}

// awaitJobs waits until nothing is left to do: a pod that was away is asked again
// after a while.
func (s *Scene) awaitJobs() {
	s.t.Helper()
	eventually(s.t, 2*time.Minute, "all jobs done", noJobs)
}
