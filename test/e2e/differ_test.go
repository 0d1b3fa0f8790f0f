//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

// Deliberate is a difference that is meant, with its reason.
type Deliberate struct {
	Operation, What *regexp.Regexp
	Reason          string
	used            bool
}

// TestDiffer puts the same requests to a pod and to the region. What differs, once
// IDs, links, times, hosts and zones are taken out, must be on the list of
// deliberate differences; and what is on the list must differ.
func TestDiffer(t *testing.T) {
	public := images.ImageVisibilityPublic
	image := login(t, "admin").upload(images.CreateOpts{Name: "differ", DiskFormat: "raw", ContainerFormat: "bare", Visibility: &public})
	inPod := newWorld(t, "pod", "nova", "Pod1", image)
	inRegion := newWorld(t, "region", "az1", region.Name, image)
	differences := readDifferences(t)
	operations := computeOperations(t)

	asked, agree := map[string]bool{}, 0
	cases := readCases(t)
	requests := 0
	for _, c := range cases {
		o := operations.of(c)
		name := nameOf(o, c)
		asked[name] = true
		same := true
		for _, version := range versionsFor(o, c) {
			requests++
			a, b := askBoth(t, c, version, inPod, inRegion)
			for _, d := range compare(a, b, inPod, inRegion) {
				same = false
				if !deliberate(differences, name, version, d) {
					t.Errorf("%s at %s: %s", c, version, d)
				}
			}
		}
		if same {
			agree++
		}
	}
	for _, d := range differences {
		if !d.used && *differOnly == "" {
			t.Errorf("nothing differs any more as listed: %s %s (%s)", d.Operation, d.What, d.Reason)
		}
	}
	reportOperations(t, operations, asked)
	fmt.Printf("differ: %d cases, %d requests to each; %d cases agree in all, %d but for deliberate differences\n", len(cases), requests, agree, len(cases)-agree)
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

func deliberate(all []*Deliberate, name, version string, d Difference) bool {
	for _, x := range all {
		if x.Operation.MatchString(name+"@"+version) && x.What.MatchString(d.What) {
			x.used = true
			return true
		}
	}
	return false
}

// readDifferences reads the list: "# reason" above lines of "OPERATION :: WHAT",
// both patterns that must match in whole; an operation ends in @VERSION.
func readDifferences(t *testing.T) []*Deliberate {
	t.Helper()
	var all []*Deliberate
	reason, above := "", false
	for line := range strings.Lines(string(must(os.ReadFile("testdata/differ/deliberate"))(t))) {
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
			if !strings.Contains(operation, "@") {
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
