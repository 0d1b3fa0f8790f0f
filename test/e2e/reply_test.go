//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
)

// losing stands between the region and a pod. Of the replies to what changes something
// it loses every other one of a kind: the pod has done what it was asked for, and nobody
// is told.
type losing struct {
	t       *testing.T
	mu      sync.Mutex
	fronts  map[string]string // address by the pod's
	replies map[string]int    // by kind
}

var ofOneThing = regexp.MustCompile(`[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}`)

// front is the URL of a service by way of this.
func (l *losing) front(at string) string {
	address := regexp.MustCompile(`^http://[^/]+`).FindString(at)
	if strings.HasSuffix(address, ":5000") {
		return at // Keystone is the region's own
	}
	if l.fronts[address] == "" {
		target := must(url.Parse(address))(l.t)
		s := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
			ModifyResponse: l.lose,
			ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		})
		l.t.Cleanup(s.Close)
		l.fronts[address] = s.URL
	}
	return l.fronts[address] + strings.TrimPrefix(at, address)
}

func (l *losing) lose(resp *http.Response) error {
	if resp.Request.Method == http.MethodGet || resp.StatusCode >= 300 {
		return nil
	}
	kind := resp.Request.Method + " " + ofOneThing.ReplaceAllString(resp.Request.URL.Path, "ID")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.replies[kind]++
	if l.replies[kind]%2 == 1 {
		return errors.New("this reply is lost")
	}
	return nil
}

func (l *losing) lost() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]int{}
	for kind, n := range l.replies {
		all[kind] = (n + 1) / 2
	}
	return all
}

// TestRepliesLost makes and deletes things in a pod whose replies get lost. Whatever the
// user is told at first, each is made once, the region has it, and it goes without a trace.
func TestRepliesLost(t *testing.T) {
	long(t)
	between := &losing{t: t, fronts: map[string]string{}, replies: map[string]int{}}
	name := region.Name + "Lossy"
	registerLike(t, "Pod2", name, between.front)
	lossy := another(t, Region{Name: name + "Region", second: name})
	tenant := loginTo(t, "alt", lossy.Name)
	leavesNothing(t, tenant)
	image := tenant.again("image", tenant.Image, "images", "", object{"disk_format": "raw", "container_format": "bare", "name": "lost-image"})
	tenant.persist("the image's data", func() error {
		_, err := tenant.Image.Put(live(t), tenant.Image.ServiceURL("images", image, "file"), nil, nil, &gophercloud.RequestOpts{
			RawBody: strings.NewReader("data of an image"), MoreHeaders: map[string]string{"Content-Type": "application/octet-stream"}, OkCodes: []int{204, 409}})
		return err
	})
	network := tenant.networkWithSubnet("lost", "10.97.0.0/24")
	for i := range 2 { // the first's replies are lost, the second's are not
		called := func(kind string) string { return fmt.Sprintf("lost-%s-%d", kind, i) }
		volume := tenant.again("volume", tenant.Volume, "volumes", "volume", object{"name": called("volume"), "size": 1, "availability_zone": "az2"})
		tenant.turns(tenant.Volume, "volumes/"+volume, "volume", "available")
		snapshot := tenant.again("snapshot", tenant.Volume, "snapshots", "snapshot", object{"name": called("snapshot"), "volume_id": volume})
		tenant.turns(tenant.Volume, "snapshots/"+snapshot, "snapshot", "available")
		server := tenant.again("server", tenant.Compute, "servers", "server", object{"name": called("server"), "availability_zone": "az2",
			"imageRef": image, "flavorRef": flavorID, "networks": []object{{"uuid": network}}})
		tenant.turns(tenant.Compute, "servers/"+server, "server", "ACTIVE")
		tenant.persist("attaching the volume", func() error {
			_, err := tenant.Compute.Post(live(t), tenant.Compute.ServiceURL("servers", server, "os-volume_attachments"),
				object{"volumeAttachment": object{"volumeId": volume}}, nil, &gophercloud.RequestOpts{OkCodes: []int{200, 400, 409}})
			return err
		})
		tenant.turns(tenant.Volume, "volumes/"+volume, "volume", "in-use")
		for _, thing := range []string{called("volume"), called("snapshot"), called("server")} {
			tenant.isOnce(thing)
		}
		tenant.leave(tenant.Compute, "servers/"+server)
		tenant.leave(tenant.Volume, "snapshots/"+snapshot)
		tenant.leave(tenant.Volume, "volumes/"+volume)
	}
	tenant.leave(tenant.Image, "images/"+image)
	// A port whose server's creation was lost is held until the region knows what became
	// of it: at the latest after pods.grace.
	eventually(t, time.Minute, "the network is free", func() error {
		err := networks.Delete(live(t), tenant.Network, network).ExtractErr()
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return nil
		}
		return err
	})
	lost := between.lost()
	for _, kind := range []string{"POST /v3/ID/volumes", "POST /v3/ID/snapshots", "POST /v2.1/servers", "POST /v2.0/ports", "POST /v2.0/networks",
		"DELETE /v2.1/servers/ID", "DELETE /v3/ID/volumes/ID"} {
		if lost[kind] == 0 {
			t.Errorf("no reply to %s was lost", kind)
		}
	}
	t.Logf("replies lost: %v", lost)
}

// again makes a thing, as a patient user does: told that nobody knows, it looks for the
// thing by its name; told that a pod did not answer, it asks again.
func (u *Tenant) again(kind string, c *gophercloud.ServiceClient, path, key string, in object) string {
	u.t.Helper()
	body := any(in)
	if key != "" {
		body = object{key: in}
	}
	u.persist(kind+" "+in.text("name"), func() error {
		_, err := c.Post(live(u.t), c.ServiceURL(path), body, nil, &gophercloud.RequestOpts{OkCodes: []int{200, 201, 202}})
		if err != nil {
			u.t.Logf("%s %s: %v", kind, in.text("name"), err)
		}
		if gophercloud.ResponseCodeIs(err, http.StatusServiceUnavailable) && strings.Contains(err.Error(), "is being found out") {
			return nil
		}
		return err
	})
	id := ""
	eventually(u.t, 2*time.Minute, kind+" "+in.text("name"), func() error {
		var found []object
		raw := get[map[string]json.RawMessage](u.t, c, path+"?name="+in.text("name"))[path]
		if err := json.Unmarshal(raw, &found); err != nil {
			return err
		}
		if len(found) != 1 {
			return fmt.Errorf("there are %d", len(found))
		}
		id = found[0].text("id")
		return nil
	})
	u.t.Cleanup(func() { u.leave(c, path+"/"+id) })
	return id
}

func (u *Tenant) turns(c *gophercloud.ServiceClient, path, key, status string) {
	u.t.Helper()
	eventually(u.t, 2*time.Minute, path+" "+status, func() error {
		if got := object(get[map[string]map[string]any](u.t, c, path)[key]).text("status"); got != status {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
}

// isOnce looks for the thing in all pods.
func (u *Tenant) isOnce(name string) {
	u.t.Helper()
	found := 0
	for _, p := range pods(u.t) {
		things := p.inventory(u.Project)
		for _, o := range p.list(p.Volume, "snapshots/detail?all_tenants=1", "snapshots") {
			things = append(things, "snapshots "+o.text("name")+" "+o.text("id"))
		}
		found += strings.Count(strings.Join(things, "\n"), " "+name+" ")
	}
	if found != 1 {
		u.t.Errorf("the pods have %d things called %s", found, name)
	}
}

// persist asks until it is not told 503.
func (u *Tenant) persist(what string, ask func() error) {
	u.t.Helper()
	eventually(u.t, time.Minute, what, func() error {
		err := ask()
		if err != nil && !gophercloud.ResponseCodeIs(err, http.StatusServiceUnavailable) {
			u.t.Fatalf("%s: %v", what, err)
		}
		return err
	})
}

// leave deletes, and waits until the thing is gone.
func (u *Tenant) leave(c *gophercloud.ServiceClient, path string) {
	u.t.Helper()
	u.persist("delete "+path, func() error {
		_, err := c.Delete(live(u.t), c.ServiceURL(path), &gophercloud.RequestOpts{OkCodes: []int{202, 204, 404}})
		return err
	})
	eventually(u.t, time.Minute, path+" gone", func() error {
		_, err := c.Get(live(u.t), c.ServiceURL(path), nil, &gophercloud.RequestOpts{OkCodes: []int{200}})
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return nil
		}
		return fmt.Errorf("it is there: %v", err)
	})
}
