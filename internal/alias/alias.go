// Package alias lets what a pod knows by an ID of its own go by ours.
//
// A server has the same ID here and in its pod, but for one that was promised to
// the user before the pod could make it: its pod gives it another. All that goes
// to the pod and comes back passes Book.Around, which puts the pod's ID in the
// place of ours and the other way round: in paths, queries, JSON and the header
// Location. Both are UUIDs, of one length, so answers stay streams of the length
// that they had, and nobody else has to know.
package alias

import (
	"bytes"
	"io"

	"github.com/tricircle/tricircle/internal/pod"
)

// size is that of a UUID in its usual form, 8-4-4-4-12.
const size = 36

type id [size]byte

// Pair is one thing under both its IDs. Seq counts a pod's pairs, upwards.
type Pair struct {
	ID, PodID string
	Seq       int64
	// Service is the only one whose answers speak of the thing; empty: any may.
	Service pod.Service
}

// names says what to put in the place of which ID.
type names map[id]id

// idOf is false of what has not the length of a UUID: that is never replaced.
func idOf(s string) (out id, ok bool) {
	if len(s) != size {
		return out, false
	}
	copy(out[:], s)
	return out, true
}

// replace changes the IDs in b where they stand, and reports whether there were any.
func (n names) replace(b []byte) (changed bool) {
	for at := 0; ; {
		dash := bytes.IndexByte(b[at:], '-')
		if dash < 0 {
			return changed
		}
		dash += at
		at = dash + 1
		first, end := dash-8, dash-8+size
		if first < 0 || end > len(b) || b[dash+5] != '-' || b[dash+10] != '-' || b[dash+15] != '-' {
			continue
		}
		if other, ok := n[id(b[first:end])]; ok {
			copy(b[first:end], other[:])
			changed, at = true, end
		}
	}
}

// text is s with its IDs replaced.
func (n names) text(s string) string {
	if len(s) < size {
		return s
	}
	b := []byte(s)
	if !n.replace(b) {
		return s
	}
	return string(b)
}

// stream replaces IDs in what is read through it. It holds back the last bytes it
// has, which may be the beginning of an ID, until it knows how they go on.
type stream struct {
	io.Closer
	from  io.Reader
	names names
	buf   []byte // what was read and is not given yet; the first ready bytes are final
	ready int
	err   error
	room  []byte
}

// chunk is how much is read at once.
const chunk = 16 << 10

func newStream(names names, from io.Reader) *stream {
	s := &stream{from: from, names: names}
	if c, ok := from.(io.Closer); ok {
		s.Closer = c
	} else {
		s.Closer = io.NopCloser(nil)
	}
	return s
}

func (s *stream) Read(p []byte) (int, error) {
	for s.ready == 0 && s.err == nil {
		s.fill()
	}
	if s.ready == 0 {
		return 0, s.err
	}
	n := copy(p, s.buf[:s.ready])
	s.buf, s.ready = s.buf[n:], s.ready-n
	return n, nil
}

func (s *stream) fill() {
	if s.room == nil {
		s.room = make([]byte, chunk)
	}
	held := copy(s.room, s.buf)
	n, err := s.from.Read(s.room[held:])
	s.buf, s.err = s.room[:held+n], err
	s.names.replace(s.buf)
	if s.ready = len(s.buf); err == nil {
		s.ready = max(0, s.ready-(size-1))
	}
}
