package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/admin"
)

// Volume says where the volume is, and how far it is filled.
func (c *Client) Volume(ctx context.Context, id string) (admin.Volume, error) {
	var out struct{ Volume admin.Volume }
	err := c.call(ctx, http.MethodGet, "/volumes/"+url.PathEscape(id), nil, &out)
	return out.Volume, err
}
