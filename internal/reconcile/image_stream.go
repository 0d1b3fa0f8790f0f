package reconcile

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

const (
	// copiesAtOnce bounds how many images stream to one pod from this process: they
	// take its workers and memory from other jobs.
	copiesAtOnce = 4
	// progressEvery is how often a stream's progress is written down.
	progressEvery = 3 * time.Second
	// uploadPatience is how long a Glance may take nothing, or work on what it took.
	uploadPatience = 10 * time.Minute
)

// errNotWanted ends a stream whose copy nobody wants any more.
var errNotWanted = errors.New("the copy is not wanted any more")

// hashes are Glance's.
var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

// proof computes an image's hash while its data passes.
type proof struct {
	hash hash.Hash
	want string
	kind string
}

// proofOf uses the strongest that the home knows. Without any, there is nothing to
// hold the data against.
func proofOf(home plan.Image) proof {
	kind, want := home.Text("os_hash_algo"), home.Text("os_hash_value")
	if hashes[kind] == nil || want == "" {
		kind, want = "md5", home.Text("checksum")
	}
	if want == "" {
		return proof{}
	}
	return proof{hash: hashes[kind](), want: want, kind: kind}
}

func (p proof) add(b []byte) {
	if p.hash != nil {
		p.hash.Write(b)
	}
}

func (p proof) check() error {
	if p.hash == nil || hex.EncodeToString(p.hash.Sum(nil)) == p.want {
		return nil
	}
	return fault.New(fault.Conflict, "", "the data that arrived has another %s than the image at home", p.kind)
}

// imageStream is the body of an upload: a source's data, at the pace that is allowed,
// with its hash checked before the last of it is given away. A Glance that was told
// the length takes an image for whole with its last byte.
type imageStream struct {
	ctx    context.Context // of the copy: a reader has no argument for it
	source io.Reader
	size   int64
	done   int64
	proof  proof
	pace   func(n int) error
	report func(done int64) error // now and then
	next   time.Time              // of the next report
	now    func() time.Time
	err    error // why it ended
}

// Read gives the next part.
func (s *imageStream) Read(p []byte) (int, error) {
	n, err := s.read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *imageStream) read(p []byte) (int, error) {
	n, err := s.source.Read(p)
	s.proof.add(p[:n])
	s.done += int64(n)
	ended := errors.Is(err, io.EOF) || s.size >= 0 && s.done == s.size
	if err != nil && !ended {
		return 0, err
	}
	if ended {
		if err := s.proof.check(); err != nil {
			return 0, err
		}
	}
	if perr := s.pace(n); perr != nil {
		return 0, perr
	}
	if now := s.now(); now.After(s.next) {
		s.next = now.Add(progressEvery)
		if err := s.report(s.done); err != nil {
			return 0, err
		}
	}
	return n, err
}

// stream brings the data through this process: in one pass, nothing stored, a part of
// it in memory at a time. It ends with the copy's data whole and proven, or with the
// record in the pod as it was, which Glance sees to when an upload breaks off.
func (r *Reconciler) stream(ctx context.Context, w *imageWork) error {
	free, ok := r.streams.take(w.to.Name())
	if !ok {
		return &jobs.Again{After: 2 * time.Second, Reason: "other images are on the way to pod " + w.to.Name()}
	}
	defer free()
	size, known := w.home.Size()
	if !known {
		size = -1
	}
	if err := r.note(ctx, w, store.CopyCopying, meansStream, 0, ""); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	source := &imageSource{ctx: ctx, id: w.m.ID, pods: w.from, size: size, log: func(err error, at int64) {
		r.log.WarnContext(ctx, "the source of an image broke off: going on where it was", "image", w.m.ID, "pod", w.to.Name(), "at", at, "error", err)
	}}
	defer source.Close()
	body := &imageStream{ctx: ctx, source: source, size: size, proof: proofOf(w.home), now: r.now, next: r.now().Add(progressEvery),
		pace: func(n int) error {
			return errors.Join(r.lines.of(source.from().Name()).wait(ctx, n, time.Now()), r.lines.of(w.to.Name()).wait(ctx, n, time.Now()))
		},
		report: func(done int64) error { return r.progress(ctx, w, done) }}
	return r.upload(ctx, w, body)
}

func (r *Reconciler) upload(ctx context.Context, w *imageWork, body *imageStream) error {
	req := pod.Request{Service: pod.Image, Method: http.MethodPut, Path: imagePath(w.m.ID, "file"), Op: "upload image",
		Header: http.Header{"Content-Type": {"application/octet-stream"}}, Body: body, Length: max(body.size, 0), Timeout: uploadPatience}
	if body.size == 0 {
		req.Body = http.NoBody
	}
	resp, err := w.to.Do(ctx, req)
	if body.err != nil {
		if resp != nil {
			_ = resp.Body.Close()
		}
		return body.err
	}
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusNoContent:
		return nil
	case http.StatusConflict, http.StatusGone:
		// An upload that was cut, and that Glance has not noticed yet.
		return &jobs.Again{After: 2 * time.Second, Reason: fmt.Sprintf("pod %s is busy with the image: %v", w.to.Name(), pod.Upstream(w.to.Name(), req.Op, resp))}
	}
	return pod.Upstream(w.to.Name(), req.Op, resp)
}

// progress writes down how far a stream is, and ends it when nobody wants it.
func (r *Reconciler) progress(ctx context.Context, w *imageWork, done int64) error {
	m, err := r.store.FindMapping(ctx, w.m.Target)
	if fault.Is(err, fault.NotFound) || err == nil && !m.Wanted {
		return errNotWanted
	}
	if err != nil {
		return err
	}
	return r.note(ctx, w, store.CopyCopying, meansStream, done, "")
}
