package alias

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

const (
	ours    = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa"
	theirs  = "bbbbbbbb-2222-4222-8222-bbbbbbbbbbbb"
	another = "cccccccc-3333-4333-8333-cccccccccccc"
)

func namesOf(pairs ...Pair) names { return (*page)(nil).with(pairs).ours }

func TestReplace(t *testing.T) {
	t.Parallel()
	n := namesOf(Pair{ID: ours, PodID: theirs, Seq: 1})
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"short", ours[1:], ours[1:]},
		{"alone", ours, theirs},
		{"in a path", "/servers/" + ours + "/action", "/servers/" + theirs + "/action"},
		{"twice", ours + ours, theirs + theirs},
		{"another's", `{"id": "` + another + `"}`, `{"id": "` + another + `"}`},
		{"after dashes", "a-b-c--" + ours + "-", "a-b-c--" + theirs + "-"},
		{"of letters before", "req-" + another[:9] + ours, "req-" + another[:9] + theirs},
		{"cut off", `"` + ours[:35] + `"`, `"` + ours[:35] + `"`},
		{"the pod's stays", theirs, theirs},
	} {
		if got := n.text(c.in); got != c.want {
			t.Errorf("%s: text(%q) = %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

// TestStream: however the bytes come in, they go out as if they had come at once.
func TestStream(t *testing.T) {
	t.Parallel()
	n := namesOf(Pair{ID: ours, PodID: theirs, Seq: 1})
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{ours, theirs, another, "-", "{", "a-b", ours[:20], ours[20:], strings.Repeat("x", chunk-20)})).Draw(t, "parts")
		in := strings.Join(parts, "")
		var from io.Reader = strings.NewReader(in)
		if rapid.Bool().Draw(t, "one byte") && len(in) < 5000 {
			from = iotest.OneByteReader(from)
		}
		if rapid.Bool().Draw(t, "end with the data") {
			from = iotest.DataErrReader(from)
		}
		got, err := io.ReadAll(newStream(n, from))
		if want := n.text(in); err != nil || string(got) != want {
			t.Fatalf("read %q, %v, want %q", got, err, want)
		}
	})
}

func TestStreamBreaksOff(t *testing.T) {
	t.Parallel()
	n := namesOf(Pair{ID: ours, PodID: theirs, Seq: 1})
	got, err := io.ReadAll(newStream(n, iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("ab")))))
	if string(got) != "a" || err == nil {
		t.Errorf("read %q, %v, want what came and the error", got, err)
	}
}

// BenchmarkList is a list of a thousand servers, of which one in ten has an alias.
func BenchmarkList(b *testing.B) {
	var pairs []Pair
	var list bytes.Buffer
	for i := range 1000 {
		mine := fmt.Sprintf("%08x-1111-4111-8111-aaaaaaaaaaaa", i)
		if i%10 == 0 {
			pairs = append(pairs, Pair{ID: fmt.Sprintf("%08x-2222-4222-8222-aaaaaaaaaaaa", i), PodID: mine, Seq: int64(i + 1)})
		}
		fmt.Fprintf(&list, `{"id": %q, "created": "2026-01-02T03:04:05Z", "OS-EXT-STS:vm_state": "active", "links": [{"href": "http://pod/v2.1/servers/%s"}], "image": {"id": %q}, "pad": %q}`,
			mine, mine, another, strings.Repeat("x", 1200))
	}
	n := (*page)(nil).with(pairs).theirs
	b.SetBytes(int64(list.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.Copy(io.Discard, newStream(n, bytes.NewReader(list.Bytes()))); err != nil {
			b.Fatal(err)
		}
	}
}
