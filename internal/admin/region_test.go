package admin_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/admin/client"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// entry is an endpoint as Keystone has it.
type entry struct {
	ID        string `json:"id,omitempty"`
	ServiceID string `json:"service_id"`
	RegionID  string `json:"region_id"`
	Interface string `json:"interface"`
	URL       string `json:"url"`
	Enabled   bool   `json:"enabled"`
}

func (r *region) keystone(t *testing.T, method, path string, in, out any) {
	t.Helper()
	if err := r.account.Keystone(context.Background(), method, path, nil, in, out); err != nil {
		t.Fatal(err)
	}
}

// endpoints lists those of the region by service type and interface.
func (r *region) endpoints(t *testing.T) map[string][]entry {
	t.Helper()
	var services struct{ Services []struct{ ID, Type string } }
	var all struct{ Endpoints []entry }
	r.keystone(t, http.MethodGet, "/services", nil, &services)
	r.keystone(t, http.MethodGet, "/endpoints", nil, &all)
	kinds := map[string]string{}
	for _, s := range services.Services {
		kinds[s.ID] = s.Type
	}
	found := map[string][]entry{}
	for _, e := range all.Endpoints {
		if e.RegionID == "RegionOne" && kinds[e.ServiceID] != "identity" {
			key := kinds[e.ServiceID] + " " + e.Interface
			found[key] = append(found[key], e)
		}
	}
	return found
}

func actions(r admin.Registration) map[string]int {
	count := map[string]int{}
	for _, s := range r.Steps {
		count[s.Action+" "+s.What]++
	}
	return count
}

func register(t *testing.T, r *region, url string) admin.Registration {
	t.Helper()
	done, err := r.as("admin").Register(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestRegisterIsIdempotent(t *testing.T) {
	t.Parallel()
	r := newRegion(t, storetest.New(t))
	first := actions(register(t, r, ""))
	want := map[string]int{"kept region": 1, "kept service": 4, "created service": 1, "created endpoint": 15}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("first registration (-want +got):\n%s", diff)
	}
	before := r.endpoints(t)
	if len(before) != 15 || before["volumev3 internal"][0].URL != "https://cloud.example.org/volume/v3/$(project_id)s" {
		t.Errorf("endpoints = %v", before)
	}
	again := actions(register(t, r, "https://cloud.example.org/"))
	want = map[string]int{"kept region": 1, "kept service": 5, "kept endpoint": 15}
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("second registration (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, r.endpoints(t)); diff != "" {
		t.Errorf("the second registration changed endpoints (-before +after):\n%s", diff)
	}
}

func TestRegisterRepairs(t *testing.T) {
	t.Parallel()
	r := newRegion(t, storetest.New(t))
	register(t, r, "")
	before := r.endpoints(t)
	compute := before["compute public"][0]
	image := before["image admin"][0]
	network := before["network public"][0]
	change := func(id string, fields map[string]any) {
		r.keystone(t, http.MethodPatch, "/endpoints/"+id, map[string]any{"endpoint": fields}, nil)
	}
	change(compute.ID, map[string]any{"url": "http://old.example.org"})
	change(image.ID, map[string]any{"enabled": false})
	r.keystone(t, http.MethodPost, "/endpoints", map[string]any{"endpoint": map[string]any{
		"service_id": network.ServiceID, "region_id": "RegionOne", "interface": "public", "url": "http://other.example.org",
	}}, nil)

	done := register(t, r, "")
	want := map[string]int{"kept region": 1, "kept service": 5, "updated endpoint": 2, "kept endpoint": 13, "duplicate endpoint": 1}
	if diff := cmp.Diff(want, actions(done)); diff != "" {
		t.Errorf("registration (-want +got):\n%s", diff)
	}
	after := r.endpoints(t)
	if got := after["compute public"][0].URL; got != compute.URL {
		t.Errorf("compute public = %s, want %s", got, compute.URL)
	}
	if !after["image admin"][0].Enabled {
		t.Error("the disabled endpoint was not enabled")
	}
	if len(after["network public"]) != 2 {
		t.Error("an endpoint that is not known to be ours was deleted")
	}
}

// TestRegisterPrefersTheServiceInUse is about a Keystone with two services of a
// type: the one that has endpoints in our region is the one.
func TestRegisterPrefersTheServiceInUse(t *testing.T) {
	t.Parallel()
	r := newRegion(t, storetest.New(t))
	register(t, r, "")
	before := r.endpoints(t)
	for range 3 { // IDs are chance: one of these sorts before the one in use, mostly
		r.keystone(t, http.MethodPost, "/services", map[string]any{"service": map[string]any{"type": "compute", "name": "nova2"}}, nil)
	}
	register(t, r, "")
	if diff := cmp.Diff(before, r.endpoints(t)); diff != "" {
		t.Errorf("endpoints changed (-before +after):\n%s", diff)
	}
}

func TestRegisterFailures(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRegion(t, storetest.New(t))
	status := func(err error) int {
		e, _ := errors.AsType[*client.Error](err)
		if e == nil {
			t.Fatalf("error %v is not the API's", err)
		}
		return e.Status
	}
	for _, url := range []string{"cloud", "ftp://x", "http://", "https://u:p@x", "http://x?y=z"} {
		if _, err := r.as("admin").Register(ctx, url); status(err) != http.StatusBadRequest {
			t.Errorf("Register(%q) = %v, want 400", url, err)
		}
	}
	if _, err := r.as("demo").Register(ctx, ""); status(err) != http.StatusForbidden {
		t.Errorf("Register as a member = %v, want 403", err)
	}
	admin := r.as("admin")
	if _, err := admin.Region(ctx); err != nil { // the token is known from here on
		t.Fatal(err)
	}
	r.cloud.KeystoneDown()
	if _, err := admin.Register(ctx, ""); status(err) != http.StatusServiceUnavailable {
		t.Errorf("Register without Keystone = %v, want 503", err)
	}
	r.cloud.KeystoneUp()
	if got := r.endpoints(t); len(got) > 0 {
		t.Errorf("failures left endpoints %v", got)
	}
}
