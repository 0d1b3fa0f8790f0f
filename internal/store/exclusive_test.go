package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// Addresses, MAC addresses and VLANs are given to one at a time, however many
// processes write. The tables' keys see to it; this looks from outside: writers
// note when they had what, and no two may have had the same at the same time.

// holding is one writer's note: it had the thing at least from Got to Left.
type holding struct {
	What      string
	Got, Left int64 // nanoseconds of the machine's clock
}

// Environment of a process of writers.
const (
	writerURL   = "TRICIRCLE_TEST_WRITER_URL"
	writerCount = "TRICIRCLE_TEST_WRITERS"
	writerFor   = "TRICIRCLE_TEST_WRITER_SUBNET"
)

const (
	writers       = 64
	writerRounds  = 12
	scarceSubnet  = "10.9.0.0/27" // fewer addresses than the writers want
	firstVLAN     = 101
	lastVLAN      = 112
	manyProcesses = 3
)

var scarceFabric = topology.Fabric{Physical: []topology.PhysicalNetwork{
	{Name: "bridge", VLANs: []topology.SegmentRange{{Min: firstVLAN, Max: lastVLAN}}}}}

func TestNothingIsGivenTwice(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Options{URL: url})
		if err := s.SetFabric(scarceFabric); err != nil {
			t.Fatal(err)
		}
		n := addNetwork(t, s, topology.Network{Type: topology.TypeLocal})
		subnet := addSubnet(t, s, subnetSpec(n.ID, scarceSubnet))
		if strings.HasPrefix(url, "sqlite:") { // belongs to one process
			checkHistory(t, write(t, s, n.ID, writers))
		} else {
			checkHistory(t, runWriters(t, url, n.ID))
		}
		checkRest(t, s, subnet.ID)
	})
}

// runWriters runs all writers, in several processes, and returns their notes.
func runWriters(t *testing.T, url, network string) []holding {
	t.Helper()
	var mu sync.Mutex
	var all []holding
	var running sync.WaitGroup
	for i := range manyProcesses {
		count := writers / manyProcesses
		if i < writers%manyProcesses {
			count++
		}
		running.Go(func() {
			notes, err := runProcess(t.Context(), url, network, count)
			if err != nil {
				t.Errorf("process %d: %v", i, err)
			}
			mu.Lock()
			all = append(all, notes...)
			mu.Unlock()
		})
	}
	running.Wait()
	return all
}

// runProcess starts this test's program once more, as a process of writers.
func runProcess(ctx context.Context, url, network string, count int) (notes []holding, err error) {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestWriterProcess$", "-test.timeout=3m")
	cmd.Env = append(os.Environ(), writerURL+"="+url, writerFor+"="+network, writerCount+"="+strconv.Itoa(count))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var h holding
		if json.Unmarshal(lines.Bytes(), &h) == nil && h.What != "" {
			notes = append(notes, h)
		}
	}
	return notes, errors.Join(lines.Err(), cmd.Wait())
}

// TestWriterProcess is such a process; on its own it does nothing.
func TestWriterProcess(t *testing.T) {
	url := os.Getenv(writerURL)
	if url == "" {
		t.Skip("part of TestNothingIsGivenTwice")
	}
	s := storetest.Open(t, store.Options{URL: url})
	if err := s.SetFabric(scarceFabric); err != nil {
		t.Fatal(err)
	}
	count, err := strconv.Atoi(os.Getenv(writerCount))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range write(t, s, os.Getenv(writerFor), count) {
		if err := json.NewEncoder(os.Stdout).Encode(h); err != nil {
			t.Fatal(err)
		}
	}
}

// write runs writers in this process, and returns their notes.
func write(t *testing.T, s *store.Store, network string, count int) (all []holding) {
	t.Helper()
	var mu sync.Mutex
	w := writer{s: s, network: network, note: func(h holding) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, h)
	}}
	var running sync.WaitGroup
	for range count {
		running.Go(func() {
			for range writerRounds {
				if err := errors.Join(w.port(t.Context()), w.segment(t.Context())); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	return all
}

// writer takes things and gives them back.
type writer struct {
	s       *store.Store
	network string
	note    func(holding)
}

// port takes an address, any or a certain one, and changes it now and then.
func (w writer) port(ctx context.Context) error {
	spec := portSpec(w.network)
	if rand.IntN(3) == 0 {
		spec.WantIPs = []topology.WantIP{{Address: netip.AddrFrom4([4]byte{10, 9, 0, byte(2 + rand.IntN(8))})}}
	}
	made, err := w.s.CreatePorts(ctx, []topology.PortSpec{spec})
	if fault.Is(err, fault.Conflict) {
		return nil // taken, or none left
	}
	if err != nil {
		return err
	}
	p := made[0]
	got := time.Now().UnixNano()
	if rand.IntN(3) == 0 {
		before, at := p.FixedIPs, time.Now().UnixNano()
		want := []topology.WantIP{{Address: netip.AddrFrom4([4]byte{10, 9, 0, byte(2 + rand.IntN(28))})}}
		changed, err := w.s.UpdatePort(ctx, p.ID, func(spec *topology.PortSpec) error {
			spec.WantIPs = want
			return nil
		})
		switch {
		case err == nil:
			w.noteAll(before, got, at)
			p, got = changed, time.Now().UnixNano()
		case !fault.Is(err, fault.Conflict):
			return err
		}
	}
	if _, err := w.s.FindPort(ctx, p.ID); err != nil { // hold it while others ask
		return err
	}
	left := time.Now().UnixNano()
	w.noteAll(p.FixedIPs, got, left)
	w.note(holding{p.MACAddress, got, left})
	return w.s.DeletePort(ctx, p.ID, nil)
}

func (w writer) noteAll(ips []topology.FixedIP, got, left int64) {
	for _, ip := range ips {
		w.note(holding{ip.Address.String(), got, left})
	}
}

// segment takes a VLAN, any or a certain one.
func (w writer) segment(ctx context.Context) error {
	n := topology.Network{ProjectID: alice, Type: topology.TypeVLAN, PhysicalNetwork: "bridge"}
	if rand.IntN(3) == 0 {
		n.SegmentationID = firstVLAN + rand.IntN(4)
	}
	made, err := w.s.CreateNetworks(ctx, []topology.Network{n})
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.Unavailable) {
		return nil // taken, or none left
	}
	if err != nil {
		return err
	}
	got := time.Now().UnixNano()
	if _, err := w.s.FindNetwork(ctx, made[0].ID); err != nil { // hold it while others ask
		return err
	}
	w.note(holding{fmt.Sprintf("VLAN %d", made[0].SegmentationID), got, time.Now().UnixNano()})
	return w.s.DeleteNetwork(ctx, made[0].ID, nil)
}

// checkHistory fails when two had the same thing at the same time.
func checkHistory(t *testing.T, all []holding) {
	t.Helper()
	if least := writers * writerRounds / 4; len(all) < least {
		t.Errorf("only %d things were had, want %d at least: the test shows nothing", len(all), least)
	}
	slices.SortFunc(all, func(a, b holding) int { return int(a.Got - b.Got) })
	last, again := map[string]holding{}, 0
	for _, h := range all {
		if before, had := last[h.What]; had {
			again++
			if h.Got < before.Left {
				t.Errorf("%s was given twice: until %d, and from %d", h.What, before.Left, h.Got)
			}
		}
		last[h.What] = h
	}
	if again == 0 {
		t.Error("nothing was given again after it was given back: the test shows nothing")
	}
	t.Logf("%d things were had, %d of them again", len(all), again)
}

// checkRest fails when something stayed held.
func checkRest(t *testing.T, s *store.Store, subnet string) {
	t.Helper()
	var addresses, macs, segments int
	err := s.WriteDB().QueryRow(`
		SELECT (SELECT count(*) FROM addresses), (SELECT count(*) FROM macs), (SELECT count(*) FROM segments)`).Scan(&addresses, &macs, &segments)
	if err != nil || addresses+macs+segments > 0 {
		t.Errorf("subnet %s: %d addresses, %d MAC addresses and %d VLANs are held by nobody, %v", subnet, addresses, macs, segments, err)
	}
}
