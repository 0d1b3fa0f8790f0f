package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/reconcile"
)

// Drift reports what is not the same in every pod; empty arguments select all.
func (c *Client) Drift(ctx context.Context, kind, pod string) (admin.DriftReport, error) {
	values := url.Values{}
	for key, value := range map[string]string{"kind": kind, "pod": pod} {
		if value != "" {
			values.Set(key, value)
		}
	}
	var out struct{ Drift admin.DriftReport }
	err := c.call(ctx, http.MethodGet, "/drift?"+values.Encode(), nil, &out)
	return out.Drift, err
}

// RepairDrift makes a thing the same in every pod.
func (c *Client) RepairDrift(ctx context.Context, o reconcile.Repair) (reconcile.Repaired, error) {
	var out struct{ Repair reconcile.Repaired }
	err := c.call(ctx, http.MethodPost, "/drift/repair", map[string]any{"repair": o}, &out)
	return out.Repair, err
}

// Adopt takes a network that only a pod has into the region; id is the pod's.
func (c *Client) Adopt(ctx context.Context, pod, id string) (admin.Adopted, error) {
	var out struct{ Network admin.Adopted }
	err := c.call(ctx, http.MethodPost, "/drift/adopt", map[string]any{"adopt": map[string]string{"pod": pod, "id": id}}, &out)
	return out.Network, err
}
