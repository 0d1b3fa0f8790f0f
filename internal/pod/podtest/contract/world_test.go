package contract

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

func (w *world) findImage(t *testing.T) string {
	t.Helper()
	for _, i := range w.demo.glance(t, "GET", "/images?status=active&visibility=public", nil).want(t, 200).docs("images") {
		return i["id"].(string)
	}
	t.Fatal("the cloud has no active public image")
	return ""
}

// late asks after the check, whose context has ended, and returns the status. What
// cannot be asked counts as gone.
func (c *client) late(t *testing.T, method, url string) int {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Error(err)
		return http.StatusNotFound
	}
	req.Header.Set("X-Auth-Token", c.token)
	res, err := podtest.HTTP.Do(req)
	if err != nil {
		t.Error(err)
		return http.StatusNotFound
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// drop deletes something after the check. That it is gone is fine.
func drop(t *testing.T, c *client, url string) {
	t.Helper()
	t.Cleanup(func() {
		if status := c.late(t, "DELETE", url); status >= 300 && status != 404 {
			t.Errorf("cannot clean up: DELETE %s = %d", url, status)
		}
	})
}

// purge deletes something of Neutron after the check.
func purge(t *testing.T, c *client, path string) {
	t.Helper()
	drop(t, c, c.endpoints["network"]+"/v2.0"+path)
}

// with adds to a request's fields.
func with(in, more doc) doc {
	maps.Copy(in, more)
	return in
}

// makeNetwork makes a network with the attributes, as c.
func makeNetwork(t *testing.T, c *client, more doc) doc {
	t.Helper()
	in := with(doc{"name": "contract-" + random(8)}, more)
	r := c.network(t, "POST", "/networks", doc{"network": in}).want(t, 201)
	d := r.body["network"].(doc)
	purge(t, c, "/networks/"+d["id"].(string))
	return d
}

// makeVLAN makes a VLAN network for a project, as Tricircle does.
func (w *world) makeVLAN(t *testing.T, project string) doc {
	t.Helper()
	for range 20 {
		vlan := 2000 + rand.IntN(2000)
		r := w.admin.network(t, "POST", "/networks", doc{"network": doc{
			"name": "contract-" + random(8), "project_id": project, "description": "tricircle:network:" + random(8),
			"provider:network_type": "vlan", "provider:physical_network": "bridge", "provider:segmentation_id": vlan,
		}})
		if r.status == 409 {
			continue
		}
		d := r.want(t, 201).body["network"].(doc)
		purge(t, w.admin, "/networks/"+d["id"].(string))
		return d
	}
	t.Fatal("no free VLAN")
	return nil
}

// makeSubnet makes a subnet without DHCP unless more says otherwise.
func makeSubnet(t *testing.T, c *client, network doc, more doc) doc {
	t.Helper()
	in := with(doc{"network_id": network["id"], "ip_version": 4, "enable_dhcp": false}, more)
	r := c.network(t, "POST", "/subnets", doc{"subnet": in}).want(t, 201)
	return r.body["subnet"].(doc)
}

// makePort makes a port that is deleted after the check.
func makePort(t *testing.T, c *client, network doc, more doc) doc {
	t.Helper()
	in := with(doc{"network_id": network["id"]}, more)
	r := c.network(t, "POST", "/ports", doc{"port": in}).want(t, 201)
	d := r.body["port"].(doc)
	purge(t, c, "/ports/"+d["id"].(string))
	return d
}

func (w *world) net(n int) string { return fmt.Sprintf("%s.%d.0/24", w.cidr, n) }

func (w *world) ip(n, host int) string { return fmt.Sprintf("%s.%d.%d", w.cidr, n, host) }

func pools(start, end string) []doc { return []doc{{"start": start, "end": end}} }

// boot makes a server and waits until it is ACTIVE; it is deleted after the
// check, before the networks that were made earlier.
func (w *world) boot(t *testing.T, c *client, more doc) string {
	t.Helper()
	id := w.start(t, c, more)
	eventually(t, "server "+id+" ACTIVE", func() bool {
		r := c.compute(t, "GET", "/servers/"+id, nil, latest).want(t, 200)
		if r.text("server", "status") == "ERROR" {
			t.Fatalf("server in ERROR: %v", r.at("server", "fault"))
		}
		return r.text("server", "status") == "ACTIVE"
	})
	return id
}

// start makes a server and does not wait.
func (w *world) start(t *testing.T, c *client, more doc) string {
	t.Helper()
	r := c.compute(t, "POST", "/servers", doc{"server": w.server(more)}, latest).want(t, 202)
	id := r.text("server", "id")
	t.Cleanup(func() { w.destroy(t, c, id) })
	return id
}

// server is a request's body that would work.
func (w *world) server(more doc) doc {
	in := doc{"name": "contract-" + random(8), "flavorRef": "1", "imageRef": w.image, "networks": "none"}
	for k, v := range more {
		if v == nil {
			delete(in, k)
			continue
		}
		in[k] = v
	}
	return in
}

// destroy deletes a server and waits until it is gone. It works after the
// test's context has ended.
func (w *world) destroy(t *testing.T, c *client, id string) {
	t.Helper()
	url := c.endpoints["compute"] + "/servers/" + id
	if c.late(t, "DELETE", url) == 404 {
		return
	}
	eventually(t, "server "+id+" gone", func() bool { return c.late(t, "GET", url) == 404 })
}
