package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

// How often a source is asked again that broke off, and how long that takes at most:
// about a minute without a byte.
const (
	sourceTries = 8
	sourceWait  = 250 * time.Millisecond // doubled each time
)

// imageSource reads an image's data out of a pod, from the beginning to the end. When
// the connection breaks it goes on where it was, in the next pod that has the image.
type imageSource struct {
	ctx    context.Context // of the copy: a reader has no argument for it
	id     string
	pods   []*pod.Client
	size   int64 // -1: unknown
	log    func(err error, offset int64)
	offset int64
	body   io.ReadCloser
	tries  int // without a byte
}

// Read reads on. The end before the size is known is an error.
func (s *imageSource) Read(p []byte) (int, error) {
	for {
		if s.size >= 0 && s.offset >= s.size {
			return 0, io.EOF
		}
		n, err := s.readOnce(p)
		if n > 0 {
			s.tries, s.offset = 0, s.offset+int64(n)
			return n, nil
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF) && s.size < 0:
			return 0, io.EOF
		case errors.Is(err, io.EOF):
			err = s.broken("its data ended after %d of %d bytes", s.offset, s.size)
		}
		s.Close()
		if !passing(err) || s.ctx.Err() != nil {
			return 0, err
		}
		s.log(err, s.offset)
		if s.tries++; s.tries >= sourceTries {
			return 0, err
		}
		if err := s.rest(); err != nil {
			return 0, err
		}
	}
}

// from is the pod that is asked now.
func (s *imageSource) from() *pod.Client { return s.pods[s.tries%len(s.pods)] }

func (s *imageSource) broken(format string, args ...any) error {
	return &fault.Error{Kind: fault.Unavailable, Pod: s.from().Name(), Message: "cannot read image " + s.id + ": " + fmt.Sprintf(format, args...)}
}

func (s *imageSource) readOnce(p []byte) (int, error) {
	if s.body == nil {
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	return s.body.Read(p)
}

// open asks for the data from the offset on.
func (s *imageSource) open() error {
	c := s.from()
	r := pod.Request{Service: pod.Image, Method: http.MethodGet, Path: imagePath(s.id, "file"), Op: "read image"}
	if s.offset > 0 {
		r.Header = http.Header{"Range": {fmt.Sprintf("bytes=%d-", s.offset)}}
	}
	resp, err := c.Do(s.ctx, r)
	if err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
	default:
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode == http.StatusNoContent {
			return s.broken("it has no data")
		}
		return pod.Upstream(c.Name(), r.Op, resp)
	}
	s.body = resp.Body
	return s.align(resp)
}

// align makes the body begin at the offset: a store without random access sends all.
func (s *imageSource) align(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		_, err := io.CopyN(io.Discard, resp.Body, s.offset)
		return err
	}
	if got := resp.Header.Get("Content-Range"); !strings.HasPrefix(got, fmt.Sprintf("bytes %d-", s.offset)) {
		return s.broken("asked for what follows byte %d it sent %q", s.offset, got)
	}
	return nil
}

// rest waits before the next try.
func (s *imageSource) rest() error {
	timer := time.NewTimer(sourceWait << min(s.tries-1, 6))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// Close lets go of the connection.
func (s *imageSource) Close() {
	if s.body != nil {
		_ = s.body.Close()
		s.body = nil
	}
}
