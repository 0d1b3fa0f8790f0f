package network

import (
	"context"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// span is a range of ports; the zero value is none.
type span struct{ first, last int }

var forwardingProtocols = readOneOf(readLower, "tcp", "udp", "icmp", "dccp", "sctp", "udplite", "igmp", "gre", "esp", "ah", "ospf", "pgm", "rsvp", "vrrp", "egp", "ipip")

var portForwardingAttributes = standard(
	attribute{name: "external_port", read: orUnset(readSpan), post: true, put: true, filter: filterNumber, sort: true},
	attribute{name: "internal_port", read: orUnset(readSpan), post: true, put: true},
	attribute{name: "external_port_range", read: orUnset(readSpan), post: true, put: true},
	attribute{name: "internal_port_range", read: orUnset(readSpan), post: true, put: true},
	attribute{name: "internal_ip_address", read: readIP, required: true, post: true, put: true},
	attribute{name: "protocol", read: forwardingProtocols, required: true, post: true, put: true, filter: asIs, sort: true},
	attribute{name: "internal_port_id", read: readUUID, required: true, post: true, put: true, filter: asIs, sort: true},
)

func readLower(name string, v any) (any, error) {
	s, err := readText(40)(name, v)
	if err != nil {
		return nil, err
	}
	return strings.ToLower(s.(string)), nil
}

// readSpan reads a port, or two with a colon between them.
func readSpan(name string, v any) (any, error) {
	text := python(v)
	if n, ok := v.(json.Number); ok {
		text = n.String()
	}
	var ends []int
	for part := range strings.SplitSeq(text, ":") {
		n, err := strconv.Atoi(part)
		switch {
		case err != nil:
			return nil, unfit(name, "'%s' is not an integer", part)
		case n < 1:
			return nil, unfit(name, "'%d' is too small - must be at least '1'", n)
		case n > 65535:
			return nil, unfit(name, "'%d' is too large - must be no larger than '65535'", n)
		}
		ends = append(ends, n)
	}
	if len(ends) > 2 {
		return nil, unfit(name, "Port range must be two integers separated by a colon")
	}
	return span{ends[0], ends[len(ends)-1]}, nil
}

// portForwardings are below their floating IPs.
func (a *api) portForwardings() *resource[topology.PortForwarding] {
	forwardings := a.Store.PortForwardings()
	return &resource[topology.PortForwarding]{
		one: "port_forwarding", many: "port_forwardings", path: "floatingips/{floatingip_id}/port_forwardings",
		attributes: portForwardingAttributes, missing: topology.NoPortForwarding,
		below: &below[topology.PortForwarding]{
			owner: "floatingip_id", of: func(f *topology.PortForwarding) string { return f.FloatingIPID },
			sees: func(ctx context.Context, by identity.Caller, id string) error {
				_, err := a.floatingIPs().get(ctx, by, id)
				return err
			},
			missing: func(_, id string) error { return topology.NoPortForwarding(id) },
		},
		list: forwardings.List, find: forwardings.Find, view: viewPortForwardings,
		belongs: a.ofFloatingIP,
		facts: func(f *topology.PortForwarding) map[string]any {
			return map[string]any{"floatingip_id": f.FloatingIPID}
		},
		create: a.createPortForwardings,
		update: func(ctx context.Context, by identity.Caller, old *topology.PortForwarding, v values, match revision) (topology.PortForwarding, error) {
			if err := a.checkForwarded(ctx, by, v); err != nil {
				return topology.PortForwarding{}, err
			}
			return forwardings.Update(ctx, old.ID, func(f *topology.PortForwarding) error {
				setPortForwarding(f, v)
				return check(match, f.Revision)
			})
		},
		remove: func(ctx context.Context, _ identity.Caller, old *topology.PortForwarding, match revision) error {
			return forwardings.Delete(ctx, old.ID, func(f *topology.PortForwarding) error { return check(match, f.Revision) })
		},
	}
}

func (a *api) createPortForwardings(ctx context.Context, by identity.Caller, all []values) ([]topology.PortForwarding, error) {
	made := make([]topology.PortForwarding, len(all))
	for i, v := range all {
		f, err := a.floatingIPs().get(ctx, by, v["floatingip_id"].(string))
		if err != nil {
			return nil, err
		}
		if err := a.checkForwarded(ctx, by, v); err != nil {
			return nil, err
		}
		made[i].ProjectID, made[i].FloatingIPID = f.ProjectID, f.ID
		setPortForwarding(&made[i], v)
		if made[i].ExternalFirst == 0 || made[i].InternalFirst == 0 {
			return nil, topology.BadPortForwarding("external_port and internal_port, or their ranges, must be specified")
		}
	}
	return a.Store.PortForwardings().Create(ctx, made)
}

// checkForwarded hides ports that the caller does not see.
func (a *api) checkForwarded(ctx context.Context, by identity.Caller, v values) error {
	id, sent := v["internal_port_id"].(string)
	if !sent {
		return nil
	}
	_, err := a.ports().get(ctx, by, id)
	return err
}

// setPortForwarding takes over what may also be changed later.
func setPortForwarding(f *topology.PortForwarding, v values) {
	set(v, "description", &f.Description)
	set(v, "protocol", &f.Protocol)
	set(v, "internal_port_id", &f.PortID)
	if address, ok := v["internal_ip_address"].(netip.Addr); ok {
		f.Address = address
	}
	for _, end := range []struct {
		name        string
		first, last *int
	}{
		{"external_port", &f.ExternalFirst, &f.ExternalLast}, {"external_port_range", &f.ExternalFirst, &f.ExternalLast},
		{"internal_port", &f.InternalFirst, &f.InternalLast}, {"internal_port_range", &f.InternalFirst, &f.InternalLast},
	} {
		if s, ok := v[end.name].(span); ok {
			*end.first, *end.last = s.first, s.last
		}
	}
}

func viewPortForwardings(_ context.Context, _ identity.Caller, all []topology.PortForwarding) ([]map[string]any, error) {
	shown := make([]map[string]any, len(all))
	for i := range all {
		shown[i] = viewPortForwarding(&all[i])
		shown[i]["description"] = all[i].Description
		shown[i]["external_port_range"], shown[i]["internal_port_range"] = all[i].External(), all[i].Internal()
	}
	return shown, nil
}

// viewPortForwarding is what floating IPs show of it.
func viewPortForwarding(f *topology.PortForwarding) map[string]any {
	m := map[string]any{"id": f.ID, "protocol": f.Protocol, "internal_port_id": f.PortID, "internal_ip_address": f.Address}
	if f.ExternalFirst == f.ExternalLast {
		m["external_port"] = f.ExternalFirst
	}
	if f.InternalFirst == f.InternalLast {
		m["internal_port"] = f.InternalFirst
	}
	return m
}

// forwardingsOf are the forwardings of the floating IPs, as those show them.
func (a *api) forwardingsOf(ctx context.Context, all []topology.FloatingIP) (map[string][]map[string]any, error) {
	shown := map[string][]map[string]any{}
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = all[i].ID
		shown[ids[i]] = []map[string]any{}
	}
	if len(ids) == 0 {
		return shown, nil
	}
	found, err := a.Store.PortForwardings().List(ctx, store.Query{Filters: map[string][]string{"floatingip_id": ids}})
	for i := range found {
		id := found[i].FloatingIPID
		shown[id] = append(shown[id], viewPortForwarding(&found[i]))
	}
	return shown, err
}

// ofFloatingIP answers what the rules ask about the floating IP, "ext_parent".
func (a *api) ofFloatingIP(ctx context.Context, _ identity.Caller) parents {
	return func(name string, of map[string]any) (any, bool, error) {
		id, _ := of["floatingip_id"].(string)
		if name != "ext_parent:tenant_id" && name != "ext_parent:project_id" || id == "" {
			return nil, false, nil
		}
		f, err := a.Store.FindFloatingIP(ctx, id)
		return f.ProjectID, err == nil, err
	}
}
