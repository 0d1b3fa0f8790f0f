//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/test/e2e/guest"
	"github.com/tricircle/tricircle/test/e2e/matrix"
)

// Cast is who plays in a scene: guests, and other names under which they can be
// asked, such as floating IPs.
type Cast struct {
	guests map[string]*Guest
	others map[string]Target
}

// Target is an address, and which guest is to answer there.
type Target struct {
	Addresses
	Guest string
}

func (c *Cast) target(t *testing.T, name string) Target {
	t.Helper()
	if g, ok := c.guests[name]; ok {
		return Target{g.Addresses, g.Name}
	}
	target, ok := c.others[name]
	if !ok {
		t.Fatalf("nobody here is called %s", name)
	}
	return target
}

const (
	settles = 150 * time.Second // how long it may take until packets flow as drawn
)

// reach expects that packets flow as in the table, soon; and that nothing else
// passes, at any time.
func (c *Cast) reach(t *testing.T, title, table string) {
	t.Helper()
	c.expect(t, title, must(matrix.Parse(table))(t), true)
}

// becomes expects that packets flow as in the table, soon. What flowed before may do
// so a little longer.
func (c *Cast) becomes(t *testing.T, title, table string) {
	t.Helper()
	c.expect(t, title, must(matrix.Parse(table))(t), false)
}

func (c *Cast) expect(t *testing.T, title string, m matrix.Matrix, strict bool) {
	t.Helper()
	possible := c.possible(t, m)
	m = m.Narrow(possible)
	began := time.Now()
	seen, took, ok := c.settle(t, m, possible, strict)
	verdict := "holds"
	if !ok {
		verdict = "DOES NOT HOLD"
	}
	table := fmt.Sprintf("%s: %s: %s after %s (%s in all)\n%s", t.Name(), title, verdict,
		took.Round(10*time.Millisecond), time.Since(began).Round(10*time.Millisecond), m.Table(seen, possible))
	if !ok {
		t.Fatalf("%s  ! differs: (missing) [too much]\n%s", table, c.explain(t, m, seen))
	}
	t.Log(table)
}

// settle asks everything, then what is not yet as it should be, and in the end
// everything once more.
func (c *Cast) settle(t *testing.T, m matrix.Matrix, possible map[matrix.Pair]matrix.Protocols, strict bool) (map[matrix.Pair]matrix.Protocols, time.Duration, bool) {
	t.Helper()
	began := time.Now()
	seen := map[matrix.Pair]matrix.Protocols{}
	open := possible
	for {
		// What was asked anew replaces what was seen of it before.
		now := c.ask(t, m, open)
		for pair, asked := range open {
			seen[pair] = seen[pair]&^asked | now[pair]
		}
		whole := len(open) == len(possible)
		differ := m.Differ(seen)
		for _, d := range differ {
			if strict && d.TooMuch != matrix.None {
				return seen, time.Since(began), false
			}
		}
		switch {
		case len(differ) == 0 && whole:
			return seen, time.Since(began), true
		case len(differ) == 0:
			open = possible
		case time.Since(began) > settles:
			return seen, time.Since(began), false
		default:
			time.Sleep(100 * time.Millisecond)
			open = map[matrix.Pair]matrix.Protocols{}
			for pair, d := range differ {
				open[pair] = d.TooMuch | d.Missing
			}
		}
	}
}

// possible is what can be asked of each pair: they need addresses of the same kind.
func (c *Cast) possible(t *testing.T, m matrix.Matrix) map[matrix.Pair]matrix.Protocols {
	t.Helper()
	all := map[matrix.Pair]matrix.Protocols{}
	for pair := range m.Cells {
		from, to := c.guests[pair.From], c.target(t, pair.To)
		if from == nil {
			t.Fatalf("no guest is called %s", pair.From)
		}
		if from.V4 != "" && to.V4 != "" {
			all[pair] |= matrix.All4
		}
		if from.V6 != "" && to.V6 != "" {
			all[pair] |= matrix.All6
		}
	}
	return all
}

// ask sends one packet, or opens one connection, for each protocol of each pair, all
// at once, and returns what got an answer from the right one.
func (c *Cast) ask(t *testing.T, m matrix.Matrix, open map[matrix.Pair]matrix.Protocols) map[matrix.Pair]matrix.Protocols {
	t.Helper()
	var mu sync.Mutex
	var wait sync.WaitGroup
	passed := map[matrix.Pair]matrix.Protocols{}
	for pair := range m.Cells {
		from, to := c.guests[pair.From], c.target(t, pair.To)
		for _, protocol := range open[pair].Each() {
			wait.Go(func() {
				if from.reaches(to, protocol) {
					mu.Lock()
					defer mu.Unlock()
					passed[pair] |= protocol
				}
			})
		}
	}
	wait.Wait()
	return passed
}

// reaches tries one protocol. That the right one answers is part of it: addresses of
// several tenants may be the same.
func (g *Guest) reaches(to Target, protocol matrix.Protocols) bool {
	o := guest.Order{To: to.V4}
	if protocol&matrix.All6 != 0 {
		o.To = to.V6
	}
	switch protocol {
	case matrix.Ping, matrix.Ping6:
		o.Do = "ping"
	case matrix.TCP, matrix.TCP6:
		o.Do, o.Port = "tcp", guest.Ports[0]
	case matrix.TCP81, matrix.TCP816:
		o.Do, o.Port = "tcp", guest.Ports[1]
	case matrix.UDP, matrix.UDP6:
		o.Do, o.Port = "udp", guest.Ports[0]
	}
	said, err := g.ask(o)
	return err == nil && (o.Do == "ping" || strings.HasPrefix(said, to.Guest+" "))
}

// explain says about the first pairs that fail what the guests know.
func (c *Cast) explain(t *testing.T, m matrix.Matrix, seen map[matrix.Pair]matrix.Protocols) string {
	t.Helper()
	var b strings.Builder
	told := map[string]bool{}
	for pair := range maps.Keys(m.Differ(seen)) {
		if len(told) < 3 && !told[pair.From] {
			told[pair.From] = true
			g := c.guests[pair.From]
			said, err := g.run("ip addr show dev " + g.card + "; ip route; ip -6 route; ip neigh")
			fmt.Fprintf(&b, "%s in %s, %v to %v: %s %v\n", g.Name, g.Pod, g.Addresses, c.target(t, pair.To).Addresses, said, err)
			if to := c.guests[pair.To]; to != nil && g.Server != "" && to.Server != "" {
				trace, _ := region.tricircle("network", "trace", g.Server, to.Server)
				fmt.Fprintf(&b, "the way from %s to %s:\n%s", g.Name, to.Name, trace)
			}
		}
	}
	for _, state := range []string{jobs.Pending, jobs.Running, jobs.Waiting, jobs.Failed} {
		if out, err := region.tricircle("job", "list", "--state", state); err == nil {
			fmt.Fprintf(&b, "jobs %s:\n%s", state, out)
		}
	}
	return b.String()
}
