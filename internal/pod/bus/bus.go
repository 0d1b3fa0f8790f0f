// Package bus speaks to a pod's Network service as one of its layer-2 agents does,
// over the pod's message bus: that an agent lives, and that a port is up, can be
// said in no other way.
//
// It is oslo.messaging's RPC over RabbitMQ, the two calls of it that are needed, as
// Neutron's agents have made them for many releases.
package bus

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
)

// exchange is where Neutron listens. Named in full: without it the messages would
// go to nobody, and nobody would say so.
const exchange = "neutron"

// handshake bounds the time until the bus has let us in.
const handshake = 5 * time.Second

// Agent is a layer-2 agent as it shows itself to the pod.
type Agent struct {
	Host     string // its name in the pod
	TunnelIP string // where its tunnels end
}

// Conn is a connection to a pod's message bus, for one caller at a time.
type Conn struct {
	conn    *amqp.Connection
	ch      *amqp.Channel
	queue   string // where replies come
	replies <-chan amqp.Delivery
	lost    <-chan amqp.Return // messages that nobody listens for
	closed  <-chan *amqp.Error
}

// Dial connects to the bus at the URL, amqp://USER:PASSWORD@HOST:PORT/VHOST, or
// amqps. Errors do not show the URL.
func Dial(ctx context.Context, url string) (*Conn, error) {
	uri, err := amqp.ParseURI(url)
	if err != nil {
		return nil, errors.New("the address of the message bus is not like amqp://USER:PASSWORD@HOST:PORT/VHOST")
	}
	config := amqp.Config{
		Heartbeat:  10 * time.Second,
		Properties: amqp.Table{"connection_name": "tricircle"},
		Dial: func(network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			// The library takes it off once the handshake is done.
			return c, c.SetDeadline(time.Now().Add(handshake))
		},
	}
	if uri.Scheme == "amqps" {
		config.TLSClientConfig = &tls.Config{ServerName: uri.Host, MinVersion: tls.VersionTLS12}
	}
	conn, err := amqp.DialConfig(url, config)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the message bus at %s:%d: %w", uri.Host, uri.Port, err)
	}
	c := &Conn{conn: conn}
	if err := c.listen(); err != nil {
		c.Close()
		return nil, fmt.Errorf("cannot use the message bus at %s:%d: %w", uri.Host, uri.Port, err)
	}
	return c, nil
}

// listen makes the queue for replies, which goes with the connection.
func (c *Conn) listen() (err error) {
	if c.ch, err = c.conn.Channel(); err != nil {
		return err
	}
	c.closed = c.ch.NotifyClose(make(chan *amqp.Error, 1))
	c.lost = c.ch.NotifyReturn(make(chan amqp.Return, 1))
	c.queue = "reply_" + uuid.NewString()
	if _, err = c.ch.QueueDeclare(c.queue, false, true, true, false, nil); err != nil {
		return err
	}
	// Older releases send replies to an exchange of this name, newer ones to the queue.
	if err = c.ch.ExchangeDeclare(c.queue, amqp.ExchangeDirect, false, true, false, false, nil); err != nil {
		return err
	}
	if err = c.ch.QueueBind(c.queue, c.queue, c.queue, false, nil); err != nil {
		return err
	}
	c.replies, err = c.ch.Consume(c.queue, "", true, true, false, false, nil)
	return err
}

// Close ends the connection.
func (c *Conn) Close() { _ = c.conn.CloseDeadline(time.Now().Add(time.Second)) } // it may be lost already

// Report tells the pod that the agent lives.
func (c *Conn) Report(ctx context.Context, a Agent) error {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000")
	state := map[string]any{
		"binary": "neutron-openvswitch-agent", "agent_type": "Open vSwitch agent", "topic": "N/A",
		"host": a.Host, "start_flag": true, "uuid": uuid.NewString(),
		"configurations": map[string]any{
			"tunneling_ip": a.TunnelIP, "tunnel_types": []string{"vxlan"}, "l2_population": true,
			"bridge_mappings": map[string]any{}, "devices": 0,
		},
	}
	return c.call(ctx, "q-reports-plugin", "1.2", "report_state",
		map[string]any{"agent_state": map[string]any{"agent_state": state}, "time": now})
}

// Up tells the pod that the agent on the host has plugged the port in.
func (c *Conn) Up(ctx context.Context, portID, host string) error {
	return c.call(ctx, "q-plugin", "1.5", "update_device_up",
		map[string]any{"device": portID, "host": host, "agent_id": "ovs-agent-" + host})
}

// call waits for the answer. The pod may have carried out a call whose answer did
// not come in time: both calls may be repeated.
func (c *Conn) call(ctx context.Context, topic, version, method string, args map[string]any) error {
	id := uuid.NewString()
	body, err := seal(map[string]any{
		"method": method, "version": version, "args": args,
		"_msg_id": id, "_reply_q": c.queue, "_unique_id": uuid.NewString(), "_timeout": nil,
		"_context_user_id": nil, "_context_project_id": nil, "_context_is_admin": true,
		"_context_roles":     []string{"admin", "member", "reader"},
		"_context_timestamp": time.Now().UTC().Format("2006-01-02 15:04:05.000000"),
	})
	if err != nil {
		return err
	}
	err = c.ch.PublishWithContext(ctx, exchange, topic, true, false,
		amqp.Publishing{ContentType: "application/json", ContentEncoding: "utf-8", Body: body})
	if err == nil {
		err = c.answer(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("cannot call %s on the message bus: %w", method, err)
	}
	return nil
}

// answer waits for the one to the call; those to earlier calls that were given up
// are dropped.
func (c *Conn) answer(ctx context.Context, id string) error {
	for {
		select {
		case <-ctx.Done():
			return errors.New("no answer in time")
		case <-c.lost:
			return errors.New("nobody listens: is this the vhost of the pod's Neutron?")
		case cause := <-c.closed:
			return fmt.Errorf("the connection ended: %w", closing(cause))
		case d, ok := <-c.replies:
			if !ok {
				return errors.New("the connection ended")
			}
			if mine, err := open(d.Body, id); mine {
				return err
			}
		}
	}
}

// closing is never a nil *amqp.Error in an error.
func closing(cause *amqp.Error) error {
	if cause == nil {
		return errors.New("by us")
	}
	return cause
}

// envelope is how oslo.messaging wraps a message.
type envelope struct {
	Version string `json:"oslo.version"`
	Message string `json:"oslo.message"`
}

func seal(message map[string]any) ([]byte, error) {
	text, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{Version: "2.0", Message: string(text)})
}

// open reads a reply, if it is the one to the call.
func open(body []byte, id string) (mine bool, err error) {
	var e envelope
	var reply struct {
		ID      string `json:"_msg_id"`
		Failure string `json:"failure"`
	}
	if json.Unmarshal(body, &e) != nil || json.Unmarshal([]byte(e.Message), &reply) != nil || reply.ID != id {
		return false, nil
	}
	if reply.Failure == "" {
		return true, nil
	}
	var failure struct {
		Class   string `json:"class"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal([]byte(reply.Failure), &failure); err != nil {
		return true, errors.New("the pod failed, and did not say how")
	}
	return true, fmt.Errorf("the pod failed: %s: %s", failure.Class, failure.Message)
}
