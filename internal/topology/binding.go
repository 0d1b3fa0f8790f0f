package topology

import (
	"maps"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// VIF types of a port that no host serves.
const (
	VIFUnbound       = "unbound"
	VIFBindingFailed = "binding_failed"
)

// VNICDirectPhysical is a port that has a whole network card, and its MAC address.
const VNICDirectPhysical = "direct-physical"

// Binding is where a port is served, as its pod said last.
type Binding struct {
	Status     string         `json:"status"`
	Host       string         `json:"binding:host_id"` // as the region calls it
	VIFType    string         `json:"binding:vif_type"`
	VIFDetails map[string]any `json:"binding:vif_details"`
	Profile    map[string]any `json:"binding:profile"`
}

// Unbound is the binding of a port that no pod has.
func Unbound() Binding {
	return Binding{Status: StatusDown, VIFType: VIFUnbound, VIFDetails: map[string]any{}, Profile: map[string]any{}}
}

// Bound says that a host serves the port.
func (b *Binding) Bound() bool {
	return b.VIFType != "" && b.VIFType != VIFUnbound && b.VIFType != VIFBindingFailed
}

// Served says that a server has the port: its pod's Nova binds it, nobody else.
func (p *Port) Served() bool {
	return strings.HasPrefix(p.DeviceOwner, OwnerCompute) && p.DeviceID != ""
}

// BindTo records the host that an admin wants the port on; empty is none. failed
// says that there is no such host.
func (p *Port) BindTo(host string, failed bool) {
	p.WantHost = &host
	p.Host, p.Status, p.VIFType, p.VIFDetails = host, StatusDown, VIFUnbound, map[string]any{}
	if failed && host != "" {
		p.VIFType = VIFBindingFailed
	}
}

// Shape records what an admin wants to tell the host about the port.
func (p *Port) Shape(profile map[string]any) {
	p.WantProfile, p.Profile = maps.Clone(profile), maps.Clone(profile)
}

// DHCPOption is something that DHCP tells the port's server.
type DHCPOption struct {
	Name      string `json:"opt_name"`
	Value     string `json:"opt_value"`
	IPVersion int    `json:"ip_version"`
}

// WantDHCPOption sets an option, or without a value takes it away.
type WantDHCPOption struct {
	Name      string
	Value     *string
	IPVersion int
}

// Options that mean something without a value.
var blankOptions = map[string]bool{"router": true, "classless-static-route": true}

// BlankDHCPOption says that the option may be empty.
func BlankDHCPOption(name string) bool { return blankOptions[name] }

// SetDHCPOptions changes the options as asked; those not named stay. An empty
// value where none is allowed changes nothing.
func (p *Port) SetDHCPOptions(want []WantDHCPOption) {
	options := append([]DHCPOption{}, p.DHCPOptions...)
	for _, w := range want {
		at := -1
		for i, o := range options {
			if o.Name == w.Name && o.IPVersion == w.IPVersion {
				at = i
			}
		}
		usable := w.Value != nil && (*w.Value != "" || blankOptions[w.Name])
		switch {
		case at >= 0 && w.Value == nil:
			options = append(options[:at], options[at+1:]...)
		case at >= 0 && usable:
			options[at].Value = *w.Value
		case at < 0 && usable:
			options = append(options, DHCPOption{w.Name, *w.Value, w.IPVersion})
		}
	}
	p.DHCPOptions = options
}

// NoBinding is the answer about a host that the port has no binding for.
func NoBinding(portID, host string) error {
	return fault.New(fault.NotFound, "PortBindingNotFound", "Binding for port %s for host %s could not be found.", portID, host)
}
