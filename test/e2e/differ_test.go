//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"github.com/tricircle/tricircle/internal/gateway/coverage"
)

// Deliberate is a difference that is meant, with its reason.
type Deliberate struct {
	Operation, What *regexp.Regexp
	Reason          string
	used            bool
}

// API is one of the region's, held against the same of a pod.
type API struct {
	name    string // of its list in docs/api, and of its folder of cases
	version string // in the paths of its operations
	client  func(*Tenant) *gophercloud.ServiceClient
	asked   func(*coverage.Operation, Case) []string // at which microversions
	keeps   bool                                     // what is created with 201, until the end
}

var (
	computeAPI = API{
		name: "compute", version: "/v2.1", asked: versionsFor,
		client: func(u *Tenant) *gophercloud.ServiceClient { return u.Compute },
	}
	networkAPI = API{
		name: "network", version: "/v2.0", keeps: true, asked: func(*coverage.Operation, Case) []string { return []string{""} },
		client: func(u *Tenant) *gophercloud.ServiceClient { return u.Network },
	}
)

// TestDiffer puts the same requests to a pod and to the region. What differs, once
// IDs, links, times, hosts and zones are taken out, must be on the list of
// deliberate differences; and what is on the list must differ.
func TestDiffer(t *testing.T) {
	public := images.ImageVisibilityPublic
	image := login(t, "admin").upload(images.CreateOpts{Name: "differ", DiskFormat: "raw", ContainerFormat: "bare", Visibility: &public})
	inPod := newWorld(t, computeAPI, "pod", "nova", "Pod1")
	inRegion := newWorld(t, computeAPI, "region", "az1", region.Name)
	for _, w := range []*World{inPod, inRegion} {
		w.things["image"] = image
		w.furnish(t)
		w.look(t)
	}
	differ(t, computeAPI, inPod, inRegion)
}

// TestDifferNetwork does the same for the Network API.
func TestDifferNetwork(t *testing.T) {
	inPod := newWorld(t, networkAPI, "pod", "nova", "Pod1")
	inRegion := newWorld(t, networkAPI, "region", "az1", region.Name)
	defer inPod.untie(t) // before what the cases have made is deleted
	defer inRegion.untie(t)
	differ(t, networkAPI, inPod, inRegion)
}

func differ(t *testing.T, api API, inPod, inRegion *World) {
	t.Helper()
	differences := readDifferences(t, api)
	operations := readOperations(t, api)
	asked, agree := map[string]bool{}, 0
	cases := readCases(t, api)
	requests := 0
	for _, c := range cases {
		o := operations.of(api, c)
		name := nameOf(o, c)
		asked[name] = true
		same := true
		for _, version := range api.asked(o, c) {
			requests++
			a, b := askBoth(t, c, version, inPod, inRegion)
			for _, d := range compare(a, b, inPod, inRegion) {
				same = false
				if !deliberate(differences, c, name+"@"+version, d) {
					t.Errorf("%s: %s: %s", c.file, strings.TrimSpace(c.String()+" "+version), d)
				}
			}
		}
		if same {
			agree++
		}
	}
	for _, d := range differences {
		if !d.used && *differOnly == "" && !strings.HasPrefix(d.Reason, "Sometimes ") {
			t.Errorf("nothing differs any more as listed: %s %s (%s)", d.Operation, d.What, d.Reason)
		}
	}
	if *differOnly == "" {
		reportOperations(t, operations, asked)
	}
	fmt.Printf("differ: %s: %d cases, %d requests to each; %d cases agree in all, %d but for deliberate differences\n",
		api.name, len(cases), requests, agree, len(cases)-agree)
}

// reportOperations tells how much of the API has cases.
func reportOperations(t *testing.T, all Operations, asked map[string]bool) {
	t.Helper()
	operations, actions := 0, 0
	for _, o := range all {
		name := o.Method + " " + o.Path
		for _, action := range o.Actions {
			if asked[name+" "+action] {
				actions++
				asked[name] = true
			} else {
				t.Logf("no case: %s %s", name, action)
			}
		}
		if asked[name] {
			operations++
		} else {
			t.Logf("no case: %s", name)
		}
	}
	fmt.Printf("differ: %d of %d operations and %d actions have cases\n", operations, len(all), actions)
}

var asker = regexp.MustCompile(`^(member|admin|stranger|nobody) `)

func deliberate(all []*Deliberate, c Case, operation string, d Difference) bool {
	for _, x := range all {
		if (x.Operation.MatchString(operation) || x.Operation.MatchString(c.String())) && x.What.MatchString(d.What) {
			x.used = true
			return true
		}
	}
	return false
}

// readDifferences reads the list: "# reason" above lines of "OPERATION :: WHAT",
// both patterns that must match in whole; an operation ends in @VERSION. Instead of
// an operation a line may have a case, which begins with who asks. A reason that
// begins with "Sometimes" need not show.
func readDifferences(t *testing.T, api API) []*Deliberate {
	t.Helper()
	var all []*Deliberate
	reason, above := "", false
	for line := range strings.Lines(string(must(os.ReadFile("testdata/differ/" + api.name + "/deliberate"))(t))) {
		line = strings.TrimSpace(line)
		comment, isComment := strings.CutPrefix(line, "#")
		switch {
		case isComment && above:
			reason += comment
		case isComment:
			reason = strings.TrimSpace(comment)
		case line != "":
			operation, what, ok := strings.Cut(line, " :: ")
			if !ok || reason == "" {
				t.Fatalf("cannot read the difference %q", line)
			}
			if !strings.Contains(operation, "@") && !asker.MatchString(operation) {
				operation += "@.*"
			}
			all = append(all, &Deliberate{
				Operation: regexp.MustCompile("^(" + operation + ")$"), What: regexp.MustCompile("^(" + what + ")$"), Reason: reason,
			})
		}
		above = isComment
	}
	return all
}
