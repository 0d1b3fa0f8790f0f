package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/topology"
	"github.com/tricircle/tricircle/internal/trace"
)

// SubnetBlocks says how a subnet's addresses are divided among pods.
type SubnetBlocks struct {
	SubnetID string      `json:"subnet_id"`
	CIDR     string      `json:"cidr"`
	Free     int         `json:"free"` // blocks that no pod has
	Pods     []PodBlocks `json:"pods"`
}

// PodBlocks is what one pod has of a subnet.
type PodBlocks struct {
	Pod string `json:"pod"`
	// Blocks are its blocks, joined where they can be: a router elsewhere needs a
	// route for each.
	Blocks    []string `json:"blocks"`
	Addresses uint64   `json:"addresses"` // in these blocks
	Used      uint64   `json:"used"`      // of them
	Outside   uint64   `json:"outside"`   // addresses of its ports that lie elsewhere
}

// Blocks says how the network's subnets are divided among pods.
func (a *Admin) Blocks(ctx context.Context, networkID string) ([]SubnetBlocks, error) {
	counted, err := a.Store.CountBlocks(ctx, networkID)
	if err != nil {
		return nil, err
	}
	all := make([]SubnetBlocks, 0, len(counted))
	for _, c := range counted {
		all = append(all, SubnetBlocks{SubnetID: c.Subnet.ID, CIDR: c.Subnet.CIDR.String(), Free: c.Free, Pods: podBlocks(c.Pods)})
	}
	return all, nil
}

func podBlocks(uses []topology.BlockUse) []PodBlocks {
	all := make([]PodBlocks, 0, len(uses))
	for _, u := range uses {
		p := PodBlocks{Pod: u.Pod, Blocks: []string{}, Addresses: u.Size, Used: u.Used, Outside: u.Outside}
		for _, b := range u.Blocks {
			p.Blocks = append(p.Blocks, b.String())
		}
		all = append(all, p)
	}
	return all
}

func (a *Admin) showBlocks(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	all, err := a.Blocks(ctx, r.Param("id"))
	return wrapped("blocks", all, err)
}

func (a *Admin) traceServers(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q := r.URL.Query()
	traffic := trace.Traffic{Protocol: q.Get("protocol")}
	if text := q.Get("port"); text != "" {
		var err error
		if traffic.Port, err = strconv.Atoi(text); err != nil {
			return nil, fault.New(fault.Invalid, "", "port must be a number, not %q", text)
		}
	}
	report, err := a.Trace.Trace(ctx, q.Get("from"), q.Get("to"), traffic)
	return wrapped("trace", report, err)
}

// networkRoutes are the routes of this file.
func (a *Admin) networkRoutes(route func(method, pattern, note string, h gateway.Handler) gateway.Route) []gateway.Route {
	return []gateway.Route{
		route(http.MethodGet, "/networks/{id}/blocks", "how a network's addresses are divided among pods", a.showBlocks),
		route(http.MethodGet, "/trace", "which way packets take between two servers, and what is missing", a.traceServers),
	}
}
