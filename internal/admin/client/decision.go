package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/fleet"
)

// Decision finds why a server is where it is, by its ID or that of the request.
func (c *Client) Decision(ctx context.Context, id string) (admin.Decision, error) {
	var out struct{ Decision admin.Decision }
	err := c.call(ctx, http.MethodGet, "/decisions/"+url.PathEscape(id), nil, &out)
	return out.Decision, err
}

// ExplainServer says where the servers of a request would go: the body of Nova's
// "POST /servers", with project_id beside "server" if it is not for the caller's.
func (c *Client) ExplainServer(ctx context.Context, request map[string]any) (fleet.Record, error) {
	var out struct{ Explanation fleet.Record }
	err := c.call(ctx, http.MethodPost, "/explain/server", request, &out)
	return out.Explanation, err
}
