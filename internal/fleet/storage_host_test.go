package fleet_test

import (
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// TestStorageHosts holds that all that is on a node of one name is told apart by
// pod, and found again.
func TestStorageHosts(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	f, c, _, _, _ := twoPods(t, s)
	c.say("Pod1", "service/os-services", `{"services": [{"host": "node1"}, {"host": "node1@lvm"}, {"host": "node2@lvm"}]}`)
	c.say("Pod2", "service/os-services", `{"services": [{"host": "node1@lvm"}, {"host": "node3@lvm"}]}`)
	c.say("Pod3", "service/os-services", `{"services": []}`)
	if _, _, err := f.FindStorageHost(t.Context(), "node9@lvm"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a host that nobody has: %v, want not found", err)
	}
	for _, test := range []struct{ pod, host, want string }{
		{"pod1", "node1@lvm#gold", "node1@lvm#gold"}, {"pod1", "node1", "node1"}, {"pod2", "node1@lvm", "node1@lvm@pod2"},
		{"pod2", "node3@lvm#gold", "node3@lvm#gold"}, {"pod1", "", ""},
	} {
		got := f.StorageHostName(t.Context(), test.pod, test.host)
		if got != test.want {
			t.Errorf("%s of %s is %q, want %q", test.host, test.pod, got, test.want)
		}
		if test.host == "" {
			continue
		}
		if pod, host, err := f.FindStorageHost(t.Context(), got); err != nil || pod != test.pod || host != test.host {
			t.Errorf("%s is %s in %s (%v), want %s in %s", got, host, pod, err, test.host, test.pod)
		}
	}
	c.fail("Pod3", 503)
	if _, _, err := f.FindStorageHost(t.Context(), "node8@lvm"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a host that the pod may have that is away: %v, want unavailable", err)
	}
}
