package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Reply is a handler's answer. At most one of Body, Stream and Write is set.
type Reply struct {
	Status int // 0: 200
	Header http.Header
	Body   any // encoded as JSON; []byte and json.RawMessage go out as they are
	// Stream is copied to the client and closed if it is an io.Closer.
	Stream io.Reader
	// Length of Stream where known, else 0.
	Length int64
	// Write produces the body. When it fails after its first byte the connection
	// is cut, so that the client cannot take half a list for a whole one.
	Write func(w io.Writer) error
}

// JSON is the usual reply.
func JSON(status int, body any) *Reply { return &Reply{Status: status, Body: body} }

// Empty is a reply without a body.
func Empty(status int) *Reply { return &Reply{Status: status} }

// Close gives up a reply that is not going to be sent.
func (r *Reply) Close() {
	if closer, ok := r.Stream.(io.Closer); ok {
		_ = closer.Close() // nobody is left to tell
	}
}

// send writes the reply. The error is for the log; the status is out already.
func (r *Reply) send(w http.ResponseWriter) error {
	defer r.Close()
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	header := w.Header()
	for name, values := range r.Header {
		header[name] = values
	}
	if r.Body != nil {
		body, err := encode(r.Body)
		if err != nil {
			return err
		}
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", "application/json")
		}
		header.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		_, err = w.Write(body)
		return err
	}
	return r.sendStream(w, status)
}

func (r *Reply) sendStream(w http.ResponseWriter, status int) error {
	switch {
	case r.Write != nil:
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(status)
		if err := r.Write(w); err != nil {
			return &brokenBody{err}
		}
	case r.Stream != nil:
		if r.Length > 0 {
			w.Header().Set("Content-Length", strconv.FormatInt(r.Length, 10))
		}
		w.WriteHeader(status)
		if _, err := io.Copy(w, r.Stream); err != nil {
			return &brokenBody{err}
		}
	default:
		if status != http.StatusNoContent && status != http.StatusNotModified {
			w.Header().Set("Content-Length", "0")
		}
		w.WriteHeader(status)
	}
	return nil
}

// brokenBody is a body that ended early: the connection must not look complete.
type brokenBody struct{ err error }

func (b *brokenBody) Error() string { return "reply cut short: " + b.err.Error() }
func (b *brokenBody) Unwrap() error { return b.err }

func encode(body any) ([]byte, error) {
	switch b := body.(type) {
	case []byte:
		return b, nil
	case json.RawMessage:
		return b, nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return nil, fmt.Errorf("cannot encode the reply: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
