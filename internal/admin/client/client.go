// Package client is the Go client of the admin API.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/store"
)

const maxReply = 64 << 20

// Client talks to one Tricircle with one token.
type Client struct {
	Endpoint string // such as https://cloud.example.org/admin
	Token    string
	HTTP     *http.Client // nil: http.DefaultClient
}

// Error is an answer of the API that is no success.
type Error struct {
	Status    int
	Message   string
	RequestID string
}

func (e *Error) Error() string { return e.Message }

// AwayError says that no Tricircle answered at the endpoint.
type AwayError struct {
	Endpoint string
	Err      error
}

func (e *AwayError) Error() string {
	return fmt.Sprintf("no answer from %s: %v", e.Endpoint, e.Err)
}

// Unwrap returns the cause.
func (e *AwayError) Unwrap() error { return e.Err }

// Region describes the region.
func (c *Client) Region(ctx context.Context) (admin.Region, error) {
	var out struct{ Region admin.Region }
	err := c.call(ctx, http.MethodGet, "/region", nil, &out)
	return out.Region, err
}

// Register writes services and endpoints into Keystone. An empty URL means the
// one that the server is configured with.
func (c *Client) Register(ctx context.Context, publicURL string) (admin.Registration, error) {
	var out struct{ Registration admin.Registration }
	err := c.call(ctx, http.MethodPost, "/region/register", map[string]string{"public_url": publicURL}, &out)
	return out.Registration, err
}

// Version is the server's version.
func (c *Client) Version(ctx context.Context) (string, error) {
	var out struct{ Version string }
	err := c.call(ctx, http.MethodGet, "/version", nil, &out)
	return out.Version, err
}

// Pods lists the pods.
func (c *Client) Pods(ctx context.Context) ([]admin.Pod, error) {
	var out struct{ Pods []admin.Pod }
	err := c.call(ctx, http.MethodGet, "/pods", nil, &out)
	return out.Pods, err
}

// Pod describes one pod.
func (c *Client) Pod(ctx context.Context, name string) (admin.Pod, error) {
	var out struct{ Pod admin.Pod }
	err := c.call(ctx, http.MethodGet, "/pods/"+url.PathEscape(name), nil, &out)
	return out.Pod, err
}

// AddPod adds a pod and, if asked to, returns what a check of it found.
func (c *Client) AddPod(ctx context.Context, spec admin.PodSpec, check bool) (admin.Pod, []admin.Finding, error) {
	var out struct {
		Pod      admin.Pod
		Findings []admin.Finding
	}
	path := fmt.Sprintf("/pods?check=%t", check)
	err := c.call(ctx, http.MethodPost, path, map[string]any{"pod": spec}, &out)
	return out.Pod, out.Findings, err
}

// ChangePod changes what is set in change.
func (c *Client) ChangePod(ctx context.Context, name string, change admin.PodChange) (admin.Pod, error) {
	var out struct{ Pod admin.Pod }
	err := c.call(ctx, http.MethodPatch, "/pods/"+url.PathEscape(name), map[string]any{"pod": change}, &out)
	return out.Pod, err
}

// RemovePod removes an empty pod.
func (c *Client) RemovePod(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/pods/"+url.PathEscape(name), nil, nil)
}

// CheckPod finds out what is wrong with a pod.
func (c *Client) CheckPod(ctx context.Context, name string) ([]admin.Finding, error) {
	var out struct{ Findings []admin.Finding }
	err := c.call(ctx, http.MethodPost, "/pods/"+url.PathEscape(name)+"/check", nil, &out)
	return out.Findings, err
}

// Bindings lists which pods the projects use.
func (c *Client) Bindings(ctx context.Context) ([]store.Binding, error) {
	var out struct{ Bindings []store.Binding }
	err := c.call(ctx, http.MethodGet, "/bindings", nil, &out)
	return out.Bindings, err
}

// Where finds everything that has the ID.
func (c *Client) Where(ctx context.Context, id string) (admin.Resource, error) {
	var out struct{ Resource admin.Resource }
	err := c.call(ctx, http.MethodGet, "/resources/"+url.PathEscape(id), nil, &out)
	return out.Resource, err
}

// Jobs lists jobs.
func (c *Client) Jobs(ctx context.Context, q jobs.Query) ([]jobs.Job, error) {
	values := url.Values{}
	for key, value := range map[string]string{"pod": q.Pod, "kind": q.Kind, "state": q.State, "resource": q.Resource} {
		if value != "" {
			values.Set(key, value)
		}
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	var out struct{ Jobs []jobs.Job }
	err := c.call(ctx, http.MethodGet, "/jobs?"+values.Encode(), nil, &out)
	return out.Jobs, err
}

// Job describes one job.
func (c *Client) Job(ctx context.Context, id string) (jobs.Job, error) {
	var out struct{ Job jobs.Job }
	err := c.call(ctx, http.MethodGet, "/jobs/"+url.PathEscape(id), nil, &out)
	return out.Job, err
}

// RetryJob has a waiting job tried now.
func (c *Client) RetryJob(ctx context.Context, id string) (jobs.Job, error) {
	var out struct{ Job jobs.Job }
	err := c.call(ctx, http.MethodPost, "/jobs/"+url.PathEscape(id)+"/retry", nil, &out)
	return out.Job, err
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("cannot encode the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.Endpoint, "/")+"/v1"+path, body)
	if err != nil {
		return fmt.Errorf("cannot call %s: %w", c.Endpoint, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Auth-Token", c.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return &AwayError{c.Endpoint, withoutURL(err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return c.refusal(resp)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(out); err != nil {
		return &AwayError{c.Endpoint, fmt.Errorf("the answer is not Tricircle's: %w", err)}
	}
	return nil
}

// withoutURL drops the method and address that net/http puts before the cause.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// refusal is the API's error, which names the request. An error of something else,
// such as a proxy or another service at a wrong address, means that Tricircle did
// not answer.
func (c *Client) refusal(resp *http.Response) error {
	var body struct {
		Error struct {
			Message   string
			RequestID string `json:"request_id"`
		}
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxReply)) // half a message is better than none
	if json.Unmarshal(raw, &body) != nil || body.Error.RequestID == "" {
		return &AwayError{c.Endpoint, fmt.Errorf("something else answers there: %s", resp.Status)}
	}
	return &Error{Status: resp.StatusCode, Message: body.Error.Message, RequestID: body.Error.RequestID}
}
