package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/admin"
)

// Image says where the image is and how far its copies are.
func (c *Client) Image(ctx context.Context, id string) (admin.Image, error) {
	var out struct{ Image admin.Image }
	err := c.call(ctx, http.MethodGet, "/images/"+url.PathEscape(id), nil, &out)
	return out.Image, err
}

// CopyImage has a copy come to the pod.
func (c *Client) CopyImage(ctx context.Context, id, pod string) (admin.Image, error) {
	var out struct{ Image admin.Image }
	in := map[string]any{"copy": map[string]string{"pod": pod}}
	err := c.call(ctx, http.MethodPost, "/images/"+url.PathEscape(id)+"/copies", in, &out)
	return out.Image, err
}
