package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/trace"
)

// Blocks says how the network's addresses are divided among pods.
func (c *Client) Blocks(ctx context.Context, networkID string) ([]admin.SubnetBlocks, error) {
	var out struct{ Blocks []admin.SubnetBlocks }
	err := c.call(ctx, http.MethodGet, "/networks/"+url.PathEscape(networkID)+"/blocks", nil, &out)
	return out.Blocks, err
}

// Trace follows packets between two servers, or ports, named by ID.
func (c *Client) Trace(ctx context.Context, from, to string, traffic trace.Traffic) (trace.Report, error) {
	values := url.Values{"from": {from}, "to": {to}}
	if traffic.Protocol != "" {
		values.Set("protocol", traffic.Protocol)
	}
	if traffic.Port != 0 {
		values.Set("port", strconv.Itoa(traffic.Port))
	}
	var out struct{ Trace trace.Report }
	err := c.call(ctx, http.MethodGet, "/trace?"+values.Encode(), nil, &out)
	return out.Trace, err
}
