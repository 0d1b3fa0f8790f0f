package pod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/tricircle/tricircle/internal/fault"
)

// maxJSON bounds an answer that is decoded in memory.
const maxJSON = 64 << 20

// JSON sends in as JSON, unless it is nil, and decodes the answer into out, unless
// that is nil. A status from 400 on is the *fault.Error that Upstream makes.
func (c *Client) JSON(ctx context.Context, r Request, in, out any) error {
	r.Header = r.Header.Clone()
	if r.Header == nil {
		r.Header = make(http.Header, 2)
	}
	r.Header.Set("Accept", "application/json")
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("cannot %s: %w", r.op(), err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Body, r.Length = bytes.NewReader(body), int64(len(body))
	}
	resp, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode > http.StatusMultipleChoices {
		return Upstream(c.Options.Name, r.op(), resp)
	}
	return c.decode(&r, resp, out)
}

func (c *Client) decode(r *Request, resp *http.Response, out any) error {
	body := io.LimitReader(resp.Body, maxJSON)
	if out == nil {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	d := json.NewDecoder(body)
	err := d.Decode(out)
	if err == nil {
		_, err = io.Copy(io.Discard, body) // frees the connection; may show a broken end
	}
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	return &fault.Error{
		Kind:    fault.Unavailable,
		Pod:     c.Options.Name,
		Message: fmt.Sprintf("cannot %s: the answer with status %d is not the JSON that was expected", r.op(), resp.StatusCode),
		Err:     err,
	}
}
