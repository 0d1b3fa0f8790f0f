package fleet_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: storetest.SQLiteURL(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestWindowFollowsThePods: an upgrade is seen within minutes; a pod that is away
// keeps counting, one that never answered does not, and neither costs time again
// and again.
func TestWindowFollowsThePods(t *testing.T) {
	t.Parallel()
	clouds := podtest.New(t, podtest.Options{PodMicroversion: map[string]int{"pod2": 79}})
	s, k := openStore(t), newClock()
	f := fleet.New(fleet.Options{
		Store: s, Now: k.Now, Client: pod.Options{Timeout: time.Second},
		Own: pod.NewAccount(pod.AccountOptions{
			AuthURL: clouds.AuthURL(), Username: "admin", Password: podtest.Password, ProjectName: "admin",
			UserDomainID: "default", ProjectDomainID: "default",
		}),
	})
	window := func() string {
		t.Helper()
		w, err := f.Window(t.Context())
		if err != nil {
			return err.Error()
		}
		return w.String()
	}
	becomes := func(what, want string) {
		t.Helper()
		deadline := time.After(10 * time.Second)
		for window() != want {
			select {
			case <-deadline:
				t.Fatalf("%s: the window is %s, want %s", what, window(), want)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	if _, err := f.Window(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without pods: %v, want Unavailable", err)
	}
	add := func(name string) {
		t.Helper()
		if _, err := s.CreatePod(t.Context(), store.Pod{Name: name, Region: clouds.Pod(name).Region, Zone: name}); err != nil {
			t.Fatal(err)
		}
		f.Changed()
	}
	add("pod1")
	if got := window(); got != "2.1 to 2.93" {
		t.Errorf("one pod: %s", got)
	}
	add("pod2")
	if got := window(); got != "2.1 to 2.79" {
		t.Errorf("an older pod was added: %s", got)
	}
	clouds.Pod("pod2").Compute.SetVersions(1, 88)
	if got := window(); got != "2.1 to 2.79" {
		t.Errorf("upgraded, too early to be seen: %s", got)
	}
	k.step(6 * time.Minute)
	becomes("upgraded", "2.1 to 2.88")
	clouds.Pod("pod2").Down()
	k.step(6 * time.Minute)
	begun := time.Now()
	for range 20 {
		if got := window(); got != "2.1 to 2.88" {
			t.Fatalf("while the pod is away: %s", got)
		}
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("20 windows while a pod is away took %s", took)
	}
}

// TestPodsThatRefuseTheirVersionAreAskedAgain: what the book says may be old.
func TestPodsThatRefuseTheirVersionAreAskedAgain(t *testing.T) {
	t.Parallel()
	clouds := podtest.New(t, podtest.Options{Pods: []string{"pod1"}})
	s := openStore(t)
	f := fleet.New(fleet.Options{Store: s, Own: pod.NewAccount(pod.AccountOptions{
		AuthURL: clouds.AuthURL(), Username: "admin", Password: podtest.Password, ProjectName: "admin",
		UserDomainID: "default", ProjectDomainID: "default",
	})})
	if _, err := s.CreatePod(t.Context(), store.Pod{Name: "pod1", Region: clouds.Pod("pod1").Region, Zone: "az1"}); err != nil {
		t.Fatal(err)
	}
	client, err := f.Client(t.Context(), "pod1")
	if err != nil {
		t.Fatal(err)
	}
	ask := func() int {
		t.Helper()
		resp, err := client.Do(t.Context(), pod.Request{Service: pod.Compute, Method: "GET", Path: "/servers/detail",
			Header: http.Header{"Openstack-Api-Version": {"compute 2.93"}}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if got := ask(); got != 200 {
		t.Fatalf("status %d", got)
	}
	clouds.Pod("pod1").Compute.SetVersions(1, 79)
	if first, second := ask(), ask(); first != 406 || second != 200 {
		t.Errorf("after a downgrade: %d, %d, want 406, 200", first, second)
	}
}
