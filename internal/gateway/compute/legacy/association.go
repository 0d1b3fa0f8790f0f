package legacy

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// Floating IPs of a server: its actions addFloatingIp and removeFloatingIp.

var address = schema{types: []string{"string"}, format: "ip"}

var (
	addFloatingBody    = objectOf([]string{"addFloatingIp"}, property{"addFloatingIp", objectOf([]string{"address"}, property{"address", address}, property{"fixed_address", address})})
	removeFloatingBody = objectOf([]string{"removeFloatingIp"}, property{"removeFloatingIp", objectOf([]string{"address"}, property{"address", address})})
)

// fixed is an address of a server, and the port that has it.
type fixed struct{ address, port string }

// fixedIPs are the addresses of the server's ports, in their order.
func (d *Doors) fixedIPs(ctx context.Context, by identity.Caller, server string) (list []fixed, ports int, err error) {
	s, err := d.ask(ctx, by, http.MethodGet, networks+"ports", url.Values{"device_id": {server}})
	if err != nil {
		return nil, 0, err
	}
	if !s.ok() {
		return nil, 0, s.fault()
	}
	for _, p := range s.get("ports").Array() {
		ports++
		for _, ip := range p.Get("fixed_ips").Array() {
			list = append(list, fixed{ip.Get("ip_address").Str, p.Get("id").Str})
		}
	}
	return list, ports, nil
}

// AddFloatingIP is the action addFloatingIp of a server that the caller sees.
func (d *Doors) AddFloatingIP(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	doc, err := read(r, addFloatingBody)
	if err != nil {
		return nil, err
	}
	server, asked := r.Param("id"), doc.Get("addFloatingIp")
	list, ports, err := d.fixedIPs(ctx, by, server)
	if err != nil {
		return nil, err
	}
	if ports == 0 {
		return nil, badRequest("Instance network is not ready yet")
	}
	if len(list) == 0 {
		return nil, badRequest("No fixed IPs associated to instance")
	}
	floating := asked.Get("address").Str
	to, err := target(list, asked.Get("fixed_address").Str, floating, server)
	if err != nil {
		return nil, err
	}
	return d.associate(ctx, by, server, floating, to)
}

// target is the address that the floating IP shall lead to.
func target(list []fixed, wanted, floating, server string) (fixed, error) {
	for _, f := range list {
		ip, err := netip.ParseAddr(f.address)
		if wanted == f.address || wanted == "" && err == nil && ip.Is4() {
			return f, nil
		}
	}
	if wanted != "" {
		return fixed{}, badRequest("Specified fixed address not assigned to instance")
	}
	return fixed{}, badRequest("Unable to associate floating IP %s to any fixed IPs for instance %s. Instance has no fixed IPv4 addresses to associate.", floating, server)
}

func (d *Doors) associate(ctx context.Context, by identity.Caller, server, floating string, to fixed) (*gateway.Reply, error) {
	unable := func(why string) error {
		return badRequest("Unable to associate floating IP %s to fixed IP %s for instance %s. Error: %s", floating, to.address, server, why)
	}
	list, err := d.addresses(ctx, by, url.Values{"floating_ip_address": {floating}})
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, notFound("floating IP not found")
	case len(list) > 1:
		return nil, unable("Multiple floating IPs are found for address " + floating + ".")
	}
	s, err := d.tell(ctx, by, http.MethodPut, below(floatingIPs, list[0].Get("id").Str), object{"floatingip": object{
		"port_id": to.port, "fixed_ip_address": to.address,
	}})
	switch {
	case err != nil:
		return nil, err
	case s.ok():
		return gateway.Empty(http.StatusAccepted), nil
	case s.Status == http.StatusConflict:
		return nil, badRequest("%s", s.neutron())
	case s.Status == http.StatusForbidden:
		return nil, forbidden("%s", s.neutron())
	}
	return nil, unable(s.neutron())
}

// floatingAt finds the one floating IP with the address.
func (d *Doors) floatingAt(ctx context.Context, by identity.Caller, floating string) (gjson.Result, error) {
	list, err := d.addresses(ctx, by, url.Values{"floating_ip_address": {floating}})
	switch {
	case err != nil:
		return gjson.Result{}, err
	case len(list) == 0:
		return gjson.Result{}, notFound("Floating IP not found for address %s.", floating)
	case len(list) > 1:
		return gjson.Result{}, fault.New(fault.Conflict, "", "Multiple floating IPs are found for address %s.", floating)
	}
	return list[0], nil
}

// RemoveFloatingIP is the action removeFloatingIp. The address says which server;
// the one that the path names must be it.
func (d *Doors) RemoveFloatingIP(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	doc, err := read(r, removeFloatingBody)
	if err != nil {
		return nil, err
	}
	floating := doc.Get("removeFloatingIp.address").Str
	f, err := d.floatingAt(ctx, by, floating)
	if err != nil {
		return nil, err
	}
	server, err := d.serverOf(ctx, by, f, map[string]string{})
	if err != nil {
		return nil, err
	}
	if server != r.Param("id") {
		return nil, fault.New(fault.Conflict, "", "Floating IP %s is not associated with instance %s.", floating, r.Param("id"))
	}
	s, err := d.tell(ctx, by, http.MethodPut, below(floatingIPs, f.Get("id").Str), object{"floatingip": object{"port_id": nil}})
	if err != nil {
		return nil, err
	}
	if !s.ok() {
		return nil, s.fault()
	}
	return gateway.Empty(http.StatusAccepted), nil
}
