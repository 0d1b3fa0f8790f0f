package crash_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// TestKilledWhileAVolumeIsMade: the program dies at the call that makes a volume,
// before the pod did the work or after it. Afterwards pod and region agree on one
// volume or none.
func TestKilledWhileAVolumeIsMade(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	for _, after := range []bool{false, true} {
		kill := func(*http.Request) { r.process.kill() }
		fault := podtest.Fault{Service: podtest.Volume, Method: "POST", Path: `/volumes$`, Times: 1, Before: kill}
		if after {
			fault.Before, fault.After = nil, kill
		}
		remove := r.pod.Fault(fault)
		if status := r.send(r.token, http.MethodPost, "/volume/v3/volumes", `{"volume": {"size": 1}}`, nil); status != 0 {
			t.Errorf("after the work %v: the creation answered %d", after, status)
		}
		remove()
		r.process.kill() // it is being killed: wait
		r.process = start(t, r.config)
		r.eventually("no work is left", r.unfinished)
		inPod, known := r.pod.Inventory()["volume"], r.volumes()
		if !slices.Equal(inPod, known) || after && len(known) != 1 || !after && len(known) > 1 {
			t.Errorf("after the work %v: volumes in the pod %v, in the region %v", after, inPod, known)
		}
		for _, id := range known {
			r.do(http.MethodDelete, "/volume/v3/volumes/"+id, nil, nil, http.StatusAccepted)
		}
		r.eventually("the volumes are gone", func() string { return fmt.Sprint(r.volumes()) })
	}
}

func (r *region) volumes() []string {
	r.t.Helper()
	var list struct{ Volumes []struct{ ID string } }
	r.do(http.MethodGet, "/volume/v3/volumes", nil, &list, http.StatusOK)
	var ids []string
	for _, v := range list.Volumes {
		ids = append(ids, v.ID)
	}
	slices.Sort(ids)
	return ids
}
