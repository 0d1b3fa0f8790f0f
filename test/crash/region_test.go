package crash_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
)

// region is a running program over one simulated pod.
type region struct {
	t       *testing.T
	cloud   *podtest.Cloud
	pod     *podtest.Pod
	config  string
	url     string
	token   string // demo's
	admin   string
	image   string
	process *process
	home    *podtest.Pod // of the project's images
}

func newRegion(t *testing.T) *region {
	t.Helper()
	return regionOf(t, podtest.Options{Pods: []string{"pod1"}}, "")
}

// regionOf is over other pods, with more configuration.
func regionOf(t *testing.T, o podtest.Options, more string) *region {
	t.Helper()
	dir := t.TempDir()
	r := &region{t: t, cloud: podtest.New(t, o), config: filepath.Join(dir, "tricircle.yaml")}
	r.pod = r.cloud.Pod("pod1")
	if err := r.cloud.WriteClouds(filepath.Join(dir, "clouds.yaml")); err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	r.url = "http://" + listen
	text := fmt.Sprintf(`
listen: %s
operations_listen: 127.0.0.1:0
data_dir: %s
keystone: {cloud: admin-top, clouds_file: %s}
networks: {physical_networks: {bridge: {vlan: ["101:200"]}}}
log: {level: warn}
pods: {grace: 1s}
%s`, listen, dir, filepath.Join(dir, "clouds.yaml"), more)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.token, r.admin = r.cloud.Token("demo", "demo"), r.cloud.Token("admin", "admin")
	r.process = start(t, r.config)
	t.Cleanup(func() { r.process.kill() })
	r.listening()
	for i, name := range o.Pods {
		r.doAs(r.admin, http.MethodPost, "/admin/v1/pods",
			fmt.Sprintf(`{"pod":{"name":%q,"region":%q,"zone":"az%d","dhcp_ports":1}}`, name, podtest.Region(name), i+1), nil, http.StatusCreated)
	}
	r.image = r.pod.AddImage(glance.Image{Name: "tiny"})
	return r
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// process is one run of the program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func start(t *testing.T, configFile string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0]), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), configVariable+"="+configFile)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // it ends by a signal
	}()
	return p
}

// kill returns when the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // gone already is as good
	<-p.done
}

// send returns status 0 when there is no answer.
func (r *region) send(token, method, path string, body any, out any) int {
	r.t.Helper()
	text, ok := body.(string)
	if !ok && body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		text = string(encoded)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, bytes.NewBufferString(text))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	if out != nil {
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			return 0
		}
	}
	return resp.StatusCode
}

func (r *region) do(method, path string, body, out any, want int) {
	r.t.Helper()
	r.doAs(r.token, method, path, body, out, want)
}

// doAs sends until the program, which may be starting, gives the wanted status.
func (r *region) doAs(token, method, path string, body, out any, want int) {
	r.t.Helper()
	r.eventually(method+" "+path, func() string {
		if got := r.send(token, method, path, body, out); got != want {
			return fmt.Sprintf("status %d, want %d", got, want)
		}
		return ""
	})
}

func (r *region) listening() {
	r.t.Helper()
	r.doAs(r.admin, http.MethodGet, "/admin/v1/pods", nil, nil, http.StatusOK)
}

// eventually waits until nothing is missing any more.
func (r *region) eventually(what string, missing func() string) {
	r.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		m := missing()
		if m == "" || m == "[]" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("%s: not within a minute: %s", what, m)
		}
	}
}

func (r *region) network(name string) string {
	r.t.Helper()
	var n struct{ Network struct{ ID string } }
	r.do(http.MethodPost, "/network/v2.0/networks", `{"network":{"name":"`+name+`"}}`, &n, http.StatusCreated)
	r.do(http.MethodPost, "/network/v2.0/subnets", `{"subnet":{"network_id":"`+n.Network.ID+`","ip_version":4,"cidr":"10.0.0.0/24"}}`, nil, http.StatusCreated)
	return n.Network.ID
}

func (r *region) create(name, network string) int {
	r.t.Helper()
	return r.send(r.token, http.MethodPost, "/compute/v2.1/servers", map[string]any{"server": map[string]any{
		"name": name, "flavorRef": "1", "imageRef": r.image, "availability_zone": "az1",
		"networks": []any{map[string]any{"uuid": network}}}}, nil)
}

func (r *region) servers() []string {
	r.t.Helper()
	var list struct{ Servers []struct{ ID string } }
	r.do(http.MethodGet, "/compute/v2.1/servers", nil, &list, http.StatusOK)
	var ids []string
	for _, s := range list.Servers {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	return ids
}

type port struct {
	ID    string
	Owner string `json:"device_owner"`
}

func (r *region) ports() []port {
	r.t.Helper()
	var list struct{ Ports []port }
	r.do(http.MethodGet, "/network/v2.0/ports", nil, &list, http.StatusOK)
	return list.Ports
}

// unfinished names the jobs that are not done.
func (r *region) unfinished() string {
	r.t.Helper()
	var list struct {
		Jobs []struct{ Kind, State, Reason string }
	}
	r.doAs(r.admin, http.MethodGet, "/admin/v1/jobs", nil, &list, http.StatusOK)
	var left []string
	for _, j := range list.Jobs {
		if j.State != "done" {
			left = append(left, j.Kind+" "+j.State+" "+j.Reason)
		}
	}
	return fmt.Sprint(left)
}
