package region_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

type m = map[string]any

// The roots of the APIs.
const (
	compute = "/compute/v2.1"
	network = "/network/v2.0"
	volume  = "/volume/v3"
	image   = "/image/v2"
)

// client speaks to the region with one token.
type client struct {
	*region
	token   string
	project string
	header  map[string]string
}

// as is a client for one of the clouds' users, in the project of that name, at
// the newest Compute version. Cinder refuses a header that names other services alone.
func (r *region) as(user string) *client {
	return &client{r, r.cloud.Token(user, user), r.cloud.ProjectID(user), map[string]string{"OpenStack-API-Version": "compute 2.93, volume 3.0"}}
}

// with is the client with one more header.
func (c *client) with(name, value string) *client {
	other := *c
	other.header = map[string]string{name: value}
	for n, v := range c.header {
		if _, ok := other.header[n]; !ok {
			other.header[n] = v
		}
	}
	return &other
}

// holding is the client with another token.
func (c *client) holding(token string) *client {
	other := *c
	other.token = token
	return &other
}

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (a reply) get(path string) gjson.Result { return gjson.GetBytes(a.body, path) }

// message is what an error of any service says.
func (a reply) message() string {
	if said := a.get("*.message").Str; said != "" {
		return said
	}
	return string(a.body)
}

func (a reply) want(t testing.TB, status int) reply {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

func (c *client) do(method, path string, body any) reply {
	c.t.Helper()
	a, err := c.try(c.t.Context(), method, path, body)
	must(c.t, err)
	return a
}

// try is do for requests that may get no answer; body is text, a reader, or
// something to encode.
func (c *client) try(ctx context.Context, method, path string, body any) (reply, error) {
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case io.Reader:
		content = b
	case string:
		content = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, content)
	if err != nil {
		return reply{}, err
	}
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("X-Auth-Token", c.token)
	}
	req.Header.Set("Accept", "*/*") // as all clients in Python do
	for name, value := range c.header {
		req.Header.Set(name, value)
	}
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, raw}, err
}

// network makes a network with one subnet and returns their IDs.
func (c *client) network(name, cidr string, more ...m) (networkID, subnetID string) {
	c.t.Helper()
	networkID = c.do("POST", network+"/networks", m{"network": m{"name": name}}).want(c.t, 201).get("network.id").Str
	fields := m{"network_id": networkID, "ip_version": 4, "cidr": cidr}
	for _, add := range more {
		for k, v := range add {
			fields[k] = v
		}
	}
	subnetID = c.do("POST", network+"/subnets", m{"subnet": fields}).want(c.t, 201).get("subnet.id").Str
	return networkID, subnetID
}

func (c *client) port(networkID string) (id, address string) {
	c.t.Helper()
	p := c.do("POST", network+"/ports", m{"port": m{"network_id": networkID}}).want(c.t, 201)
	return p.get("port.id").Str, p.get("port.fixed_ips.0.ip_address").Str
}

// addresses are those of the network's ports with the owner, in order.
func (c *client) addresses(networkID, owner string) []string {
	c.t.Helper()
	var all []string
	for _, ip := range c.do("GET", network+"/ports?network_id="+networkID+"&device_owner="+owner, nil).want(c.t, 200).get("ports.#.fixed_ips.0.ip_address").Array() {
		all = append(all, ip.Str)
	}
	slices.Sort(all)
	return all
}

// server is the body of a POST /servers; fields add to the usual or, if nil, take
// away from it.
func server(fields m) m {
	s := m{"name": "web", "flavorRef": "1", "imageRef": imageID, "networks": "none", "availability_zone": "az1"}
	for k, v := range fields {
		if v == nil {
			delete(s, k)
			continue
		}
		s[k] = v
	}
	return m{"server": s}
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return string(raw)
}

func on(networkID string) m { return m{"networks": []m{{"uuid": networkID}}} }

func (c *client) create(fields m) reply {
	c.t.Helper()
	return c.do("POST", compute+"/servers", server(fields))
}

func (c *client) boot(fields m) string {
	c.t.Helper()
	return c.create(fields).want(c.t, 202).get("server.id").Str
}

// servers are the IDs of all that the list shows.
func (c *client) servers() []string {
	c.t.Helper()
	var ids []string
	for _, s := range c.do("GET", compute+"/servers?sort_key=uuid&sort_dir=asc", nil).want(c.t, 200).get("servers.#.id").Array() {
		ids = append(ids, s.Str)
	}
	return ids
}

// remove deletes the servers and waits until they are gone.
func (c *client) remove(ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		c.do("DELETE", compute+"/servers/"+id, nil).want(c.t, 204)
	}
	for _, id := range ids {
		eventually(c.t, "server "+id+" is gone", func() string {
			if got := c.do("GET", compute+"/servers/"+id, nil); got.status != 404 {
				return string(got.body)
			}
			return ""
		})
	}
}

func (c *client) drop(networkIDs ...string) {
	c.t.Helper()
	for _, id := range networkIDs {
		c.do("DELETE", network+"/networks/"+id, nil).want(c.t, 204)
	}
}
