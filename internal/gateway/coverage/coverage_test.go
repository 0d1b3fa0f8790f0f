package coverage_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/compute"
	"github.com/tricircle/tricircle/internal/gateway/coverage"
	"github.com/tricircle/tricircle/internal/gateway/image"
	"github.com/tricircle/tricircle/internal/gateway/network"
	"github.com/tricircle/tricircle/internal/gateway/volume"
)

//go:generate go test -run ^TestPage$ . -update

var update = flag.Bool("update", false, "write docs/coverage.md anew")

const docs = "../../../docs"

// reports compare the tables that the program serves with the lists.
func reports(t *testing.T) []coverage.Report {
	t.Helper()
	var all []coverage.Report
	for _, s := range []struct {
		title, list string
		service     gateway.Service
	}{
		{"Compute", "compute", compute.Service(compute.Deps{})},
		{"Network", "network", network.Service(network.Deps{})},
		{"Block Storage", "volume", volume.Service(volume.Deps{})},
		{"Image", "image", image.Service(image.Deps{})},
	} {
		f, err := os.Open(filepath.Join(docs, "api", s.list+".tsv"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		operations, err := coverage.Read(f)
		if err != nil {
			t.Fatalf("%s: %v", f.Name(), err)
		}
		all = append(all, coverage.Compare(s.title, s.service, operations))
	}
	return all
}

// TestPage keeps docs/coverage.md as the tables are.
func TestPage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(docs, "coverage.md")
	got := coverage.Page(reports(t))
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("docs/coverage.md is stale, run make coverage-api (-want +got):\n%s", diff)
	}
}

// TestComputeIsCovered holds the promise that each operation of the Compute API
// has a line of its own, and each refusal a reason.
func TestComputeIsCovered(t *testing.T) {
	t.Parallel()
	r := reports(t)[0]
	for _, l := range append(r.Operations, r.Actions...) {
		switch {
		case l.Strategy == coverage.Missing:
			t.Errorf("%s has no line in the route table", l)
		case l.Wild:
			t.Errorf("%s is answered by a wildcard; give it a line", l)
		case l.Strategy == gateway.Refused && l.Note == "":
			t.Errorf("%s is refused without a reason", l)
		}
	}
	if len(r.Operations) != 209 || len(r.Actions) != 64 {
		t.Errorf("the list has %d operations and %d actions, want 209 and 64", len(r.Operations), len(r.Actions))
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := coverage.Read(strings.NewReader("method\tpath\tmin\tmax\tsummary\tactions\n" +
		"GET\t/v2.1/images\t2.1\t2.35\tList Images\t\n" +
		"POST\t/v2.1/x/{id}/action\t\t\t\tone,two\n"))
	want := []coverage.Operation{
		{Method: "GET", Path: "/v2.1/images", Min: "2.1", Max: "2.35", Title: "List Images"},
		{Method: "POST", Path: "/v2.1/x/{id}/action", Actions: []string{"one", "two"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Read(…) (-want +got), %v:\n%s", err, diff)
	}
	if _, err := coverage.Read(strings.NewReader("method\tpath\nGET\t/")); err == nil {
		t.Error("Read of too few columns succeeds")
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	s := gateway.Service{Prefix: "/compute", Version: "/v2.1", ProjectInPath: true, Routes: []gateway.Route{
		{Method: "GET", Pattern: "//", Strategy: gateway.Public},
		{Method: "GET", Pattern: "/things/{id}", Strategy: gateway.Routed},
		{Method: "GET", Pattern: "/things/*", Strategy: gateway.Refused, Note: "why"},
		{Method: "POST", Pattern: "/things/{id}/action", Strategy: gateway.Routed, Actions: []gateway.Action{
			{Name: "start", Strategy: gateway.Central, Note: "ours"},
		}},
		{Method: "POST", Pattern: "/others/{id}/action", Strategy: gateway.Replicated},
	}}
	got := coverage.Compare("Compute", s, []coverage.Operation{
		{Method: "GET", Path: "/"},
		{Method: "GET", Path: "/v2.1/{project_id}/things/{thing_id}"},
		{Method: "GET", Path: "/v2.1/things/{id}/deeper"},
		{Method: "DELETE", Path: "/v2.1/things/{id}"},
		{Method: "POST", Path: "/v2.1/things/{id}/action", Actions: []string{"start", "stop"}},
		{Method: "POST", Path: "/v2.1/others/{id}/action", Actions: []string{"any"}},
	})
	var lines []string
	for _, l := range append(got.Operations, got.Actions...) {
		line := l.String() + ": " + string(l.Strategy) + " " + l.Note
		if l.Wild {
			line += " (wild)"
		}
		lines = append(lines, line)
	}
	want := []string{
		"GET /: public ",
		"GET /v2.1/{project_id}/things/{thing_id}: routed ",
		"GET /v2.1/things/{id}/deeper: refused why (wild)",
		"DELETE /v2.1/things/{id}: missing ",
		"POST /v2.1/things/{id}/action: routed ",
		"POST /v2.1/others/{id}/action: replicated ",
		"POST /v2.1/things/{id}/action start: central ours",
		"POST /v2.1/things/{id}/action stop: missing ",
		"POST /v2.1/others/{id}/action any: replicated ",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("Compare(…) (-want +got):\n%s", diff)
	}
}
