//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/test/e2e/guest"
)

// Guest is a namespace that acts as a server, with a program of ours in it: the
// clouds' hypervisor runs none.
type Guest struct {
	Name, Pod    string
	Server, Port string // in the region
	Addresses           // that its port has
	Lease        map[string]string

	host, namespace, card string
	process               *exec.Cmd
	in                    io.WriteCloser
	said                  strings.Builder // to its standard error

	mu      sync.Mutex
	last    int
	waiting map[int]chan guest.Answer
}

// Addresses of one who can be asked.
type Addresses struct{ V4, V6 string }

var guestPlace = regexp.MustCompile(`namespace (\S+) on (\S+), device (\S+)`)

// plug makes a guest of a port of the pod. It has no address yet.
func plug(t *testing.T, name, pod, podPort string) (*Guest, error) {
	t.Cleanup(func() { unplug(t, pod, podPort) })
	out, err := exec.CommandContext(live(t), "../../testbed/testbed.py", "vm", "plug", "--no-dhcp", pod, podPort).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: vm plug: %w\n%s", name, err, out)
	}
	place := guestPlace.FindStringSubmatch(string(out))
	if place == nil {
		return nil, fmt.Errorf("%s: vm plug says %q", name, out)
	}
	g := &Guest{Name: name, Pod: pod, namespace: place[1], host: place[2], card: place[3], waiting: map[int]chan guest.Answer{}}
	if err := g.start(); err != nil {
		return nil, err
	}
	t.Cleanup(g.stop)
	return g, g.wake()
}

func unplug(t *testing.T, pod, podPort string) {
	// The test's own context may have ended by now.
	if out, err := exec.Command("../../testbed/testbed.py", "vm", "unplug", pod, podPort).CombinedOutput(); err != nil {
		t.Errorf("vm unplug: %v\n%s", err, out)
	}
}

// start runs this very program in the namespace; see TestMain.
func (g *Guest) start() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	g.process = exec.Command("../../testbed/testbed.py", "exec", g.host, "ip", "netns", "exec", g.namespace,
		"env", guest.Variable+"="+g.Name, program)
	g.process.Stderr = &g.said
	if g.in, err = g.process.StdinPipe(); err != nil {
		return err
	}
	out, err := g.process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := g.process.Start(); err != nil {
		return err
	}
	go g.listen(out)
	return nil
}

// listen hands answers to those who wait for them, until the guest ends.
func (g *Guest) listen(out io.Reader) {
	for lines := json.NewDecoder(out); ; {
		var a guest.Answer
		err := lines.Decode(&a)
		g.mu.Lock()
		if err != nil {
			for id, who := range g.waiting {
				who <- guest.Answer{ID: id, Err: "the guest has ended"}
			}
			g.waiting = nil
			g.mu.Unlock()
			return
		}
		g.waiting[a.ID] <- a
		delete(g.waiting, a.ID)
		g.mu.Unlock()
	}
}

func (g *Guest) stop() {
	g.in.Close()
	g.process.Wait() //nolint:errcheck // it ends with its input
}

// ask gives the guest an order and waits for what comes of it.
func (g *Guest) ask(o guest.Order) (string, error) {
	answer := make(chan guest.Answer, 1)
	if err := g.tell(o, answer); err != nil {
		return "", err
	}
	a := <-answer
	if a.Err != "" {
		return a.Said, errors.New(g.Name + ": " + a.Err)
	}
	return a.Said, nil
}

func (g *Guest) tell(o guest.Order, answer chan guest.Answer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting == nil {
		return fmt.Errorf("%s has ended: %s", g.Name, g.said.String())
	}
	g.last++
	o.ID = g.last
	g.waiting[o.ID] = answer
	return json.NewEncoder(g.in).Encode(o)
}

func (g *Guest) run(command string) (string, error) {
	return g.ask(guest.Order{Do: "run", Args: []string{"sh", "-c", command}})
}

// must runs a command that does not fail.
func (g *Guest) must(t *testing.T, command string) string {
	t.Helper()
	return must(g.run(command))(t)
}

// wake does what booting would: addresses without waiting for duplicates, and the
// question for routers once the card is connected.
func (g *Guest) wake() error {
	_, err := g.run(fmt.Sprintf("cd /proc/sys/net/ipv6/conf/%[1]s && echo 0 >dad_transmits && echo 1 >router_solicitation_interval && "+
		"ip link set %[1]s down && ip link set %[1]s up", g.card))
	return err
}

// lease gets the address of its port from the DHCP server.
func (g *Guest) lease() error {
	said, err := g.ask(guest.Order{Do: "lease", To: g.card})
	if err != nil {
		return err
	}
	g.Lease = map[string]string{}
	for field := range strings.FieldsSeq(said) {
		key, value, _ := strings.Cut(field, "=")
		g.Lease[key] = value
	}
	if got := g.Lease["address"]; got != g.V4 {
		return fmt.Errorf("%s: %s leased %s, want %s", g.Name, g.Pod, got, g.V4)
	}
	return nil
}

// lease6 gets the address of its port from the DHCPv6 server.
func (g *Guest) lease6() error {
	said, err := g.ask(guest.Order{Do: "lease6", To: g.card})
	if err == nil && said != g.V6 {
		err = fmt.Errorf("%s: %s leased %s, want %s", g.Name, g.Pod, said, g.V6)
	}
	return err
}

// advertised waits until the address of its port follows from what a router says.
func (g *Guest) advertised(within time.Duration) error {
	command := fmt.Sprintf("ip -6 -o addr show dev %s scope global; ip -6 route show default", g.card)
	for end := time.Now().Add(within); ; time.Sleep(300 * time.Millisecond) {
		said, err := g.run(command)
		if err != nil {
			return err
		}
		if strings.Contains(said, " "+g.V6+"/") && strings.Contains(said, "default via fe80:") {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: no router in %s advertises %s within %s: it has %q", g.Name, g.Pod, g.V6, within, said)
		}
	}
}

// static gives it an address by hand.
func (g *Guest) static(address string, bits int) error {
	_, err := g.run(fmt.Sprintf("ip addr replace %s/%d dev %s", address, bits, g.card))
	return err
}

// hops is how many routers are on the way to an address.
func (g *Guest) hops(address string) (int, error) {
	said, err := g.ask(guest.Order{Do: "ping", To: address})
	if err != nil {
		return 0, err
	}
	ttl, err := strconv.Atoi(said)
	return 64 - ttl, err
}

// seenAs is the address under which another one sees it.
func (g *Guest) seenAs(address string) (string, error) {
	said, err := g.ask(guest.Order{Do: "tcp", To: address, Port: guest.Ports[0]})
	_, seen, _ := strings.Cut(said, " ")
	return seen, err
}
