//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/endpoints"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/regions"
)

// launcher runs Nova's API with a lower highest version: the one thing by which
// clients tell a release.
const launcher = `import sys
from nova.api.openstack import api_version_request
api_version_request._MAX_API_VERSION = sys.argv.pop(1)
from nova.cmd.api_os_compute import main
sys.exit(main())
`

// TestPodsOfTwoReleases: pod2 is reached through a Nova API of its own that
// speaks no more than Train did. A region over both offers what Zed has.
func TestPodsOfTwoReleases(t *testing.T) {
	old := fmt.Sprintf("%sOld", region.Name)
	nova := startNova(t, "2.79")
	registerLike(t, "Pod2", old, func(url string) string {
		if strings.Contains(url, ":8774") {
			return nova
		}
		return url
	})
	mixed := another(t, Region{Name: region.Name + "Mixed", second: old, extra: "compute:\n  max_microversion: \"2.93\"\n"})
	tenant := loginTo(t, "alt", mixed.Name)
	tenant.Compute.Microversion = "2.93"
	image := loginTo(t, "alt", region.Name).uploadImage("e2e-release")
	boot := func(name, zone string, more map[string]any) (string, error) {
		server := map[string]any{"name": name, "imageRef": image, "flavorRef": flavorID, "networks": "none"}
		if zone != "" {
			server["availability_zone"] = zone
		}
		for k, v := range more {
			server[k] = v
		}
		body, _, err := tenant.ask("POST", "servers", map[string]any{"server": server}, 202)
		return object(body["server"]).text("id"), err
	}
	one := must(boot("e2e-new", "az1", nil))(t)
	two := must(boot("e2e-old", "az2", map[string]any{"tags": []string{"x"}}))(t)
	three := must(boot("e2e-named", "", map[string]any{"hostname": "e2e"}))(t)
	for _, id := range []string{one, two, three} {
		t.Cleanup(func() { tenant.deleteServer(id) })
	}
	if _, err := boot("e2e-named", "az2", map[string]any{"hostname": "e2e"}); err == nil ||
		!strings.Contains(err.Error(), "pod pod2: it speaks the Compute API in versions 2.1 to 2.79: server.hostname needs version 2.90") {
		t.Errorf("a host name in the old pod: %v", err)
	}
	tenant.waitActive(one, two, three)
	t.Run("show", func(t *testing.T) {
		body, header := tenant.mustAsk(t, "servers/"+two)
		s := object(body["server"])
		name, shown := s["OS-EXT-SRV-ATTR:hostname"]
		if header.Get("OpenStack-API-Version") != "compute 2.93" || header.Get("X-Tricircle-Untold") != "pod2: OS-EXT-SRV-ATTR:hostname" ||
			!shown || name != nil || fmt.Sprint(s["tags"]) != "[x]" {
			t.Errorf("%v\n%v", header, s)
		}
		body, header = tenant.mustAsk(t, "servers/"+three)
		if s := object(body["server"]); s.text("OS-EXT-SRV-ATTR:hostname") != "e2e" || s.text("OS-EXT-AZ:availability_zone") != "az1" || header.Get("X-Tricircle-Untold") != "" {
			t.Errorf("%v\n%v", header, s)
		}
	})
	t.Run("list", func(t *testing.T) {
		list := get[struct{ Servers []object }](t, tenant.Compute, "servers/detail?name=e2e-").Servers
		for _, s := range list {
			if _, shown := s["OS-EXT-SRV-ATTR:hostname"]; !shown {
				t.Errorf("not as in 2.93: %v", s)
			}
		}
		if len(list) != 3 {
			t.Errorf("%d servers: %v", len(list), list)
		}
	})
	t.Run("act", func(t *testing.T) {
		if _, _, err := tenant.ask("POST", "servers/"+two+"/action", map[string]any{"lock": map[string]any{"locked_reason": "e2e"}}, 202); err != nil {
			t.Error(err)
		}
		if _, _, err := tenant.ask("POST", "servers/"+two+"/action", map[string]any{"unlock": nil}, 202); err != nil {
			t.Error(err)
		}
		_, _, err := tenant.ask("PUT", "servers/"+two, map[string]any{"server": map[string]any{"hostname": "e2e"}}, 200)
		if !gophercloud.ResponseCodeIs(err, 406) || !strings.Contains(err.Error(), "pod pod2") {
			t.Errorf("a host name for a server of the old pod: %v, want 406 that names it", err)
		}
	})
}

// ask is a request in the client's version.
func (u *Tenant) ask(method, path string, in any, status int) (map[string]map[string]any, http.Header, error) {
	var raw json.RawMessage
	opts := &gophercloud.RequestOpts{JSONResponse: &raw, OkCodes: []int{status}}
	if in != nil {
		opts.JSONBody = in
	}
	if status == 202 && strings.HasSuffix(path, "/action") {
		opts.JSONResponse = nil
	}
	resp, err := u.Compute.Request(live(u.t), method, u.Compute.ServiceURL(path), opts)
	if err != nil {
		return nil, nil, err
	}
	var out map[string]map[string]any
	if len(raw) > 0 {
		err = json.Unmarshal(raw, &out)
	}
	return out, resp.Header, err
}

func (u *Tenant) mustAsk(t *testing.T, path string) (map[string]map[string]any, http.Header) {
	t.Helper()
	body, header, err := u.ask("GET", path, nil, 200)
	if err != nil {
		t.Fatal(err)
	}
	return body, header
}

// startNova runs one more API of pod2, and ends it with the test. The testbed's
// own goes on.
func startNova(t *testing.T, highest string) string {
	t.Helper()
	state, dir := testbedState(), t.TempDir()
	host, port, _ := strings.Cut(must(freeAddress())(t), ":")
	script, extra := filepath.Join(dir, "nova-api-os-compute"), filepath.Join(dir, "nova.conf")
	for file, text := range map[string]string{
		script: launcher, extra: fmt.Sprintf("[DEFAULT]\nosapi_compute_listen = %s\nosapi_compute_listen_port = %s\n", host, port),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/usr/bin/python3", script, highest, "--config-file", filepath.Join(state, "pod2/nova.conf"),
		"--config-file", filepath.Join(state, "pod2/nova-db.conf"), "--config-file", extra)
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	log := must(os.Create(filepath.Join(dir, "log")))(t)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // it was interrupted
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the old Nova's log ends with:\n%s", text[max(0, len(text)-3000):])
		}
	})
	url := "http://" + host + ":" + port
	eventually(t, 90*time.Second, "the old Nova answers", func() error {
		resp, err := http.Get(url + "/") //nolint:noctx // eventually bounds it
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	return url + "/v2.1"
}

// registerLike makes a region in Keystone with another's endpoints, at the addresses
// that instead gives for theirs.
func registerLike(t *testing.T, model, name string, instead func(url string) string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	keystone := must(openstack.NewIdentityV3(must(authenticate(ctx, "admin"))(t), gophercloud.EndpointOpts{Region: "RegionOne"}))(t)
	must(regions.Create(ctx, keystone, regions.CreateOpts{ID: name, ParentRegionID: "RegionOne"}).Extract())(t)
	t.Cleanup(func() {
		if err := unregister(name); err != nil {
			t.Error(err)
		}
	})
	pages := must(endpoints.List(keystone, endpoints.ListOpts{RegionID: model}).AllPages(ctx))(t)
	for _, e := range must(endpoints.ExtractEndpoints(pages))(t) {
		must(endpoints.Create(ctx, keystone, endpoints.CreateOpts{
			Availability: e.Availability, Name: e.Name, Region: name, URL: instead(e.URL), ServiceID: e.ServiceID,
		}).Extract())(t)
	}
}
