package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

const (
	keystoneTimeout = 15 * time.Second
	maxKeystoneBody = 8 << 20
)

// keystone is the part of the Identity API that holds the catalog, used with one
// token.
type keystone struct {
	url, token string
	http       *http.Client
}

type region struct {
	ID          string `json:"id"`
	Description string `json:"description,omitempty"`
	Parent      string `json:"parent_region_id,omitempty"`
}

type service struct {
	ID   string `json:"id,omitempty"`
	Type string `json:"type"`
	Name string `json:"name"`
}

type endpoint struct {
	ID        string `json:"id,omitempty"`
	ServiceID string `json:"service_id,omitempty"`
	RegionID  string `json:"region_id,omitempty"`
	Interface string `json:"interface,omitempty"`
	URL       string `json:"url"`
	Enabled   *bool  `json:"enabled,omitempty"` // absent: yes
}

func (k keystone) regions(ctx context.Context) ([]region, error) {
	var out struct{ Regions []region }
	err := k.call(ctx, http.MethodGet, "/regions", nil, &out)
	return out.Regions, err
}

func (k keystone) createRegion(ctx context.Context, r region) error {
	return k.call(ctx, http.MethodPost, "/regions", map[string]any{"region": r}, nil)
}

func (k keystone) services(ctx context.Context) ([]service, error) {
	var out struct{ Services []service }
	err := k.call(ctx, http.MethodGet, "/services", nil, &out)
	return out.Services, err
}

func (k keystone) createService(ctx context.Context, s service) (service, error) {
	var out struct{ Service service }
	err := k.call(ctx, http.MethodPost, "/services", map[string]any{"service": s}, &out)
	return out.Service, err
}

func (k keystone) endpoints(ctx context.Context, regionID string) ([]endpoint, error) {
	var out struct{ Endpoints []endpoint }
	if err := k.call(ctx, http.MethodGet, "/endpoints", nil, &out); err != nil {
		return nil, err
	}
	var here []endpoint
	for _, e := range out.Endpoints {
		if e.RegionID == regionID {
			here = append(here, e)
		}
	}
	return here, nil
}

func (k keystone) createEndpoint(ctx context.Context, e endpoint) (endpoint, error) {
	var out struct{ Endpoint endpoint }
	err := k.call(ctx, http.MethodPost, "/endpoints", map[string]any{"endpoint": e}, &out)
	return out.Endpoint, err
}

func (k keystone) updateEndpoint(ctx context.Context, id, url string) error {
	body := map[string]any{"endpoint": map[string]any{"url": url, "enabled": true}}
	return k.call(ctx, http.MethodPatch, "/endpoints/"+id, body, nil)
}

func (k keystone) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, keystoneTimeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, k.url+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("X-Auth-Token", k.token)
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := k.http.Do(req)
	if err != nil {
		return &fault.Error{Kind: fault.Unavailable, Message: "Keystone does not answer at " + k.url, Err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return refusal(method, path, resp)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxKeystoneBody)).Decode(out); err != nil {
		return &fault.Error{Kind: fault.Unavailable, Message: fmt.Sprintf("Keystone answers %s %s with no JSON", method, path), Err: err}
	}
	return nil
}

func refusal(method, path string, resp *http.Response) error {
	err := pod.Upstream("", fmt.Sprintf("Keystone %s %s", method, path), resp)
	return &fault.Error{Kind: fault.KindOf(err), Err: err,
		Message: fmt.Sprintf("Keystone refuses %s %s", method, path)}
}
