//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
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
	speaks  string // the first microversion; none: it has no microversions
	newest  int    // what the pods speak
	keeps   bool   // what is created, until the end
	settles bool   // what was asked for goes on for a while, as the status tells
	byTurns bool   // the pod, which is also the region's, fails when both worlds ask at once
}

var (
	computeAPI = API{
		name: "compute", version: "/v2.1", speaks: "2.1", newest: 93,
		client: func(u *Tenant) *gophercloud.ServiceClient { return u.Compute },
	}
	networkAPI = API{
		name: "network", version: "/v2.0", keeps: true,
		client: func(u *Tenant) *gophercloud.ServiceClient { return u.Network },
	}
	volumeAPI = API{
		name: "volume", version: "/v3", speaks: "3.0", newest: 70, keeps: true, settles: true,
		client: func(u *Tenant) *gophercloud.ServiceClient { return u.Volume },
	}
	imageAPI = API{
		name: "image", version: "/v2", keeps: true, settles: true, byTurns: true,
		client: func(u *Tenant) *gophercloud.ServiceClient { return u.Image },
	}
)

// TestDiffer puts the same requests to a pod and to the region. What differs, once
// IDs, links, times, hosts and zones are taken out, must be on the list of
// deliberate differences; and what is on the list must differ.
func TestDiffer(t *testing.T) {
	image := imageOfPod1(t)
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

// TestDifferVolume does the same for the Block Storage API.
func TestDifferVolume(t *testing.T) {
	long(t)
	t.Parallel() // after all others, and beside its like
	image := imageOfPod1(t)
	inPod := newWorld(t, volumeAPI, "pod", "nova", "Pod1")
	inRegion := newWorld(t, volumeAPI, "region", "az1", region.Name)
	for _, w := range []*World{inPod, inRegion} {
		w.things["image"] = image
	}
	differ(t, volumeAPI, inPod, inRegion)
}

// TestDifferImage does the same for the Image API.
func TestDifferImage(t *testing.T) {
	long(t)
	t.Parallel() // after all others, and beside its like
	inPod := newWorld(t, imageAPI, "pod", "nova", "Pod1")
	inRegion := newWorld(t, imageAPI, "region", "az1", region.Name)
	for _, w := range []*World{inPod, inRegion} {
		t.Cleanup(func() { // should the cases not come so far
			must(w.ask(live(t), Case{Who: "admin", Method: http.MethodDelete, Path: "/metadefs/namespaces/{world}"}, ""))(t)
		})
	}
	differ(t, imageAPI, inPod, inRegion)
}

// imageOfPod1 is an image that both worlds know by the same ID: it was in the pod
// before the region was asked.
func imageOfPod1(t *testing.T) string {
	t.Helper()
	public := images.ImageVisibilityPublic
	return loginTo(t, "admin", "Pod1").upload(images.CreateOpts{Name: "differ", DiskFormat: "raw", ContainerFormat: "bare", Visibility: &public})
}

func differ(t *testing.T, api API, inPod, inRegion *World) {
	t.Helper()
	differences := readDifferences(t, api)
	operations := readOperations(t, api)
	asked, agree := map[string]int{}, 0
	cases := readCases(t, api)
	requests := 0
	for _, c := range cases {
		o := operations.of(api, c)
		name := nameOf(o, c)
		same := true
		versions, inProject := api.asked(o, c), operations.inProject(o)
		if inProject != nil && len(versions) == 1 && (c.Method == http.MethodGet || strings.Contains(c.Path, "{nobody}")) {
			versions = append(versions, versions...) // in both forms: it changes nothing
		}
		for _, version := range versions {
			requests++
			asking, form := c, name
			if inProject != nil && asked[name] > asked[nameOf(inProject, c)] {
				asking.Path, form = ofAsker[c.Who]+c.Path, nameOf(inProject, c)
			}
			asked[form]++
			a, b := askBoth(t, asking, version, inPod, inRegion)
			inPod.keep(t, c, a)
			inRegion.keep(t, c, b)
			for _, d := range compare(a, b, inPod, inRegion) {
				same = false
				if !deliberate(differences, asking, name+"@"+version, d) {
					t.Errorf("%s: %s: %s", c.file, strings.TrimSpace(asking.String()+" "+version), d)
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
func reportOperations(t *testing.T, all Operations, asked map[string]int) {
	t.Helper()
	operations, actions := 0, 0
	for _, o := range all {
		name := o.Method + " " + o.Path
		for _, action := range o.Actions {
			if asked[name+" "+action] > 0 {
				actions++
				asked[name]++
			} else {
				t.Logf("no case: %s %s", name, action)
			}
		}
		if asked[name] > 0 {
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
