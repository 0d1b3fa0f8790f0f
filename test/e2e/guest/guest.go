// Package guest is the program that runs in a network namespace that acts as a
// server: it answers over the network, and asks others as it is told.
package guest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Variable is the environment variable that makes a program a guest, and names it.
const Variable = "TRICIRCLE_GUEST"

// Ports are those on which a guest answers, over TCP and UDP.
var Ports = []int{80, 81}

// Order is one line of a guest's input.
type Order struct {
	ID   int      `json:"id"`
	Do   string   `json:"do"`             // ping, tcp, udp, send, run, lease, lease6
	To   string   `json:"to,omitempty"`   // an address, or the card of a lease
	Port int      `json:"port,omitempty"` // of tcp, udp, send
	Size int      `json:"size,omitempty"` // of a ping, or how many bytes to send
	Args []string `json:"args,omitempty"` // of run: a command
}

// Answer is one line of a guest's output.
type Answer struct {
	ID   int    `json:"id"`
	Said string `json:"said,omitempty"`
	Err  string `json:"err,omitempty"`
}

// patience is how long an answer may take: where packets flow it comes within
// milliseconds, and what is dropped costs all of it.
const patience = 1500 * time.Millisecond

// Run runs a guest until its input ends. It answers on the ports.
func Run(name string, ports []int, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, port := range ports {
		if err := serve(ctx, name, port); err != nil {
			return err
		}
	}
	var wait sync.WaitGroup
	defer wait.Wait()
	// What is denied costs all the patience, so all is asked at once, but not
	// more than a small machine bears.
	room := make(chan struct{}, 32)
	answers := &encoder{e: json.NewEncoder(out)}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var o Order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		room <- struct{}{}
		wait.Go(func() {
			said, err := obey(ctx, o)
			<-room
			answers.write(o.ID, said, err)
		})
	}
	return lines.Err()
}

type encoder struct {
	mu sync.Mutex
	e  *json.Encoder
}

func (e *encoder) write(id int, said string, err error) {
	a := Answer{ID: id, Said: said}
	if err != nil {
		a.Err = err.Error()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.e.Encode(a) //nolint:errcheck // whoever reads is gone then, and the input ends
}

func obey(ctx context.Context, o Order) (string, error) {
	switch o.Do {
	case "ping":
		return ping(ctx, o.To, o.Size)
	case "tcp":
		return askTCP(ctx, o.To, o.Port)
	case "udp":
		return askUDP(ctx, o.To, o.Port)
	case "send":
		return send(ctx, o)
	case "run":
		return run(ctx, o.Args...)
	case "lease":
		return lease(ctx, o.To)
	case "lease6":
		return lease6(ctx, o.To)
	}
	return "", fmt.Errorf("a guest cannot %q", o.Do)
}

// serve answers on a port: each caller is told the guest's name and under which
// address he was seen. Over TCP, what he sends is counted.
func serve(ctx context.Context, name string, port int) error {
	address := ":" + strconv.Itoa(port)
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() {
		tcp.Close()
		udp.Close() //nolint:errcheck // it is the end
	})
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go answerTCP(name, c)
		}
	}()
	go answerUDP(name, udp)
	return nil
}

func answerTCP(name string, c net.Conn) {
	defer c.Close()                            //nolint:errcheck // all was said
	c.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // then it has no end
	fmt.Fprintln(c, name, host(c.RemoteAddr()))
	n, err := io.Copy(io.Discard, c)
	if err == nil {
		fmt.Fprintln(c, n)
	}
}

func answerUDP(name string, c net.PacketConn) {
	buffer := make([]byte, 64)
	for {
		_, from, err := c.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			c.WriteTo([]byte(name+" "+host(from)), from) //nolint:errcheck // he will ask again
		}
	}
}

func host(a net.Addr) string {
	h, _, _ := net.SplitHostPort(a.String())
	return h
}

// ping sends one echo request that must not be cut in pieces, and says with which
// time to live the answer came: it tells how many routers are in between.
func ping(ctx context.Context, to string, size int) (string, error) {
	args := []string{"ping", "-n", "-c", "1", "-W", "1"}
	if size > 0 {
		args = append(args, "-M", "do", "-s", strconv.Itoa(size))
	}
	out, err := run(ctx, append(args, to)...)
	if err != nil {
		return "", err
	}
	for field := range strings.FieldsSeq(out) {
		if ttl, ok := strings.CutPrefix(field, "ttl="); ok {
			return ttl, nil
		}
	}
	return "", fmt.Errorf("no answer in %q", out)
}

func askTCP(ctx context.Context, to string, port int) (string, error) {
	c, err := dial(ctx, "tcp", to, port)
	if err != nil {
		return "", err
	}
	defer c.Close() //nolint:errcheck // all was read
	return readLine(c)
}

func dial(ctx context.Context, network, to string, port int) (net.Conn, error) {
	d := net.Dialer{Timeout: patience}
	c, err := d.DialContext(ctx, network, net.JoinHostPort(to, strconv.Itoa(port)))
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(r).ReadString('\n')
	return strings.TrimSpace(line), err
}

// askUDP asks twice: the first packet of a pair may be lost while addresses are
// resolved.
func askUDP(ctx context.Context, to string, port int) (string, error) {
	c, err := dial(ctx, "udp", to, port)
	if err != nil {
		return "", err
	}
	defer c.Close() //nolint:errcheck // it holds nothing
	buffer := make([]byte, 256)
	for _, wait := range []time.Duration{patience / 3, patience} {
		if _, err = c.Write([]byte("?")); err != nil {
			return "", err
		}
		c.SetReadDeadline(time.Now().Add(wait)) //nolint:errcheck // the read fails then
		var n int
		if n, err = c.Read(buffer); err == nil {
			return string(buffer[:n]), nil
		}
	}
	return "", err
}

// send sends bytes and returns how many the other one says he got.
func send(ctx context.Context, o Order) (string, error) {
	c, err := dial(ctx, "tcp", o.To, o.Port)
	if err != nil {
		return "", err
	}
	defer c.Close()                                 //nolint:errcheck // all was read
	c.SetDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // as dial has done
	lines := bufio.NewReader(c)
	if _, err := lines.ReadString('\n'); err != nil {
		return "", err
	}
	if _, err := c.Write(make([]byte, o.Size)); err != nil {
		return "", err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	count, err := lines.ReadString('\n')
	return strings.TrimSpace(count), err
}

func run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// onLease is what the DHCP client calls: it does to the card what an operating
// system would, and prints what was leased.
const onLease = `#!/bin/sh
case "$1" in
bound|renew)
  ip -4 addr flush dev $interface
  ip addr add $ip/${mask:-24} dev $interface
  [ -n "$mtu" ] && ip link set $interface mtu $mtu
  for r in $router; do ip route replace default via $r dev $interface; done
  set -- $staticroutes
  while [ $# -ge 2 ]; do
    if [ $2 = 0.0.0.0 ]; then ip route replace $1 dev $interface; else ip route replace $1 via $2 dev $interface; fi
    shift 2
  done
  echo "address=$ip router=$router server=$serverid mtu=$mtu"
  ;;
esac
`

// lease gets an address by DHCP for the card.
func lease(ctx context.Context, card string) (string, error) {
	script, err := os.CreateTemp("", "lease-*.sh")
	if err != nil {
		return "", err
	}
	defer os.Remove(script.Name()) //nolint:errcheck // a temporary file
	if _, err := script.WriteString(onLease); err != nil {
		return "", err
	}
	if err := errors.Join(script.Chmod(0o700), script.Close()); err != nil {
		return "", err
	}
	out, err := run(ctx, "busybox", "udhcpc", "-i", card, "-n", "-q", "-t", "20", "-T", "2", "-O", "mtu", "-O", "staticroutes", "-s", script.Name())
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "address=") {
			return strings.TrimSpace(line), nil
		}
	}
	return "", fmt.Errorf("no lease: %s", out)
}
