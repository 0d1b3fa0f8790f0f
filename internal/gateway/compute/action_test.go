package compute_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// actionNames are those of a server in the public list of operations.
func actionNames(t *testing.T) map[string]bool {
	t.Helper()
	list, err := os.ReadFile("../../../docs/api/compute.tsv")
	must(t, err)
	names := map[string]bool{}
	for line := range strings.Lines(string(list)) {
		cells := strings.Split(strings.TrimSpace(line), "\t")
		if cells[1] != "/v2.1/servers/{id}/action" {
			continue
		}
		for name := range strings.SplitSeq(cells[len(cells)-1], ",") {
			names[name] = true
		}
	}
	return names
}

// TestActions holds where each action of a server is done: "pod" answers what the
// server's pod is asked to do, all else is done or refused here.
func TestActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	n := demo.network("blue", "10.1.0.0/24")
	id := demo.boot("az1", on(m{"uuid": n.ID}))
	w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Compute, Method: "POST", Path: `/action$`, Status: 409, Body: `{"conflictingRequest": {"code": 409, "message": "asked"}}`})
	const inPod = "asked"
	names := actionNames(t)
	for _, test := range []struct {
		names, version string
		value          any
		status         int
		want           string
	}{
		{"os-start os-stop pause unpause suspend resume lock unlock confirmResize revertResize unrescue shelve shelveOffload", "2.93", nil, 409, inPod},
		{"trigger_crash_dump injectNetworkInfo migrate restore forceDelete unshelve", "2.93", nil, 409, inPod},
		{"reboot resize rescue changePassword os-resetState os-migrateLive evacuate", "2.93", m{}, 409, inPod},
		{"os-getConsoleOutput os-getVNCConsole os-getSPICEConsole os-getRDPConsole os-getSerialConsole createImage createBackup rebuild", "2.1", m{}, 409, inPod},
		{"unshelve", "2.77", m{"availability_zone": "az1"}, 409, inPod},
		{"unshelve", "2.77", m{"availability_zone": "az2"}, 400, "The requested availability zone is not available: the server is in pod pod1 of zone az1 and cannot move to zone az2"},
		{"unshelve", "2.77", m{"availability_zone": "nova"}, 400, "The requested availability zone is not available"},
		{"rebuild", "2.93", m{"imageRef": imageID, "metadata": m{"tricircle": "x"}}, 400, `Invalid input for field/attribute metadata. The key "tricircle" is reserved by this region.`},
		{"resetNetwork", "2.93", nil, 410, "This resource is no longer available. No forwarding address is given."},
		{"addFixedIp removeFixedIp addFloatingIp removeFloatingIp", "2.44", m{}, 404, "The resource could not be found."},
		{"addFixedIp", "2.43", m{"networkId": n.ID}, 202, ""},
		{"removeFixedIp", "2.43", m{"address": "10.9.9.9"}, 400, "Instance " + id + " doesn't have fixed IP '10.9.9.9'."},
		{"addFloatingIp", "2.43", m{"address": "198.51.100.9"}, 404, "floating IP not found"},
		{"removeFloatingIp", "2.43", m{"address": "198.51.100.9"}, 404, "Floating IP not found for address 198.51.100.9."},
		{"addSecurityGroup removeSecurityGroup", "2.93", 1, 400, "Missing parameter dict"},
		{"addSecurityGroup removeSecurityGroup", "2.93", m{}, 400, "Security group not specified"},
		{"addSecurityGroup removeSecurityGroup", "2.93", m{"name": " "}, 400, "Security group name cannot be empty"},
		{"addSecurityGroup removeSecurityGroup", "2.93", m{"name": "x"}, 404, "Security group x is not found for project " + demo.project},
		{"removeSecurityGroup", "2.93", m{"name": "default"}, 202, ""},
		{"removeSecurityGroup", "2.93", m{"name": "default"}, 404, "Security group default not associated with the instance " + id},
		{"addSecurityGroup", "2.93", m{"name": "default"}, 202, ""},
		{"no-such-action", "2.93", nil, 409, inPod}, // which a newer pod may know
	} {
		for name := range strings.FieldsSeq(test.names) {
			delete(names, name)
			got := demo.at(test.version).do("POST", "/servers/"+id+"/action", m{name: test.value})
			if diff := cmp.Diff(test.want, got.message()); diff != "" || got.status != test.status {
				t.Errorf("%s %v at %s: %d, want %d; message (-want +got):\n%s", name, test.value, test.version, got.status, test.status, diff)
			}
		}
	}
	if len(names) > 0 {
		t.Errorf("not tried: %v", names)
	}
	for body, want := range map[string]string{
		`{"pause":null,"lock":null}`: "Malformed request body", `{}`: "Malformed request body", `{`: "Malformed request body", ``: "Malformed request body",
		`[]`: "Malformed request body", `1`: "The resource could not be found.",
	} {
		if got := demo.do("POST", "/servers/"+id+"/action", body); got.message() != want {
			t.Errorf("%q: %d %s, want %q", body, got.status, got.body, want)
		}
	}
	if got := demo.do("POST", "/servers/nope/action", m{"nope": nil}); got.status != 400 || got.message() != "There is no such action: nope" {
		t.Errorf("an action nobody knows: %d %s", got.status, got.body)
	}
}

// TestContentTypes holds which bodies Nova reads.
func TestContentTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	for kind, status := range map[string]int{
		"application/json": 400, "application/json; charset=utf-8": 400, "text/plain": 400, "application/vnd.openstack.compute+json": 400,
		"application/xml": 415, "application/octet-stream": 415,
	} {
		if got := demo.typed(kind, "POST", "/servers", `{}`); got.status != status {
			t.Errorf("%s: %d %s, want %d", kind, got.status, got.body, status)
		}
	}
}
