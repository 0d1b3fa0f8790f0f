package region_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/pod/podtest/nova"
)

// TestWhatTheZoneLacks: a zone that no pod can serve a request in, and zones that
// are none.
func TestWhatTheZoneLacks(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo := r.as("demo")
	only2 := r.pod("pod2").AddImage(glance.Image{Name: "rare"})
	stays := r.pod("pod2").AddImage(glance.Image{Name: "stays", Properties: map[string]string{"tricircle_copy": "home-only"}})
	r.pod("pod2").AddFlavor(nova.Flavor{ID: "7", Name: "rare", RAM: 64, VCPUs: 1, Disk: 1})
	for name, c := range map[string]struct {
		fields m
		status int
		said   string
	}{
		"image missing":           {m{"imageRef": stays}, 400, "image " + stays},
		"flavor missing":          {m{"flavorRef": "7"}, 400, "pod1: it does not have flavor 7"},
		"image nowhere":           {m{"imageRef": uuid.Nil.String(), "availability_zone": nil}, 400, uuid.Nil.String()},
		"flavor nowhere":          {m{"flavorRef": "99", "availability_zone": nil}, 400, "99"},
		"unknown zone":            {m{"availability_zone": "az9"}, 400, "The requested availability zone is not available"},
		"the pod's word for it":   {m{"availability_zone": "nova"}, 400, "The requested availability zone is not available"},
		"a zone that is a number": {m{"availability_zone": 1}, 400, "availability_zone"},
	} {
		got := demo.create(c.fields)
		if got.status != c.status || !strings.Contains(got.get("badRequest.message").Str, c.said) {
			t.Errorf("%s: %d %s, want %d with %q", name, got.status, got.body, c.status, c.said)
		}
	}
	anywhere := demo.boot(m{"imageRef": only2, "flavorRef": "7", "availability_zone": nil})
	if got := demo.do("GET", compute+"/servers/"+anywhere, nil).get(`server.OS-EXT-AZ:availability_zone`).Str; got != "az2" {
		t.Errorf("without a zone the server is in %q, want az2, which has image and flavor", got)
	}
}

// TestMalformedBodies: each API says so in its own shape.
func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo, admin := r.as("demo"), r.as("admin")
	for _, c := range []struct {
		by   *client
		path string
		said string // where the message is
	}{
		{demo, compute + "/servers", "badRequest.message"}, {demo, network + "/networks", "NeutronError.message"}, {demo, network + "/ports", "NeutronError.message"},
		{demo, volume + "/" + demo.project + "/volumes", "badRequest.message"}, {demo, image + "/images", ""}, {admin, "/admin/v1/pods", "error.message"},
	} {
		for _, body := range []string{`{`, `not json`, "\xff\xfe", `{"a": }`, ``, `{}{}`} {
			got := c.by.do("POST", c.path, body)
			if got.status != 400 || c.said != "" && got.get(c.said).Str == "" {
				t.Errorf("POST %s %q: %d %s, want 400 and why", c.path, body, got.status, got.body)
			}
		}
	}
	for _, body := range []any{`[]`, `"x"`, `{"server": 7}`, `{"server": null}`, m{"server": m{"name": strings.Repeat("[", 1000)}}} {
		if got := demo.do("POST", compute+"/servers", body); got.status != 400 {
			t.Errorf("POST /servers %v: %d %s, want 400", body, got.status, got.body)
		}
	}
	deep := `{"server": ` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + `}`
	if got := demo.do("POST", compute+"/servers", deep); got.status != 400 {
		t.Errorf("a body nested deeply: %d, want 400", got.status)
	}
}

// meter counts what is read of an endless body.
type meter struct {
	left int64
	read atomic.Int64
}

func (b *meter) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), b.left)
	copy(p, bytes.Repeat([]byte("x"), int(n)))
	b.left -= n
	b.read.Add(n)
	return int(n), nil
}

// TestHugeRequests: a body of 100 MB is refused without being read, whether its
// length is told or not; headers have a limit too. An image may be that large.
func TestHugeRequests(t *testing.T) {
	t.Parallel()
	const huge = 100 << 20
	r := newRegion(t, setup{})
	demo := r.as("demo")
	for _, path := range []string{compute + "/servers", network + "/networks", volume + "/" + demo.project + "/volumes", image + "/images"} {
		body := &meter{left: huge}
		got, err := demo.try(t.Context(), "POST", path, body)
		if read := body.read.Load(); read > 16<<20 {
			t.Errorf("POST %s: %d bytes were taken", path, read)
		}
		// The connection ends while the client still sends: it may miss the reply.
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			continue
		}
		if err != nil || got.status != 413 {
			t.Errorf("POST %s: %d %s %v, want 413", path, got.status, got.body, err)
		}
	}
	told := demo.with("Expect", "100-continue")
	body := bytes.NewReader(make([]byte, huge))
	if got := told.do("POST", compute+"/servers", body); got.status != 413 || got.header.Get("X-Openstack-Request-Id") == "" || body.Len() != huge {
		t.Errorf("with its length told: %d %v, %d bytes taken, want 413 and none", got.status, got.header, huge-body.Len())
	}
	if got := demo.with("X-Long", strings.Repeat("x", 80<<10)).do("GET", compute+"/servers", nil); got.status != 431 {
		t.Errorf("a header of 80 KiB: %d, want 431", got.status)
	}
	demo.do("GET", compute+"/servers", nil).want(t, 200)
}

var requestIDs = regexp.MustCompile(`pod[12]=req-[0-9a-f-]{36}`)

// TestRequestIDs: every reply has an ID of ours; what pods did for it is under
// theirs; the log has both, and the pods are told ours.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo := r.as("demo")
	id := demo.boot(nil)
	told := make(chan string, 10)
	remove := r.pod("pod1").Fault(podtest.Fault{Service: podtest.Compute, Path: "/servers/" + id, Before: func(req *http.Request) {
		told <- req.Header.Get("X-Openstack-Request-Id")
	}})
	got := demo.do("GET", compute+"/servers/"+id, nil).want(t, 200)
	checkRequestID(t, got)
	ours := got.header.Get("X-Openstack-Request-Id")
	if header := <-told; header != ours {
		t.Errorf("the pod was told request ID %q, want %q", header, ours)
	}
	remove()
	theirs := got.header.Get("X-Tricircle-Pod-Request-Ids")
	if !requestIDs.MatchString(theirs) || strings.Contains(theirs, ours) {
		t.Errorf("X-Tricircle-Pod-Request-Ids = %q, want pod1's own ID", theirs)
	}
	eventually(t, "the log has both IDs in one line", func() string {
		for line := range strings.Lines(r.log.String()) {
			if strings.Contains(line, "request_id="+ours) && strings.Contains(line, theirs) {
				return ""
			}
		}
		return "no such line"
	})

	list := demo.do("GET", compute+"/servers", nil).want(t, 200)
	pods := requestIDs.FindAllString(list.header.Get("X-Tricircle-Pod-Request-Ids"), -1)
	for i := range pods {
		pods[i] = pods[i][:4]
	}
	slices.Sort(pods)
	if diff := cmp.Diff([]string{"pod1", "pod2"}, slices.Compact(pods)); diff != "" {
		t.Errorf("pods of a list (-want +got):\n%s", diff)
	}
	seen := map[string]bool{}
	for _, path := range []string{compute + "/servers/none", network + "/networks/none", volume + "/volumes/none", image + "/images/none", "/nowhere", compute + "/nowhere", "/admin/v1/pods"} {
		for _, by := range []*client{demo, demo.holding("none")} {
			got := by.do("GET", path, nil)
			id := got.header.Get("X-Openstack-Request-Id")
			if got.status < 400 || !strings.HasPrefix(id, "req-") || seen[id] {
				t.Errorf("GET %s: %d with request ID %q, want an error with one of its own", path, got.status, id)
			}
			seen[id] = true
		}
	}
	r.pod("pod1").Fault(podtest.Fault{Service: podtest.Compute, Path: "/servers/" + id, Status: 500})
	failed := demo.do("GET", compute+"/servers/"+id, nil)
	if failed.status != 503 || !strings.Contains(failed.message(), "pod1") || failed.header.Get("X-Tricircle-Pod") != "pod1" {
		t.Errorf("a 500 of the pod's: %d %v %s, want 503 that names pod1", failed.status, failed.header, failed.body)
	}
	checkRequestID(t, failed)
}
