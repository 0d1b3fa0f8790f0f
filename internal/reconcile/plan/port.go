package plan

import (
	"reflect"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/topology"
)

// Port is a pod's port, as far as we care.
type Port struct {
	ID           string    `json:"id"`
	NetworkID    string    `json:"network_id"`
	Name         string    `json:"name"`
	Description  string    `json:"description"`
	AdminStateUp bool      `json:"admin_state_up"`
	MACAddress   string    `json:"mac_address"`
	FixedIPs     []FixedIP `json:"fixed_ips"`
	DeviceID     string    `json:"device_id"`
	DeviceOwner  string    `json:"device_owner"`
	Groups       []string  `json:"security_groups"`
	PortSecurity bool      `json:"port_security_enabled"`
	Pairs        []Pair    `json:"allowed_address_pairs"`
	QoSPolicyID  string    `json:"qos_policy_id"`
	Options      []Option  `json:"extra_dhcp_opts"`

	VNICType   string         `json:"binding:vnic_type"`
	Host       string         `json:"binding:host_id"`
	Profile    map[string]any `json:"binding:profile"`
	VIFType    string         `json:"binding:vif_type"`
	NUMAPolicy *string        `json:"numa_affinity_policy"`
}

// Option is a DHCP option of a pod's port; without a value it is taken away.
type Option struct {
	Name    string  `json:"opt_name"`
	Value   *string `json:"opt_value"`
	Version int     `json:"ip_version"`
}

// PodID is its ID in the pod.
func (p Port) PodID() string { return p.ID }

// FixedIP is an address of a pod's port; the subnet is the pod's.
type FixedIP struct {
	SubnetID string `json:"subnet_id"`
	Address  string `json:"ip_address,omitempty"`
}

// Pair is an allowed address pair of a pod's port.
type Pair struct {
	MAC string `json:"mac_address,omitempty"`
	IP  string `json:"ip_address"`
}

// Refs are a pod's IDs for the things that a port refers to by ours.
type Refs struct {
	Pod     string // its name
	Network string
	Subnets map[string]string
	Groups  map[string]string
	// QoSPolicy is the pod's ID of the port's own one; empty: it has none.
	QoSPolicy string
	// Auto are those of our subnets whose addresses follow from the MAC.
	Auto map[string]bool
}

// Auto picks out the subnets whose addresses follow from the MAC.
func Auto(subnets []topology.Subnet) map[string]bool {
	auto := map[string]bool{}
	for i := range subnets {
		if subnets[i].AutoAddress() {
			auto[subnets[i].ID] = true
		}
	}
	return auto
}

// Swap says that two reserved ports have each other's address in a subnet.
type Swap struct {
	SubnetID string // ours
	Ports    [2]string
}

// Swaps finds out which of the reserved ports have changed places, and changes
// them in ports. A pod's agents take what is in the pools: which of them has which
// of our addresses is nobody's concern, so we follow.
func Swaps(ports []topology.Port, found []Port, refs Refs) []Swap {
	var swaps []Swap
	for i := range ports {
		for k := range ports[i].FixedIPs {
			mine := &ports[i].FixedIPs[k]
			for _, f := range found[i].FixedIPs {
				if f.SubnetID != refs.Subnets[mine.SubnetID] || f.Address == mine.Address.String() {
					continue
				}
				for j := i + 1; j < len(ports); j++ {
					at := slices.IndexFunc(ports[j].FixedIPs, func(ip topology.FixedIP) bool {
						return ip.SubnetID == mine.SubnetID && ip.Address.String() == f.Address
					})
					if at >= 0 {
						other := &ports[j].FixedIPs[at]
						mine.Address, other.Address = other.Address, mine.Address
						swaps = append(swaps, Swap{mine.SubnetID, [2]string{ports[i].ID, ports[j].ID}})
						break
					}
				}
			}
		}
	}
	return swaps
}

// NewPort is the body that creates the port in a pod, with our addresses and
// MAC. The device is left to the pod's Nova, except for a reserved DHCP port,
// which the agent finds by it.
func NewPort(p topology.Port, refs Refs) map[string]any {
	body := map[string]any{
		"name":                  p.Name,
		"description":           Mark("port", p.ID),
		"project_id":            p.ProjectID,
		"network_id":            refs.Network,
		"mac_address":           p.MACAddress,
		"admin_state_up":        p.AdminStateUp,
		"fixed_ips":             asked(p, refs),
		"port_security_enabled": p.PortSecurityEnabled,
	}
	if p.DeviceOwner == topology.OwnerDHCP {
		body["device_owner"] = topology.OwnerDHCP
		body["device_id"] = topology.ReservedDHCPID
		return body
	}
	body["security_groups"] = groups(p, refs)
	if len(p.AllowedAddressPairs) > 0 {
		body["allowed_address_pairs"] = pairs(p)
	}
	if refs.QoSPolicy != "" {
		body["qos_policy_id"] = refs.QoSPolicy
	}
	if p.VNICType != "" && p.VNICType != topology.VNICNormal {
		body["binding:vnic_type"] = p.VNICType
	}
	if len(p.DHCPOptions) > 0 {
		body["extra_dhcp_opts"] = options(p)
	}
	if p.NUMAPolicy != "" {
		body["numa_affinity_policy"] = p.NUMAPolicy
	}
	if p.DeviceProfile != "" {
		body["device_profile"] = p.DeviceProfile
	}
	if len(p.WantProfile) > 0 {
		body["binding:profile"] = p.WantProfile
	}
	if p.WantHost != nil && *p.WantHost != "" && !p.Served() {
		// Something else than a server: no Nova will say what it is.
		body["binding:host_id"] = hostIn(refs.Pod, *p.WantHost)
		body["device_owner"], body["device_id"] = p.DeviceOwner, p.DeviceID
	}
	return body
}

// hostIn is the pod's own name of a host.
func hostIn(pod, host string) string { return strings.TrimSuffix(host, "@"+pod) }

func options(p topology.Port) []Option {
	out := make([]Option, 0, len(p.DHCPOptions))
	for _, o := range p.DHCPOptions {
		out = append(out, Option{o.Name, &o.Value, o.IPVersion})
	}
	return out
}

// changedOptions sets what differs and takes away what is not wanted: Neutron
// keeps the options that an update does not name.
func changedOptions(want topology.Port, found Port) []Option {
	type key struct {
		name    string
		version int
	}
	has := map[key]string{}
	for _, o := range found.Options {
		has[key{o.Name, o.Version}] = deref(o.Value)
	}
	var out []Option
	for _, o := range options(want) {
		k := key{o.Name, o.Version}
		if v, ok := has[k]; !ok || v != *o.Value {
			out = append(out, o)
		}
		delete(has, k)
	}
	for _, o := range found.Options {
		if _, extra := has[key{o.Name, o.Version}]; extra {
			out = append(out, Option{Name: o.Name, Version: o.Version})
		}
	}
	return out
}

// bind adds where an admin wants the port. A server's port is its pod's to bind.
func bind(c Changes, want topology.Port, found Port, refs Refs) {
	if want.Served() {
		return
	}
	if want.WantHost != nil {
		set(c, "binding:host_id", found.Host, hostIn(refs.Pod, *want.WantHost))
	}
	if want.WantProfile != nil && !reflect.DeepEqual(found.Profile, want.WantProfile) && len(found.Profile)+len(want.WantProfile) > 0 {
		c["binding:profile"] = want.WantProfile
	}
	if want.VNICType != "" && found.VNICType != "" {
		set(c, "binding:vnic_type", found.VNICType, want.VNICType)
	}
	if found.VIFType == topology.VIFUnbound || found.VIFType == topology.VIFBindingFailed {
		set(c, "mac_address", found.MACAddress, want.MACAddress)
		if found.NUMAPolicy != nil || want.NUMAPolicy != "" {
			set(c, "numa_affinity_policy", deref(found.NUMAPolicy), want.NUMAPolicy)
		}
	}
}

// UpdatePort is what to change in the pod's port. The device stays: it is the pod's
// business. So is the MAC address as long as a host serves the port.
func UpdatePort(want topology.Port, found Port, refs Refs) Changes {
	c := Changes{}
	set(c, "description", found.Description, Mark("port", want.ID))
	if f := fixedIPs(want, refs); !sameSet(found.FixedIPs, f) {
		c["fixed_ips"] = asked(want, refs)
	}
	if want.DeviceOwner == topology.OwnerDHCP {
		return c
	}
	set(c, "name", found.Name, want.Name)
	set(c, "admin_state_up", found.AdminStateUp, want.AdminStateUp)
	set(c, "port_security_enabled", found.PortSecurity, want.PortSecurityEnabled)
	setQoS(c, found.QoSPolicyID, refs.QoSPolicy)
	if g := groups(want, refs); !sameSet(found.Groups, g) {
		c["security_groups"] = g
	}
	if o := changedOptions(want, found); o != nil {
		c["extra_dhcp_opts"] = o
	}
	bind(c, want, found, refs)
	// Neutron fills in the port's own MAC where a pair names none.
	for i := range found.Pairs {
		if found.Pairs[i].MAC == found.MACAddress {
			found.Pairs[i].MAC = ""
		}
	}
	wantPairs := pairs(want)
	for i := range wantPairs {
		if wantPairs[i].MAC == want.MACAddress {
			wantPairs[i].MAC = ""
		}
	}
	if !sameSet(found.Pairs, wantPairs) {
		c["allowed_address_pairs"] = wantPairs
	}
	return c
}

// fixedIPs are the port's addresses in the pod's subnets, of those that the pod
// has yet.
func fixedIPs(p topology.Port, refs Refs) []FixedIP {
	out := make([]FixedIP, 0, len(p.FixedIPs))
	for _, f := range p.FixedIPs {
		if id, ok := refs.Subnets[f.SubnetID]; ok {
			out = append(out, FixedIP{SubnetID: id, Address: f.Address.String()})
		}
	}
	return out
}

// asked is how to ask for them: where an address follows from the MAC, which is
// ours, Neutron allows nobody to name it and comes to the same by itself.
func asked(p topology.Port, refs Refs) []FixedIP {
	out := make([]FixedIP, 0, len(p.FixedIPs))
	for _, f := range p.FixedIPs {
		id, ok := refs.Subnets[f.SubnetID]
		switch {
		case !ok:
		case refs.Auto[f.SubnetID]:
			out = append(out, FixedIP{SubnetID: id})
		default:
			out = append(out, FixedIP{SubnetID: id, Address: f.Address.String()})
		}
	}
	return out
}

func groups(p topology.Port, refs Refs) []string {
	out := make([]string, 0, len(p.SecurityGroups))
	for _, g := range p.SecurityGroups {
		out = append(out, refs.Groups[g])
	}
	return out
}

func pairs(p topology.Port) []Pair {
	out := make([]Pair, 0, len(p.AllowedAddressPairs))
	for _, a := range p.AllowedAddressPairs {
		out = append(out, Pair{MAC: a.MACAddress, IP: a.IPAddress})
	}
	return out
}

// sameSet compares without regard to order.
func sameSet[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	return true
}
