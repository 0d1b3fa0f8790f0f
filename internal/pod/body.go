package pod

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// content returns how to read the request's body from its beginning, nil if there
// is none, and its length, -1 if unknown.
//
// A retry must not rewind the reader of the first try: net/http may still be
// reading it. So the readers that live in memory are copied.
func (r *Request) content() (body func() io.Reader, length int64) {
	length = -1
	switch b := r.Body.(type) {
	case nil:
		return nil, 0
	case *bytes.Reader:
		body, length = func() io.Reader { c := *b; return &c }, int64(b.Len())
	case *strings.Reader:
		body, length = func() io.Reader { c := *b; return &c }, int64(b.Len())
	case *bytes.Buffer:
		body, length = func() io.Reader { return bytes.NewReader(b.Bytes()) }, int64(b.Len())
	default:
		if r.Body == http.NoBody {
			return nil, 0
		}
		body = func() io.Reader { return r.Body }
	}
	if r.Length != 0 {
		length = r.Length
	}
	return body, length
}

// replayable reports whether the body can be sent twice.
func (r *Request) replayable() bool {
	switch r.Body.(type) {
	case nil, *bytes.Reader, *strings.Reader, *bytes.Buffer:
		return true
	}
	return r.Body == http.NoBody
}

// closeBody does not wait: the body of a server's request cannot be closed while a
// Read lasts, and one may have been abandoned.
func (r *Request) closeBody() {
	if c, ok := r.Body.(io.Closer); ok && r.Body != http.NoBody {
		go func() { _ = c.Close() }()
	}
}

// upload is the request's body as net/http reads it. It feeds the watchdog.
type upload struct {
	exchange *exchange
	body     io.Reader
	buffer   []byte // of a body that is a stream
}

func (x *exchange) upload() io.ReadCloser {
	if x.body == nil {
		return nil
	}
	return &upload{exchange: x, body: x.body()}
}

func (u *upload) Read(p []byte) (int, error) {
	x := u.exchange
	x.reading.Store(true)
	n, err := u.read(p)
	x.reading.Store(false)
	x.watchdog.feed(asking, x.timeout)
	if err != nil && !errors.Is(err, io.EOF) {
		x.broken.Store(&err)
	}
	return n, err
}

// read does not outlast the exchange: net/http ends none before its body's Read
// has returned, and a client that stalls would keep it for ever.
func (u *upload) read(p []byte) (int, error) {
	x := u.exchange
	if x.request.replayable() {
		return u.body.Read(p)
	}
	if len(u.buffer) < len(p) {
		u.buffer = make([]byte, len(p))
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	into := u.buffer[:len(p)]
	go func() { // ends when the body's owner lets go of it
		n, err := u.body.Read(into)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return copy(p, into[:r.n]), r.err
	case <-x.ctx.Done():
		return 0, context.Cause(x.ctx)
	}
}

func (u *upload) Close() error {
	u.exchange.request.closeBody()
	return nil
}
