package pod

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
)

// Keystone calls Keystone as the account: path is relative to /v3, in and out are
// as in Client.JSON. A refused token is renewed once.
func (a *Account) Keystone(ctx context.Context, method, path string, query url.Values, in, out any) error {
	op := method + " " + path
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("cannot call Keystone: %s: %w", op, err)
		}
	}
	target := a.options.AuthURL + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	resp, err := a.call(ctx, method, target, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return Upstream("", "call Keystone: "+op, resp)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxJSON)).Decode(out); err != nil {
		return &fault.Error{
			Kind:    fault.Unavailable,
			Message: "Keystone's answer to " + op + " is not the JSON that was expected",
			Err:     err,
		}
	}
	return nil
}

func (a *Account) call(ctx context.Context, method, target string, body []byte) (*http.Response, error) {
	for again := false; ; again = true {
		token, err := a.Token(ctx)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("cannot call Keystone: %w", err)
		}
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		req.Header.Set("Accept", "application/json")
		req.Header.Set("User-Agent", userAgent)
		req.Header.Set("X-Auth-Token", token)
		resp, err := a.options.HTTP.Do(req)
		if err != nil {
			return nil, &fault.Error{
				Kind:    fault.Unavailable,
				Message: "cannot reach Keystone: " + reason(err),
				Err:     err,
			}
		}
		if resp.StatusCode != http.StatusUnauthorized || again {
			return resp, nil
		}
		discard(resp)
		a.Invalidate(token)
	}
}
