package legacy

import (
	"context"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

const floatingIPs = networks + "floatingips"

// defaultPool is where an address comes from if nobody says otherwise: Nova's
// default_floating_pool, as Nova is shipped.
const defaultPool = "nova"

// poolName is what an external network is called as a pool of addresses.
func poolName(n gjson.Result) string {
	if name := n.Get("name").Str; name != "" {
		return name
	}
	return n.Get("id").Str
}

// listPools is "GET /os-floating-ip-pools": the external networks.
func (d *Doors) listPools(ctx context.Context, by identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
	s, err := d.ask(ctx, by, http.MethodGet, networks+"networks", url.Values{"router:external": {"true"}})
	if err != nil {
		return nil, err
	}
	if !s.ok() {
		return nil, s.fault()
	}
	pools := []object{}
	for _, n := range s.get("networks").Array() {
		pools = append(pools, object{"name": poolName(n)})
	}
	return reply(http.StatusOK, object{"floating_ip_pools": pools}), nil
}

// addresses are the caller's floating IPs that match. A region whose Network API
// knows no floating IPs has none.
func (d *Doors) addresses(ctx context.Context, by identity.Caller, query url.Values) ([]gjson.Result, error) {
	s, err := d.ask(ctx, by, http.MethodGet, floatingIPs, query)
	switch {
	case err != nil:
		return nil, err
	case s.Status == http.StatusNotFound:
		return nil, nil
	case !s.ok():
		return nil, s.fault()
	}
	return s.get("floatingips").Array(), nil
}

// listFloatingIPs is "GET /os-floating-ips".
func (d *Doors) listFloatingIPs(ctx context.Context, by identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
	list, err := d.addresses(ctx, by, url.Values{"tenant_id": {by.ProjectID}})
	if err != nil {
		return nil, err
	}
	shown := []object{}
	pools, servers := map[string]string{}, map[string]string{}
	for _, f := range list {
		v, err := d.floatingView(ctx, by, f, pools, servers)
		if err != nil {
			return nil, err
		}
		shown = append(shown, v)
	}
	return reply(http.StatusOK, object{"floating_ips": shown}), nil
}

// floatingView is a floating IP as Nova shows it. Pools and servers remember what
// was looked up for others of the same list.
func (d *Doors) floatingView(ctx context.Context, by identity.Caller, f gjson.Result, pools, servers map[string]string) (object, error) {
	network := f.Get("floating_network_id").Str
	if _, known := pools[network]; !known {
		s, err := d.ask(ctx, by, http.MethodGet, below(networks+"networks", network), nil)
		if err != nil {
			return nil, err
		}
		if !s.ok() {
			return nil, notFound("Network %s could not be found.", network)
		}
		pools[network] = poolName(s.get("network"))
	}
	server, err := d.serverOf(ctx, by, f, servers)
	if err != nil {
		return nil, err
	}
	shown := object{
		"id": raw(f.Get("id")), "ip": raw(f.Get("floating_ip_address")), "pool": pools[network],
		"fixed_ip": raw(f.Get("fixed_ip_address")), "instance_id": nil,
	}
	if server != "" {
		shown["instance_id"] = server
	}
	return shown, nil
}

// serverOf is the device that the floating IP leads to; empty if it leads nowhere.
func (d *Doors) serverOf(ctx context.Context, by identity.Caller, f gjson.Result, servers map[string]string) (string, error) {
	port := f.Get("port_id").Str
	if port == "" {
		return "", nil
	}
	if details := f.Get("port_details.device_id"); details.Exists() {
		return details.Str, nil
	}
	if server, known := servers[port]; known {
		return server, nil
	}
	s, err := d.ask(ctx, by, http.MethodGet, below(networks+"ports", port), nil)
	if err != nil {
		return "", err
	}
	if !s.ok() {
		return "", nil // gone in the meantime
	}
	servers[port] = s.get("port.device_id").Str
	return servers[port], nil
}

// floatingIP finds the floating IP that the path names.
func (d *Doors) floatingIP(ctx context.Context, by identity.Caller, r *gateway.Request) (gjson.Result, error) {
	s, err := d.ask(ctx, by, http.MethodGet, below(floatingIPs, r.Param("id")), nil)
	switch {
	case err != nil:
		return gjson.Result{}, err
	case s.Status == http.StatusNotFound:
		return gjson.Result{}, notFound("Floating IP not found for ID %s", r.Param("id"))
	case !s.ok():
		return gjson.Result{}, s.fault()
	}
	return s.get("floatingip"), nil
}

// showFloatingIP is "GET /os-floating-ips/{id}".
func (d *Doors) showFloatingIP(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	f, err := d.floatingIP(ctx, by, r)
	if err != nil {
		return nil, err
	}
	v, err := d.floatingView(ctx, by, f, map[string]string{}, map[string]string{})
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, object{"floating_ip": v}), nil
}

// createFloatingIP is "POST /os-floating-ips".
func (d *Doors) createFloatingIP(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	doc, err := document(r)
	if err != nil {
		return nil, err
	}
	pool := gateway.Str(doc.Get("pool"))
	if v := doc.Get("pool"); !v.Exists() || v.Type == gjson.Null || pool == "" {
		pool = ""
	}
	network, err := d.poolID(ctx, by, pool)
	if err != nil {
		return nil, err
	}
	s, err := d.tell(ctx, by, http.MethodPost, floatingIPs, object{"floatingip": object{"floating_network_id": network}})
	if err == nil {
		err = s.allocationFault(pool)
	}
	if err != nil {
		return nil, err
	}
	v, err := d.floatingView(ctx, by, s.get("floatingip"), map[string]string{}, map[string]string{})
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, object{"floating_ip": v}), nil
}

// poolID is the external network of the name or the ID.
func (d *Doors) poolID(ctx context.Context, by identity.Caller, pool string) (string, error) {
	if pool == "" {
		pool = defaultPool
	}
	query := url.Values{"router:external": {"true"}, "name": {pool}}
	if uuid.Validate(pool) == nil {
		query = url.Values{"router:external": {"true"}, "id": {pool}}
	}
	s, err := d.ask(ctx, by, http.MethodGet, networks+"networks", query)
	if err != nil {
		return "", err
	}
	if !s.ok() {
		return "", s.fault()
	}
	switch found := s.get("networks").Array(); len(found) {
	case 0:
		return "", notFound("Floating IP pool not found.")
	case 1:
		return found[0].Get("id").Str, nil
	}
	return "", badRequest("Multiple floating IP pools matches found for name '%s'", pool)
}

// allocationFault says why there is no address. A Network API without floating
// IPs has none to give.
func (s said) allocationFault(pool string) error {
	from := "."
	if pool != "" {
		from = " in pool " + pool + "."
	}
	switch {
	case s.ok():
		return nil
	case s.kind() == "OverQuota":
		return forbidden("IP allocation over quota%s", from)
	case s.kind() == "IpAddressGenerationFailure", s.kind() == "ExternalIpAddressExhausted", s.Status == http.StatusNotFound:
		if pool == "" {
			return notFound("No more floating IPs available.")
		}
		return notFound("No more floating IPs%s", from)
	case s.Status == http.StatusBadRequest:
		return badRequest("%s", s.neutron())
	}
	return s.fault()
}

// deleteFloatingIP is "DELETE /os-floating-ips/{id}", whatever it leads to.
func (d *Doors) deleteFloatingIP(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	f, err := d.floatingIP(ctx, by, r)
	if err != nil {
		return nil, err
	}
	s, err := d.ask(ctx, by, http.MethodDelete, below(floatingIPs, f.Get("id").Str), nil)
	switch {
	case err != nil:
		return nil, err
	case s.Status == http.StatusNotFound:
		return nil, notFound("Floating IP not found for address %s.", f.Get("floating_ip_address").Str)
	case !s.ok():
		return nil, s.fault()
	}
	return gateway.Empty(http.StatusAccepted), nil
}
