package legacy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// Fixed IPs of a server: its actions addFixedIp and removeFixedIp. Nova hands both
// to the server's host and says 202 whatever comes of it. Here the change is made
// while the client waits, so that he learns when it cannot be, by the words and
// codes that Nova's own reference has for it.

var (
	addFixedBody    = objectOf([]string{"addFixedIp"}, property{"addFixedIp", objectOf([]string{"networkId"}, property{"networkId", schema{types: []string{"string", "number"}, shortest: 1, longest: 36}})})
	removeFixedBody = objectOf([]string{"removeFixedIp"}, property{"removeFixedIp", objectOf([]string{"address"}, property{"address", address})})
)

// errStale: somebody else changed the port meanwhile.
var errStale = errors.New("the port has changed")

// maxTries is how often a change of a port is begun anew when others change it too.
const maxTries = 5

// AddFixedIP gives a port of the server one more address, in a subnet of the
// network. It returns the port's ID.
func (d *Doors) AddFixedIP(ctx context.Context, by identity.Caller, r *gateway.Request) (port string, err error) {
	doc, err := read(r, addFixedBody)
	if err != nil {
		return "", err
	}
	network, server := gateway.Str(doc.Get("addFixedIp.networkId")), r.Param("id")
	s, err := d.ask(ctx, by, http.MethodGet, networks+"subnets", url.Values{"network_id": {network}})
	if err != nil {
		return "", err
	}
	subnets := s.get("subnets").Array()
	if !s.ok() || len(subnets) == 0 {
		return "", noNetworkFor(server)
	}
	return d.retried(func() (string, error) { return d.addFixed(ctx, by, server, network, subnets) })
}

func noNetworkFor(server string) error {
	return notFound("Network could not be found for instance %s.", server)
}

// retried runs the change until nobody else changed the port meanwhile.
func (d *Doors) retried(change func() (string, error)) (port string, err error) {
	for range maxTries {
		if port, err = change(); !errors.Is(err, errStale) {
			return port, err
		}
	}
	return "", fault.New(fault.Conflict, "", "The server's port is being changed by other requests; try again.")
}

// addFixed tries the server's ports on the network, and on each the subnets, until
// one gives an address.
func (d *Doors) addFixed(ctx context.Context, by identity.Caller, server, network string, subnets []gjson.Result) (string, error) {
	s, err := d.ask(ctx, by, http.MethodGet, networks+"ports", url.Values{"device_id": {server}, "network_id": {network}})
	if err != nil {
		return "", err
	}
	why := noNetworkFor(server)
	for _, p := range s.get("ports").Array() {
		for _, subnet := range subnets {
			addresses := append(fixedOf(p), object{"subnet_id": subnet.Get("id").Str})
			s, err := d.setFixed(ctx, by, p, addresses)
			if err != nil {
				return "", err
			}
			if s.ok() {
				return p.Get("id").Str, nil
			}
			if s.kind() == "IpAddressGenerationFailure" {
				why = badRequest("No fixed IP addresses available for network: %s", network)
			} else {
				why = s.fault()
			}
		}
	}
	return "", why
}

// fixedOf are the port's addresses, as a request names them.
func fixedOf(p gjson.Result) []object {
	var list []object
	for _, ip := range p.Get("fixed_ips").Array() {
		list = append(list, object{"ip_address": ip.Get("ip_address").Str, "subnet_id": ip.Get("subnet_id").Str})
	}
	return list
}

// setFixed gives the port these addresses, if it is still the one that was read.
func (d *Doors) setFixed(ctx context.Context, by identity.Caller, p gjson.Result, addresses []object) (said, error) {
	if addresses == nil {
		addresses = []object{}
	}
	body := mustJSON(object{"port": object{"fixed_ips": addresses}})
	s, err := d.do(ctx, by, gateway.Question{
		Method: http.MethodPut, Path: below(networks+"ports", p.Get("id").Str), Body: body,
		Header: http.Header{"If-Match": {"revision_number=" + strconv.FormatInt(p.Get("revision_number").Int(), 10)}},
	})
	if err == nil && s.Status == http.StatusPreconditionFailed {
		err = errStale
	}
	return s, err
}

// RemoveFixedIP takes an address from the port of the server that has it. It
// returns the port's ID.
func (d *Doors) RemoveFixedIP(ctx context.Context, by identity.Caller, r *gateway.Request) (port string, err error) {
	doc, err := read(r, removeFixedBody)
	if err != nil {
		return "", err
	}
	server, lost := r.Param("id"), doc.Get("removeFixedIp.address").Str
	return d.retried(func() (string, error) { return d.removeFixed(ctx, by, server, lost) })
}

func (d *Doors) removeFixed(ctx context.Context, by identity.Caller, server, lost string) (string, error) {
	s, err := d.ask(ctx, by, http.MethodGet, networks+"ports", url.Values{"device_id": {server}, "fixed_ips": {"ip_address=" + lost}})
	if err != nil {
		return "", err
	}
	ports := s.get("ports").Array()
	if !s.ok() || len(ports) == 0 {
		return "", badRequest("Instance %s doesn't have fixed IP '%s'.", server, lost)
	}
	var left []object
	for _, ip := range fixedOf(ports[0]) {
		if ip["ip_address"] != lost {
			left = append(left, ip)
		}
	}
	if s, err = d.setFixed(ctx, by, ports[0], left); err != nil {
		return "", err
	}
	if !s.ok() {
		return "", s.fault()
	}
	return ports[0].Get("id").Str, nil
}
