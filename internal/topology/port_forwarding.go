package topology

import (
	"fmt"
	"net/netip"

	"github.com/tricircle/tricircle/internal/fault"
)

// PortForwarding leads ports of a floating IP to ports of one address of a port of
// the model. The outer range is as long as the inner one, or all lead to one.
type PortForwarding struct {
	Standard
	FloatingIPID  string     `db:"floatingip_id"`
	PortID        string     `db:"internal_port_id"`
	Address       netip.Addr `db:"internal_ip_address"`
	Protocol      string     `db:"protocol"`
	ExternalFirst int        `db:"external_first" api:"external_port"`
	ExternalLast  int        `db:"external_last"`
	InternalFirst int        `db:"internal_first" api:"internal_port"`
	InternalLast  int        `db:"internal_last"`
}

// NoPortForwarding is the answer about one that is not there for the caller.
func NoPortForwarding(id string) error {
	return fault.New(fault.NotFound, "PortForwardingNotFound", "Port Forwarding %s could not be found.", id)
}

// BadPortForwarding is Neutron's refusal of what is asked of one.
func BadPortForwarding(format string, args ...any) error {
	return fault.New(fault.Invalid, "BadRequest", "Bad port_forwarding request: %s.", fmt.Sprintf(format, args...))
}

// FloatingIPForwards is the refusal to use a floating IP for anything else.
func FloatingIPForwards(id string) error {
	return fault.New(fault.Conflict, "FipInUseByPortForwarding", "Floating IP %s in use by Port Forwarding resources.", id)
}

// External and Internal are the ranges as clients write them.
func (f *PortForwarding) External() string {
	return fmt.Sprintf("%d:%d", f.ExternalFirst, f.ExternalLast)
}

// Internal is the range of the inner ports.
func (f *PortForwarding) Internal() string {
	return fmt.Sprintf("%d:%d", f.InternalFirst, f.InternalLast)
}

// Check refuses ranges that do not fit each other, or that another forwarding of
// the same floating IP or to the same address has.
func (f *PortForwarding) Check(others []PortForwarding) error {
	inner, outer := f.InternalLast-f.InternalFirst, f.ExternalLast-f.ExternalFirst
	if inner < 0 || outer < 0 || inner > 0 && inner != outer {
		return BadPortForwarding("Invalid ranges of internal and/or external ports. " +
			"The relation between internal and external ports must be N-N or 1-N")
	}
	const collides = "There is a port collision with the %s. The following ranges collides: %s and %s"
	for i := range others {
		o := &others[i]
		if o.ID == f.ID || o.Protocol != f.Protocol {
			continue
		}
		if o.PortID == f.PortID && o.Address == f.Address && o.InternalFirst <= f.InternalLast && f.InternalFirst <= o.InternalLast {
			return BadPortForwarding(collides, "internal_port_range", o.Internal(), f.Internal())
		}
		if o.FloatingIPID == f.FloatingIPID && o.ExternalFirst <= f.ExternalLast && f.ExternalFirst <= o.ExternalLast {
			return BadPortForwarding(collides, "external_port_range", o.External(), f.External())
		}
	}
	return nil
}
