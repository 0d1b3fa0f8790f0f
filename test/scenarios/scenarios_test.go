// Package scenarios runs the scripts in this folder: what operators type, and
// what they see. Each script has its own clouds (pod1, pod2), its own database
// and its own server; the commands are documented at the functions below.
package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/cli"
	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/compute"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/nova"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
	"github.com/tricircle/tricircle/internal/trace"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tricircle": func() {
			p := cli.Program{Version: "1.2.3", Stdout: os.Stdout, Stderr: os.Stderr}
			os.Exit(p.Run(context.Background(), os.Args[1:]))
		},
	})
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                ".",
		RequireUniqueNames: true,
		Setup:              setup,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits,
			"until": until,
			"down":  down,
			"up":    up,
			"have":  have,
			"size":  size,
		},
	})
}

// worldKey is where a script finds its world.
type worldKey struct{}

// world is what a script talks to.
type world struct {
	cloud *podtest.Cloud
	store *store.Store
	jobs  *jobs.Runner
	api   *httptest.Server
}

func setup(env *testscript.Env) error {
	w := &world{}
	env.Defer(w.close)
	env.Values[worldKey{}] = w
	if err := w.start(env.WorkDir); err != nil {
		return err
	}
	clouds := filepath.Join(env.WorkDir, "clouds.yaml")
	if err := w.cloud.WriteClouds(clouds); err != nil {
		return err
	}
	env.Setenv("OS_CLIENT_CONFIG_FILE", clouds)
	env.Setenv("OS_CLOUD", "admin-top")
	env.Setenv("TRICIRCLE_ENDPOINT", w.api.URL+"/admin")
	env.Setenv("AUTH_URL", w.cloud.AuthURL())
	env.Setenv("SERVER", w.api.URL)
	// The race detector would hold up the end of each command by a second.
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	return nil
}

// serverEnv is the environment of the server, not of the scripts.
var serverEnv = map[string]string{
	"EDGE_OS_USERNAME": "admin", "EDGE_OS_PASSWORD": "secret", "EDGE_OS_PROJECT_NAME": "admin",
	"WRONG_OS_USERNAME": "admin", "WRONG_OS_PASSWORD": "hunter2", "WRONG_OS_PROJECT_NAME": "admin",
	"WEAK_OS_USERNAME": "demo", "WEAK_OS_PASSWORD": "secret", "WEAK_OS_PROJECT_NAME": "demo",
}

func (w *world) start(dir string) (err error) {
	if w.cloud, err = podtest.Start(podtest.Options{}); err != nil {
		return err
	}
	ctx := context.Background()
	if w.store, err = store.Open(ctx, store.Options{URL: "sqlite:" + filepath.Join(dir, "tricircle.db")}); err != nil {
		return err
	}
	credentials := func(ref string) (pod.AccountOptions, error) {
		return pod.LoadCredentials(ref, pod.Sources{Getenv: w.getenv})
	}
	own := pod.NewAccount(pod.AccountOptions{
		AuthURL: w.cloud.AuthURL(), Username: "admin", Password: podtest.Password, ProjectName: "admin",
	})
	f := fleet.New(fleet.Options{
		Store: w.store, Own: own, Credentials: credentials,
		Client: pod.Options{Timeout: 5 * time.Second},
	})
	if w.jobs, err = jobs.New(jobs.Options{Store: w.store, Ensure: neverReady}); err != nil {
		return err
	}
	if err := w.jobs.Start(ctx); err != nil {
		return err
	}
	explain := compute.Explain(compute.Deps{Store: w.store, Fleet: f, Dispatch: dispatch.New(dispatch.OfFleet(f, w.store))})
	a := admin.New(admin.Options{
		Explain: explain, Trace: &trace.Tracer{Store: w.store, Pods: f},
		Store: w.store, Fleet: f, Jobs: w.jobs, Replicas: reconcile.New(reconcile.Options{Store: w.store, Pods: f}), Account: own, Credentials: credentials, Region: podtest.RegionOne,
		PublicURL: "https://cloud.example.org", PhysicalNetworks: []string{"bridge"}, Version: "1.2.3",
	})
	w.api = httptest.NewServer(gateway.New(gateway.Options{
		Services: []gateway.Service{a.Service()}, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Verifier: identity.NewVerifier(identity.Options{AuthURL: w.cloud.AuthURL(), Service: own}),
	}))
	return nil
}

// neverReady leaves every job waiting, as a pod does that is away.
func neverReady(_ context.Context, t store.Target, _ func(context.Context, *store.Tx) error) error {
	return &fault.Error{Kind: fault.Unavailable, Pod: t.Pod, Message: "cannot create " + t.Kind + ": connection refused"}
}

func (w *world) getenv(key string) string {
	if strings.HasSuffix(key, "_OS_AUTH_URL") {
		return w.cloud.AuthURL()
	}
	return serverEnv[key]
}

func (w *world) close() {
	if w.api != nil {
		w.api.Close()
	}
	if w.jobs != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = w.jobs.Stop(ctx) // the test is over
	}
	if w.store != nil {
		w.store.Close()
	}
	if w.cloud != nil {
		w.cloud.Close()
	}
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// exits CODE COMMAND ARGS: must end with this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// until TEXT COMMAND ARGS: runs the command until its output has the text.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until TEXT COMMAND ARGS")
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
	}
	ts.Fatalf("%q did not appear in time", args[0])
}

// down POD: the pod refuses connections.
func down(ts *testscript.TestScript, _ bool, args []string) { worldOf(ts).cloud.Pod(args[0]).Down() }

// up POD: it answers again.
func up(ts *testscript.TestScript, _ bool, args []string) { worldOf(ts).cloud.Pod(args[0]).Up() }

// have network NAME [POD]: a network of project demo, wanted in the pod if one is named.
// have server NAME POD: a server that was seen in the pod.
// have decision NAME POD: a server that went to the pod after pod1 had refused it.
// The ID is put into the variable NAME.
func have(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: have KIND NAME [POD]")
	}
	w, ctx, kind, name := worldOf(ts), context.Background(), args[0], args[1]
	project := w.cloud.ProjectID("demo")
	switch {
	case kind == "network":
		made, err := w.store.CreateNetworks(ctx, []topology.Network{{Name: name, ProjectID: project, Type: topology.TypeLocal}})
		ts.Check(err)
		ts.Setenv(name, made[0].ID)
		if len(args) > 2 {
			_, err := w.store.Want(ctx, project, store.Target{Kind: store.KindNetwork, ID: made[0].ID, Pod: args[2]})
			ts.Check(err)
		}
	case kind == "server" && len(args) == 3:
		id := fmt.Sprintf("5e54e500-0000-4000-8000-%012x", len(name))
		ts.Setenv(name, id)
		ts.Check(w.store.Record(ctx, store.Entry{
			Kind: store.KindServer, ID: id, Pod: args[2], ProjectID: project, Name: name, Zone: "az1", Status: "ACTIVE", CreatedAt: time.Now(),
		}))
	case kind == "decision" && len(args) == 3:
		id := fmt.Sprintf("dec1de00-0000-4000-8000-%012x", len(name))
		ts.Setenv(name, id)
		ts.Check(w.decide(ctx, id, name, args[2]))
	default:
		ts.Fatalf("cannot have %q", args)
	}
}

// decide makes a server's record as a creation does.
func (w *world) decide(ctx context.Context, id, name, podName string) error {
	project := w.cloud.ProjectID("demo")
	first, err := fleet.Place([]fleet.Candidate{{Pod: "pod1", Zone: "az1", Bound: true}, {Pod: podName, Zone: "az1"}}, fleet.Need{ProjectID: project})
	if err != nil {
		return err
	}
	second, err := fleet.Place([]fleet.Candidate{{Pod: "pod1", Zone: "az1"}, {Pod: podName, Zone: "az1"}},
		fleet.Need{ProjectID: project, Refused: []fleet.Refusal{{Pod: "pod1", Reason: "it refused: Quota exceeded"}}})
	if err != nil {
		return err
	}
	document, err := json.Marshal(fleet.Record{Count: 1, Steps: []fleet.Step{{Decision: first, Refused: "Quota exceeded"}, {Decision: second}}})
	if err != nil {
		return err
	}
	if err := w.store.RecordDecision(ctx, store.Decision{ID: name, RequestID: "req-" + name, ProjectID: project, Document: document}); err != nil {
		return err
	}
	in := store.Intent{ID: name, Kind: store.KindServer, Pod: podName, ProjectID: project, Name: name, Zone: "az1", DecisionID: name}
	if _, err := w.store.Begin(ctx, in); err != nil {
		return err
	}
	return w.store.Settle(ctx, in.ID, store.Entry{Kind: store.KindServer, ID: id, Pod: podName, ProjectID: project, Name: name, Zone: "az1", Status: "ACTIVE"})
}

// size makes a flavor in a pod, past the region: size POD ID NAME VCPUS.
func size(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: size POD ID NAME VCPUS")
	}
	vcpus, err := strconv.Atoi(args[3])
	ts.Check(err)
	w := ts.Value(worldKey{}).(*world)
	w.cloud.Pod(args[0]).AddFlavor(nova.Flavor{ID: args[1], Name: args[2], RAM: 64, VCPUs: vcpus, Disk: 1})
}
