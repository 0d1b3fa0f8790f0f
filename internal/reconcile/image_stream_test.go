package reconcile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

func TestBandwidth(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := &bandwidth{rate: 1000}
	for i, want := range []time.Duration{0, 500 * time.Millisecond, 2500 * time.Millisecond} {
		n := []int{500, 2000, 1}[i]
		if got := b.reserve(n, now); got != want {
			t.Errorf("reserve %d = %v, want %v", i, got, want)
		}
	}
	if got := b.reserve(1, now.Add(time.Hour)); got != 0 {
		t.Errorf("reserve after a pause = %v, want 0", got)
	}
	if got := (&bandwidth{}).reserve(1<<40, now); got != 0 {
		t.Errorf("reserve without a bound = %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.wait(ctx, 1, now); !errors.Is(err, context.Canceled) {
		t.Errorf("wait = %v, want canceled", err)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	s := slots{most: 1, used: map[string]int{}}
	free, ok := s.take("pod1")
	if _, twice := s.take("pod1"); !ok || twice {
		t.Errorf("take = %v, then %v", ok, twice)
	}
	if _, ok := s.take("pod2"); !ok {
		t.Error("pod1's copies hold up pod2's")
	}
	free()
	if _, ok := s.take("pod1"); !ok {
		t.Error("a slot that was freed is not free")
	}
}

// streamOf is a stream over data, with the hash of other data if that is given.
func streamOf(data, hashed []byte, size int64) *imageStream {
	sum := sha256.Sum256(hashed)
	home := plan.Image{"os_hash_algo": "sha256", "os_hash_value": hex.EncodeToString(sum[:])}
	return &imageStream{source: bytes.NewReader(data), size: size, proof: proofOf(home), now: time.Now,
		pace: func(int) error { return nil }, report: func(int64) error { return nil }}
}

func TestImageStream(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 100)
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "with its end": iotest.DataErrReader,
	} {
		for _, size := range []int64{int64(len(data)), -1} {
			s := streamOf(data, data, size)
			s.source = wrap(s.source)
			got, err := io.ReadAll(s)
			if err != nil || !bytes.Equal(got, data) || s.err != nil {
				t.Errorf("%s, size %d: read %d bytes, %v, %v", name, size, len(got), err, s.err)
			}
			s = streamOf(data, data[1:], size)
			s.source = wrap(s.source)
			got, err = io.ReadAll(s)
			if !fault.Is(err, fault.Conflict) || s.err == nil || size > 0 && len(got) >= len(data) {
				t.Errorf("%s, size %d, spoiled: gave %d of %d bytes away, %v", name, size, len(got), len(data), err)
			}
		}
	}
}

func TestImageStreamEnds(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := streamOf(nil, nil, 10)
	s.source = iotest.ErrReader(broken)
	if _, err := io.ReadAll(s); !errors.Is(err, broken) || !errors.Is(s.err, broken) {
		t.Errorf("broken source: %v, %v", err, s.err)
	}
	s = streamOf(make([]byte, 10), nil, 20)
	s.report = func(int64) error { return errNotWanted }
	if _, err := io.ReadAll(s); !errors.Is(err, errNotWanted) {
		t.Errorf("copy that is not wanted: %v", err)
	}
}

func TestProofOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		home plan.Image
		kind string
	}{
		{plan.Image{"os_hash_algo": "sha512", "os_hash_value": "x", "checksum": "y"}, "sha512"},
		{plan.Image{"os_hash_algo": "blake9", "os_hash_value": "x", "checksum": "y"}, "md5"},
		{plan.Image{}, ""},
	} {
		if p := proofOf(c.home); p.kind != c.kind || (p.hash == nil) != (c.kind == "") {
			t.Errorf("proofOf(%v) = %+v", c.home, p)
		}
	}
	if err := (proof{}).check(); err != nil {
		t.Errorf("nothing to prove: %v", err)
	}
}

func TestCopied(t *testing.T) {
	t.Parallel()
	if got := copied("Copied 15 MiB"); got != 15<<20 {
		t.Errorf("copied = %d", got)
	}
	if got := copied("Task failed"); got != 0 {
		t.Errorf("copied = %d", got)
	}
}
