//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tricircle/tricircle/test/e2e/guest"
)

// The zone of the first is az1, of the second az2, and so on.
var podNumbers = flag.String("pods", "1,2", "which of the testbed's pods the region has")

// podNames are their names in the testbed: pod1, pod2, …
func podNames() []string {
	var all []string
	for number := range strings.SplitSeq(*podNumbers, ",") {
		all = append(all, "pod"+number)
	}
	return all
}

// keystoneRegion is what a pod of the testbed is in Keystone.
func keystoneRegion(pod string) string { return "P" + pod[1:] }

// The region under test, and the tenant and operator who use it.
var region *Region

// closing is said at the very end of a failed run, below the program's log.
var closing []string

func TestMain(m *testing.M) {
	// In the namespace of a server the same program is that server.
	if name := os.Getenv(guest.Variable); name != "" {
		if err := guest.Run(name, guest.Ports, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	var err error
	region, err = startRegion()
	code := 1
	if err == nil {
		code = m.Run()
	}
	if region != nil {
		if code != 0 {
			fmt.Fprintf(os.Stderr, "the end of the program's log:\n%s\n", region.logTail(30))
			for _, words := range closing {
				fmt.Fprintln(os.Stderr, words)
			}
		}
		region.stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot start the region:", err)
	}
	os.Exit(code)
}

// Region is a running Tricircle with a region of its own in Keystone.
type Region struct {
	Name       string // in Keystone
	URL        string // of the API
	Operations string // URL of the operations port
	Clouds     string // path of a clouds.yaml with {alt,demo,admin}, {alt,demo,admin}-pod1, …

	extra  string // more configuration
	second string // what the second pod is in Keystone, if not the testbed's

	dir, binary string
	process     *exec.Cmd
}

func startRegion() (*Region, error) {
	dir, err := os.MkdirTemp("", "tricircle-e2e-")
	if err != nil {
		return nil, err
	}
	r := &Region{Name: fmt.Sprintf("E2E%d", os.Getpid()), dir: dir, Clouds: filepath.Join(dir, "clouds.yaml")}
	for _, step := range []func() error{r.build, r.configure, r.serve, r.register} {
		if err := step(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// another starts one more region over the same clouds; it ends with the test.
func another(t *testing.T, r Region) *Region {
	t.Helper()
	r.dir, r.binary = t.TempDir(), region.binary
	r.Clouds = filepath.Join(r.dir, "clouds.yaml")
	t.Cleanup(r.stop)
	for _, step := range []func() error{r.configure, r.serve, r.register} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return &r
}

func (r *Region) build() error {
	r.binary = filepath.Join(r.dir, "tricircle")
	out, err := exec.Command("go", "build", "-o", r.binary, "../../cmd/tricircle").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

const configuration = `
listen: %[1]s
operations_listen: %[2]s
public_url: http://%[1]s
region: %[3]s
data_dir: %[4]s
keystone:
  cloud: admin
  clouds_file: %[5]s
pods:
  grace: 30s
networks:
  default_type: vlan
  physical_networks:
    bridge:
      # The upper half, so that a demo may run in the same clouds.
      vlan: ["301:400"]
      flat: true
    extern:
      vlan: ["451:500"]
  vxlan:
    vni: ["5001:5100"]
`

func (r *Region) configure() error {
	api, err := freeAddress()
	if err != nil {
		return err
	}
	operations, err := freeAddress()
	if err != nil {
		return err
	}
	r.URL, r.Operations = "http://"+api, "http://"+operations
	if err := r.writeClouds(); err != nil {
		return err
	}
	text := fmt.Sprintf(configuration, api, operations, r.Name, filepath.Join(r.dir, "data"), r.Clouds) + r.extra
	return os.WriteFile(r.configFile(), []byte(text), 0o600)
}

func (r *Region) configFile() string { return filepath.Join(r.dir, "tricircle.yaml") }

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (r *Region) writeClouds() error {
	var b strings.Builder
	b.WriteString("clouds:\n")
	for _, user := range []string{"admin", "alt", "demo"} {
		in := map[string]string{user: r.Name}
		for _, pod := range podNames() {
			in[user+"-"+pod] = keystoneRegion(pod)
		}
		for name, in := range in {
			fmt.Fprintf(&b, `  %s:
    region_name: %s
    identity_api_version: 3
    auth:
      auth_url: %s
      username: %s
      password: secret
      project_name: %s
      user_domain_id: default
      project_domain_id: default
`, name, in, keystoneURL, user, user)
		}
	}
	return os.WriteFile(r.Clouds, []byte(b.String()), 0o600)
}

// serve starts the program and waits until it is ready.
func (r *Region) serve() error {
	log, err := os.OpenFile(r.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	r.process = exec.Command(r.binary, "serve", "--config", r.configFile())
	r.process.Stdout, r.process.Stderr = log, log
	if err := r.process.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := poll(ctx, func() error { return r.ready(ctx) }); err != nil {
		return fmt.Errorf("the program does not become ready: %w\n%s", err, r.logTail(30))
	}
	return nil
}

func (r *Region) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Operations+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s %s", resp.Status, body)
	}
	return nil
}

func (r *Region) register() error {
	var steps [][]string
	for i, pod := range podNames() {
		in := keystoneRegion(pod)
		if i == 1 && r.second != "" {
			in = r.second
		}
		steps = append(steps, []string{"pod", "add", pod, "--region", in, "--zone", fmt.Sprintf("az%d", i+1), "--pod-zone", "nova"})
	}
	for _, args := range append(steps, []string{"region", "register"}) {
		if out, err := r.tricircle(args...); err != nil {
			return fmt.Errorf("tricircle %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return registerKeystone(r.Name)
}

// tricircle runs the program as an operator.
func (r *Region) tricircle(args ...string) (string, error) {
	cmd := exec.Command(r.binary, append([]string{"--endpoint", r.URL + "/admin"}, args...)...)
	cmd.Env = append(os.Environ(), "OS_CLIENT_CONFIG_FILE="+r.Clouds, "OS_CLOUD=admin")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// crash kills the program, as a power cut would, and starts it again.
func (r *Region) crash(t *testing.T) {
	t.Helper()
	if err := r.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	r.process.Wait() //nolint:errcheck // it was killed
	if err := r.serve(); err != nil {
		t.Fatal(err)
	}
}

// stop ends the program and takes the region out of Keystone.
func (r *Region) stop() {
	if r.process != nil && r.process.Process != nil {
		r.process.Process.Signal(os.Interrupt) //nolint:errcheck // it may be gone, and Wait tells
		if err := r.process.Wait(); err != nil {
			fmt.Fprintln(os.Stderr, "the program ended with", err)
		}
	}
	if err := unregister(r.Name); err != nil {
		fmt.Fprintln(os.Stderr, "cannot take the region out of Keystone:", err)
	}
	os.RemoveAll(r.dir) //nolint:errcheck // a temporary folder
}

func (r *Region) logFile() string { return filepath.Join(r.dir, "tricircle.log") }

func (r *Region) logTail(lines int) string {
	b, err := os.ReadFile(r.logFile())
	if err != nil {
		return err.Error()
	}
	all := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(b)), "\n"), func(line string) bool {
		return strings.Contains(line, "level=INFO msg=request") // hundreds of them
	})
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// poll calls f until it succeeds or the context ends; then it returns f's last
// error.
func poll(ctx context.Context, f func() error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// eventually fails the test unless f succeeds within the time.
func eventually(t *testing.T, within time.Duration, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(live(t), within)
	defer cancel()
	if err := poll(ctx, f); err != nil {
		t.Fatalf("%s: not within %s: %v", what, within, err)
	}
}
