package bus

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rabbit is as much of RabbitMQ as we speak to: one connection at a time, whose
// calls it answers itself.
type rabbit struct {
	t        *testing.T
	l        net.Listener
	refuse   bool                          // the password
	answer   func(call map[string]any) any // nil: never answers
	deaf     bool                          // nobody listens for the calls
	received []map[string]any
}

func newRabbit(t *testing.T, r rabbit) (url string, b *rabbit) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b = &r
	b.t, b.l = t, l
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return "amqp://tricircle:secret@" + l.Addr().String() + "/pod1", b
}

// method is a frame's payload: class, method and arguments.
func method(class, id uint16, args ...byte) []byte {
	return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, class), id), args...)
}

func short(s string) []byte { return append([]byte{byte(len(s))}, s...) }
func long(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}

func frame(kind byte, channel uint16, payload []byte) []byte {
	f := binary.BigEndian.AppendUint16([]byte{kind}, channel)
	f = binary.BigEndian.AppendUint32(f, uint32(len(payload)))
	return append(append(f, payload...), 0xCE)
}

func (b *rabbit) serve(c net.Conn) {
	r := bufio.NewReader(c)
	if _, err := io.ReadFull(r, make([]byte, 8)); err != nil { // AMQP 0 0 9 1
		return
	}
	say := func(channel uint16, payload []byte) { _, _ = c.Write(frame(1, channel, payload)) }
	start := append([]byte{0, 9, 0, 0, 0, 0}, long("PLAIN")...)
	say(0, method(10, 10, append(start, long("en_US")...)...))
	var routing string
	for {
		var head [7]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		payload := make([]byte, binary.BigEndian.Uint32(head[3:])+1)
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		channel := binary.BigEndian.Uint16(head[1:])
		switch head[0] {
		case 3: // a body: the call is complete
			b.reply(c, channel, payload[:len(payload)-1], routing)
			continue
		case 1:
		default:
			continue
		}
		switch class, id := binary.BigEndian.Uint16(payload), binary.BigEndian.Uint16(payload[2:]); {
		case class == 10 && id == 11 && b.refuse: // start-ok
			say(0, method(10, 50, append([]byte{1, 147}, append(short("ACCESS_REFUSED - Login was refused"), 0, 10, 0, 11)...)...))
		case class == 10 && id == 11:
			say(0, method(10, 30, 0, 10, 0, 1, 0, 0, 0, 0)) // tune
		case class == 10 && id == 40:
			say(0, method(10, 41, 0)) // open-ok
		case class == 10 && id == 50:
			say(0, method(10, 51)) // close-ok
			return
		case class == 20 && id == 10:
			say(channel, method(20, 11, 0, 0, 0, 0))
		case class == 40 && id == 10, class == 50 && id == 20: // exchange.declare, queue.bind
			say(channel, method(class, id+1))
		case class == 50 && id == 10: // queue.declare
			say(channel, method(50, 11, append(short("q"), 0, 0, 0, 0, 0, 0, 0, 0)...))
		case class == 60 && id == 20: // basic.consume
			tag := payload[6+1+int(payload[6]):]
			say(channel, method(60, 21, tag[:1+int(tag[0])]...))
			routing = string(tag[:1+int(tag[0])])
		}
	}
}

// reply answers a call, to the consumer.
func (b *rabbit) reply(c net.Conn, channel uint16, body []byte, tag string) {
	if b.deaf {
		args := append([]byte{1, 56}, short("NO_ROUTE")...)
		args = append(append(args, short("neutron")...), short("q-plugin")...)
		b.deliver(c, channel, method(60, 50, args...), body)
		return
	}
	var e envelope
	var call map[string]any
	if json.Unmarshal(body, &e) != nil || json.Unmarshal([]byte(e.Message), &call) != nil || e.Version != "2.0" {
		b.t.Errorf("no envelope of oslo.messaging: %s", body)
		return
	}
	b.received = append(b.received, call)
	if b.answer == nil {
		return
	}
	args := append([]byte(tag), 0, 0, 0, 0, 0, 0, 0, 1, 0)
	args = append(append(args, short("")...), short("reply")...)
	for _, message := range []any{map[string]any{"_msg_id": "of another call", "failure": "x"}, b.answer(call)} {
		text, _ := json.Marshal(message)
		sealed, _ := json.Marshal(envelope{"2.0", string(text)})
		b.deliver(c, channel, method(60, 60, args...), sealed)
	}
}

func (b *rabbit) deliver(c net.Conn, channel uint16, how, body []byte) {
	head := binary.BigEndian.AppendUint64([]byte{0, 60, 0, 0}, uint64(len(body)))
	_, _ = c.Write(append(append(frame(1, channel, how), frame(2, channel, append(head, 0, 0))...), frame(3, channel, body)...))
}

func fine(call map[string]any) any {
	return map[string]any{"_msg_id": call["_msg_id"], "result": nil, "failure": nil, "ending": true}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	url, b := newRabbit(t, rabbit{answer: fine})
	c, err := Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Report(t.Context(), Agent{Host: "tricircle-pod2-h1", TunnelIP: "192.0.2.21"}); err != nil {
		t.Error(err)
	}
	if err := c.Up(t.Context(), "p1", "tricircle-pod2-h1"); err != nil {
		t.Error(err)
	}
	c.Close()
	if len(b.received) != 2 {
		t.Fatalf("%d calls, want 2", len(b.received))
	}
	report, up := b.received[0], b.received[1]
	state := report["args"].(map[string]any)["agent_state"].(map[string]any)["agent_state"].(map[string]any)
	if report["method"] != "report_state" || report["version"] != "1.2" || state["host"] != "tricircle-pod2-h1" ||
		state["configurations"].(map[string]any)["tunneling_ip"] != "192.0.2.21" {
		t.Errorf("report_state = %v", report)
	}
	args := up["args"].(map[string]any)
	if up["method"] != "update_device_up" || args["device"] != "p1" || args["host"] != "tricircle-pod2-h1" || up["_context_is_admin"] != true {
		t.Errorf("update_device_up = %v", up)
	}
	if up["_reply_q"] != c.queue || up["_unique_id"] == report["_unique_id"] {
		t.Errorf("update_device_up = %v, want replies to %s", up, c.queue)
	}
}

// What goes wrong is said in words that an operator understands, and never with
// the password.
func TestFailures(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for name, tc := range map[string]struct {
		r    rabbit
		url  string
		want string
	}{
		"wrong password": {r: rabbit{refuse: true}, want: "Login was refused"},
		"no address":     {url: "pod1:5672 secret", want: "the address of the message bus is not like"},
		"away":           {url: "amqp://u:secret@127.0.0.1:1/x", want: "connection refused"},
		"hangs":          {url: "amqp://u:secret@" + silent.Addr().String() + "/x", want: "i/o timeout"},
		"slow":           {want: "no answer in time"},
		"another vhost":  {r: rabbit{deaf: true}, want: "nobody listens"},
		"pod fails": {r: rabbit{answer: func(call map[string]any) any {
			return map[string]any{"_msg_id": call["_msg_id"], "failure": `{"class": "DBError", "message": "no database"}`}
		}}, want: "the pod failed: DBError: no database"},
		"pod fails without words": {r: rabbit{answer: func(call map[string]any) any {
			return map[string]any{"_msg_id": call["_msg_id"], "failure": "x"}
		}}, want: "did not say how"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := tc.url
			if url == "" {
				url, _ = newRabbit(t, tc.r)
			}
			err := func() error {
				c, err := Dial(t.Context(), url)
				if err != nil {
					return err
				}
				defer c.Close()
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				return c.Up(ctx, "p1", "h1")
			}()
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(fmt.Sprint(err), "secret") {
				t.Errorf("error = %v, want %q in it, and no password", err, tc.want)
			}
		})
	}
}
