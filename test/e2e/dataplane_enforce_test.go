//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/test/e2e/matrix"
)

var enforcements = flag.Int("enforcements", 4, "how often TestDataplaneEnforcement has a member join and leave a group")

// enforcedWithin is how long a change may take. The agents look for work every two
// seconds, and a busy Neutron takes its time.
const enforcedWithin = 2 * time.Minute

// TestDataplaneEnforcement measures the time from a change of a group's members, as the
// tenant asks for it, until the pods' APIs show it, and until packets show it, in
// the member's own pod, where Neutron alone is at work, and in the others.
func TestDataplaneEnforcement(t *testing.T) {
	longer(t)
	s := newScene(t, "enforce")
	net := s.network("enforce", "10.113.0.0/24", "2001:db8:113::/64")
	asks, lone := s.group("asks"), s.group("lone")
	serves := s.group("serves", "ingress IPv4 tcp/80 remote_group_id="+asks, "ingress IPv6 tcp/80 remote_group_id="+asks)
	boxes := []Box{
		{Name: "member", Zone: "az1", Network: net, Groups: []string{lone}},
		{Name: "other", Zone: "az1", Network: net, Groups: []string{asks}}, // so that the group is known everywhere
	}
	servers := []string{}
	for i := range len(podNames()) {
		servers = append(servers, fmt.Sprintf("serves%d", i+1))
		boxes = append(boxes, Box{Name: servers[i], Zone: fmt.Sprintf("az%d", i+1), Network: net, Groups: []string{serves}})
	}
	s.boot(boxes...)
	s.becomes(t, "before", "\t"+strings.Join(servers, " ")+"\n"+
		"member"+strings.Repeat(" none", len(servers))+"\nother"+strings.Repeat(" tcp,tcp6", len(servers)))

	times := enforcementTimes{}
	for range *enforcements {
		s.enforce(t, times, "joins", asks, servers)
		s.enforce(t, times, "leaves", lone, servers)
	}
	t.Logf("%s: seconds from the request to enforcement\n%s", t.Name(), times.table())
}

// enforce has the member change its group, and waits until everybody knows.
func (s *Scene) enforce(t *testing.T, times enforcementTimes, verb, group string, servers []string) {
	t.Helper()
	member := s.guests["member"]
	joins := verb == "joins"
	began := time.Now()
	s.update("port", member.Port, object{"security_groups": []string{group}})
	times.add(verb, "", "the request itself", time.Since(began))
	var mu sync.Mutex
	note := func(pod, how string, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		times.add(verb, pod, how, took)
	}
	err := atOnce(2*len(servers), func(i int) error {
		server := s.guests[servers[i/2]]
		if i%2 == 0 {
			return within(began, func() (time.Duration, bool) {
				asked := time.Now()
				passes := member.reaches(s.target(t, server.Name), matrix.TCP)
				if passes {
					asked = time.Now() // what is refused was so when it was asked, what passes when it came
				}
				return asked.Sub(began), passes == joins
			}, func(took time.Duration) { note(server.Pod, "packets", took) }, server.Name)
		}
		shows := func(p Pod) bool { return p.lets(member.V4) == joins }
		if server.Pod == member.Pod {
			shows = func(p Pod) bool { return p.hasIn(member.Port, group) }
		}
		return within(began, func() (time.Duration, bool) {
			return time.Since(began), shows(s.podNamed(server.Pod))
		}, func(took time.Duration) { note(server.Pod, "API", took) }, server.Pod)
	})
	if err != nil {
		t.Fatalf("the member %s: %v; so far, in seconds:\n%s", verb, err, times.table())
	}
}

// within asks until it holds.
func within(began time.Time, holds func() (time.Duration, bool), note func(time.Duration), who string) error {
	for {
		took, ok := holds()
		if ok {
			note(took)
			return nil
		}
		if time.Since(began) > enforcedWithin {
			return fmt.Errorf("%s does not know after %s", who, enforcedWithin)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// lets says that the pod has the address among members in other pods.
func (p Pod) lets(address string) bool {
	q := url.Values{"name": {"members in other pods"}}
	for _, g := range p.list(p.Network, "address-groups?"+q.Encode(), "address_groups") {
		addresses, _ := g["addresses"].([]any)
		if slices.Contains(addresses, any(address+"/32")) {
			return true
		}
	}
	return false
}

// hasIn says that the port, in its own pod, is in the group alone.
func (p Pod) hasIn(port, group string) bool {
	q := url.Values{"description": {"tricircle:security_group:" + group}}
	for _, g := range p.list(p.Network, "security-groups?"+q.Encode(), "security_groups") {
		in, _ := p.portByMark(port)["security_groups"].([]any)
		return len(in) == 1 && in[0] == any(g.text("id"))
	}
	return false
}

// enforcementTimes are by change, pod and way of looking.
type enforcementTimes map[[3]string][]time.Duration

func (e enforcementTimes) add(verb, pod, how string, took time.Duration) {
	key := [3]string{verb, pod, how}
	e[key] = append(e[key], took)
}

func (e enforcementTimes) table() string {
	var lines []string
	for key, all := range e {
		slices.Sort(all)
		at := func(part float64) float64 { return all[int(part*float64(len(all)-1)+0.5)].Seconds() }
		lines = append(lines, fmt.Sprintf("  member %-6s  %-5s %-18s  p50 %6.2f  p99 %6.2f  (%d)", key[0], key[1], key[2], at(.5), at(.99), len(all)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
