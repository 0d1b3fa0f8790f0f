package dispatch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// region is a dispatcher over simulated clouds, with all that is between.
type region struct {
	cloud    *podtest.Cloud
	dispatch *dispatch.Dispatcher
	store    *store.Store
	by       identity.Caller
}

func newRegion(t *testing.T) *region {
	t.Helper()
	cloud := podtest.New(t, podtest.Options{})
	s := storetest.New(t)
	for i, p := range cloud.Pods() {
		row := store.Pod{Name: fmt.Sprintf("pod%d", i+1), Zone: fmt.Sprintf("az%d", i+1), PodZone: "nova"}
		row.Region = podtest.Region(row.Name)
		if _, err := s.CreatePod(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		_ = p
	}
	own := pod.NewAccount(pod.AccountOptions{
		AuthURL: cloud.AuthURL(), Username: "admin", Password: podtest.Password, ProjectName: "admin",
		UserDomainID: "default", ProjectDomainID: "default",
	})
	options := dispatch.OfFleet(fleet.New(fleet.Options{Store: s, Own: own}), s)
	options.Timeout = 2 * time.Second
	return &region{
		cloud: cloud, store: s, dispatch: dispatch.New(options),
		by: identity.Caller{
			ProjectID: cloud.ProjectID("demo"), UserID: cloud.UserID("demo"), Roles: []string{"member"},
			Token: cloud.Token("demo", "demo"), RequestID: "req-00000000-0000-4000-8000-000000000001",
		},
	}
}

// volume makes a volume in a pod behind Tricircle's back.
func (g *region) volume(t *testing.T, podName, name string) string {
	t.Helper()
	address := g.cloud.Pod(podName).URL(podtest.Volume) + "/v3/" + g.by.ProjectID + "/volumes"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(`{"volume": {"size": 1, "name": "`+name+`"}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", g.by.Token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := podtest.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var made struct{ Volume struct{ ID string } }
	body, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(body, &made); err != nil || made.Volume.ID == "" {
		t.Fatalf("cannot make a volume: %d %s", resp.StatusCode, body)
	}
	return made.Volume.ID
}

func (g *region) list() dispatch.List {
	return dispatch.List{
		By: g.by, Service: pod.Volume, Path: "/volumes/detail", Kind: store.KindVolume, Field: "volumes", Next: "volumes_links",
		Sort: []dispatch.Key{
			{Name: "name", Path: "name", Type: dispatch.Text, Field: dispatch.ByName}, {Name: "id", Path: "id", Field: dispatch.ByID},
		},
		SortQuery:   func([]dispatch.Key) url.Values { return url.Values{"sort": {"name:asc,id:asc"}} },
		Placeholder: func(e store.Entry) []byte { return fmt.Appendf(nil, `{"name": "%s?"}`, e.Name) },
	}
}

func (g *region) names(t *testing.T, l dispatch.List) (names []string, away string) {
	t.Helper()
	result, err := g.dispatch.List(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := result.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	var body struct{ Volumes []struct{ Name string } }
	if err := json.Unmarshal(buf.Bytes(), &body); err != nil {
		t.Fatalf("%v in %s", err, buf.Bytes())
	}
	for _, v := range body.Volumes {
		names = append(names, v.Name)
	}
	return names, strings.Join(result.Unreachable(), ", ")
}

// Every way in which a pod can fail a list, through the real client of a pod.
func TestAPodFailsAList(t *testing.T) {
	t.Parallel()
	path := `^/volume/v3/[0-9a-f]+/volumes/detail$`
	for _, test := range []struct {
		name   string
		break_ func(*podtest.Pod)
	}{
		{"refuses connections", func(p *podtest.Pod) { p.Down() }},
		{"hangs", func(p *podtest.Pod) { p.Fault(podtest.Fault{Path: path, Hang: true}) }},
		{"answers 500", func(p *podtest.Pod) { p.Fault(podtest.Fault{Path: path, Status: 500, Body: "oops"}) }},
		{"answers garbage", func(p *podtest.Pod) { p.Fault(podtest.Fault{Path: path, Garbage: true}) }},
		{"cuts the connection", func(p *podtest.Pod) { p.Fault(podtest.Fault{Path: path, DropReply: true}) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRegion(t)
			g.volume(t, "pod1", "a")
			id := g.volume(t, "pod2", "b")
			g.volume(t, "pod1", "c")
			if got, away := g.names(t, g.list()); !slices.Equal(got, []string{"a", "b", "c"}) || away != "" {
				t.Fatalf("all well: %v, away %q", got, away)
			}
			if err := g.store.Record(t.Context(), store.Entry{Kind: store.KindVolume, ID: id, Pod: "pod2", ProjectID: g.by.ProjectID, Name: "b"}); err != nil {
				t.Fatal(err)
			}
			test.break_(g.cloud.Pod("pod2"))
			got, away := g.names(t, g.list())
			if diff := cmp.Diff([]string{"a", "b?", "c"}, got); diff != "" || away != "pod2" {
				t.Errorf("away %q (-want +got):\n%s", away, diff)
			}
			strict := g.list()
			strict.Strict = true
			if _, err := g.dispatch.List(t.Context(), strict); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "pod2") {
				t.Errorf("strict: %v, want Unavailable that names pod2", err)
			}
		})
	}
}

func TestStrangersLocateNothing(t *testing.T) {
	t.Parallel()
	g := newRegion(t)
	id := g.volume(t, "pod2", "mine")
	stranger := g.by
	stranger.ProjectID, stranger.Token = g.cloud.ProjectID("alt"), g.cloud.Token("alt", "alt")
	if _, err := g.dispatch.Locate(t.Context(), stranger, store.KindVolume, id); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger's Locate = %v, want NotFound", err)
	}
	name, err := g.dispatch.Locate(t.Context(), g.by, store.KindVolume, id)
	if err != nil || name != "pod2" {
		t.Errorf("Locate = %q, %v, want pod2", name, err)
	}
	e, err := g.store.FindEntry(t.Context(), store.KindVolume, id)
	if err != nil || e.Pod != "pod2" || e.Zone != "az2" || e.ProjectID != g.by.ProjectID || e.Name != "mine" {
		t.Errorf("entry = %+v, %v", e, err)
	}
}
