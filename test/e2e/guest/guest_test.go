package guest

import (
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// start runs a guest on a free port, and returns a way to give it an order.
func start(t *testing.T) (port int, tell func(Order) Answer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	in, orders := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Run("box", []int{port}, in, out) }()
	t.Cleanup(func() {
		orders.Close() //nolint:errcheck // a pipe
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	e, d := json.NewEncoder(orders), json.NewDecoder(answers)
	return port, func(o Order) Answer {
		t.Helper()
		if err := e.Encode(o); err != nil {
			t.Fatal(err)
		}
		var a Answer
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		return a
	}
}

func TestGuestAnswersItself(t *testing.T) {
	t.Parallel()
	port, tell := start(t)
	for i, c := range []struct {
		order Order
		want  string
	}{
		{Order{Do: "tcp", To: "127.0.0.1", Port: port}, "box 127.0.0.1"},
		{Order{Do: "udp", To: "127.0.0.1", Port: port}, "box 127.0.0.1"},
		{Order{Do: "send", To: "127.0.0.1", Port: port, Size: 1 << 20}, "1048576"},
		{Order{Do: "run", Args: []string{"echo", "so"}}, "so\n"},
	} {
		c.order.ID = i
		if got := tell(c.order); got != (Answer{ID: i, Said: c.want}) {
			t.Errorf("%+v: answer = %+v, want %q", c.order, got, c.want)
		}
	}
}

func TestGuestSaysWhatFails(t *testing.T) {
	t.Parallel()
	_, tell := start(t)
	for _, o := range []Order{
		{Do: "dance"}, {Do: "tcp", To: "127.0.0.1", Port: 1}, {Do: "run", Args: []string{"false"}}, {Do: "lease6", To: "no-card"},
	} {
		if got := tell(o); got.Err == "" {
			t.Errorf("%+v: answer = %+v, want an error", o, got)
		}
	}
}

func TestDHCP6Messages(t *testing.T) {
	t.Parallel()
	client := duid(net.HardwareAddr{0xfa, 0x16, 0x3e, 1, 2, 3})
	first := encode(solicit, []byte{7, 8, 9}, client, nil)
	want := []byte{
		1, 7, 8, 9,
		0, 1, 0, 10, 0, 3, 0, 1, 0xfa, 0x16, 0x3e, 1, 2, 3,
		0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 8, 0, 2, 0, 0,
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("solicit (-want +got):\n%s", diff)
	}

	address := netip.MustParseAddr("2001:db8::5")
	ia := appendOption(make([]byte, 12), optionAddress, append(address.AsSlice(), make([]byte, 8)...))
	offer := map[uint16][]byte{optionServer: {1, 2}, optionIA: ia}
	second, err := decode(encode(request, []byte{7, 8, 9}, client, offer)[4:])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[uint16][]byte{optionClient: client, optionServer: {1, 2}, optionIA: ia, optionElapsed: {0, 0}}, second); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if got, err := leased(second); got != address || err != nil {
		t.Errorf("leased = %s, %v, want %s", got, err, address)
	}
}

func TestDHCP6CutOff(t *testing.T) {
	t.Parallel()
	for _, b := range [][]byte{{0, 1}, {0, 1, 0, 5, 1}} {
		if got, err := decode(b); err == nil {
			t.Errorf("decode(%v) = %v, want an error", b, got)
		}
	}
	for _, ia := range [][]byte{nil, make([]byte, 12), appendOption(make([]byte, 12), 13, []byte{0, 2})} {
		_, err := leased(map[uint16][]byte{optionIA: ia})
		if err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("leased(%v): %v, want that there is no address", ia, err)
		}
	}
}
