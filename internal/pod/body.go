package pod

import (
	"bytes"
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

func (r *Request) closeBody() {
	if c, ok := r.Body.(io.Closer); ok {
		_ = c.Close()
	}
}

// upload is the request's body as net/http reads it. It feeds the watchdog.
type upload struct {
	exchange *exchange
	body     io.Reader
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
	n, err := u.body.Read(p)
	x.reading.Store(false)
	x.watchdog.feed(asking, x.timeout)
	if err != nil && err != io.EOF {
		x.broken.Store(&err)
	}
	return n, err
}

func (u *upload) Close() error {
	u.exchange.request.closeBody()
	return nil
}
