package plan

import (
	"fmt"
	"net"

	"github.com/tricircle/tricircle/internal/topology"
)

// NewShadow is the body that creates the shadow of another pod's port: at its IPv4
// addresses, of no device. Nobody ever sends from it.
func NewShadow(p topology.Port, refs Refs) map[string]any {
	return map[string]any{
		"name":                  p.Name,
		"description":           Mark("shadow_port", p.ID),
		"project_id":            p.ProjectID,
		"network_id":            refs.Network,
		"mac_address":           shadowMAC(p.MACAddress),
		"fixed_ips":             shadowIPs(p, refs),
		"port_security_enabled": false,
		"security_groups":       []string{},
	}
}

// shadowMAC is another address than the port's: the pod's DHCP agent must not know
// the server's, whose broadcasts may reach it over the wire that both pods share. It
// is as unique on the network as the port's own.
func shadowMAC(mac string) string {
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 {
		return mac
	}
	hw[0] ^= 0x08
	return hw.String()
}

// UpdateShadow is what to change in it. IPv6 addresses that the pod makes out of the
// MAC stay: floating IPs are IPv4.
func UpdateShadow(want topology.Port, found Port, refs Refs) Changes {
	c := Changes{}
	set(c, "name", found.Name, want.Name)
	set(c, "description", found.Description, Mark("shadow_port", want.ID))
	want4, found4 := shadowIPs(want, refs), []FixedIP{}
	for _, ip := range found.FixedIPs {
		if net.ParseIP(ip.Address).To4() != nil {
			found4 = append(found4, ip)
		}
	}
	if !sameSet(found4, want4) {
		c["fixed_ips"] = want4
	}
	return c
}

func shadowIPs(p topology.Port, refs Refs) []FixedIP {
	out := []FixedIP{}
	for _, f := range p.FixedIPs {
		if id, ok := refs.Subnets[f.SubnetID]; ok && f.Address.Is4() {
			out = append(out, FixedIP{SubnetID: id, Address: fmt.Sprint(f.Address)})
		}
	}
	return out
}
