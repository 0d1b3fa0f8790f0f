package topology

import (
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// Flavor is a kind of service that users may choose by name: of routers.
type Flavor struct {
	Standard
	Name        string   `db:"name"`
	ServiceType string   `db:"service_type"`
	Enabled     bool     `db:"enabled"`
	Profiles    []string // of service profiles, in order
}

// ServiceProfile says which driver serves what has its flavors.
type ServiceProfile struct {
	Standard
	Driver   string `db:"driver"`
	Enabled  bool   `db:"enabled"`
	Metainfo string `db:"metainfo"`
}

// Provider is one of Neutron's own kinds of routers.
type Provider struct {
	Name            string
	Driver          string
	Distributed, HA bool
}

// Providers are those that every Neutron has.
func Providers() []Provider {
	const drivers = "neutron.services.l3_router.service_providers."
	return []Provider{
		{"dvrha", drivers + "dvrha.DvrHaDriver", true, true},
		{"dvr", drivers + "dvr.DvrDriver", true, false},
		{"ha", drivers + "ha.HaDriver", false, true},
		{"single_node", drivers + "single_node.SingleNodeDriver", false, false},
	}
}

// ProviderOf finds the provider with the driver.
func ProviderOf(driver string) (Provider, error) {
	for _, p := range Providers() {
		if p.Driver == driver {
			return p, nil
		}
	}
	return Provider{}, fault.New(fault.NotFound, "ServiceProfileDriverNotFound", "Service Profile driver %s could not be found.", driver)
}

// Check refuses a profile that names neither a driver that there is nor something
// else to go by.
func (p *ServiceProfile) Check() error {
	if p.Driver != "" {
		_, err := ProviderOf(p.Driver)
		return err
	}
	if p.Metainfo == "" {
		return fault.New(fault.Invalid, "ServiceProfileEmpty", "Service Profile needs either a driver or metainfo.")
	}
	return nil
}

// Suits refuses kinds of routers that the provider does not make; nil leaves it
// to the provider.
func (p Provider) Suits(distributed, ha *bool) error {
	for _, c := range []struct {
		name      string
		want, has *bool
	}{{"distributed", distributed, &p.Distributed}, {"ha", ha, &p.HA}} {
		if c.want != nil && *c.want != *c.has {
			said := map[bool]string{true: "True", false: "False"}[*c.want]
			return fault.New(fault.Invalid, "InvalidInput", "Invalid input for operation: Provider %s does not support %s=%s.", p.Name, c.name, said)
		}
	}
	return nil
}

// FlavorKept is the refusal to change the kind of a router that has a flavor.
func FlavorKept() error {
	return fault.New(fault.Invalid, "InvalidInput", "Invalid input for operation: Changing the 'ha' and 'distributed' attributes on a router "+
		"associated with a flavor is not supported.")
}

// serviceTypes are the services that flavors may be of.
var serviceTypes = []string{"CORE", "L3_ROUTER_NAT", "FLAVORS", "QOS", "trunk", "network_ip_availability", "auto_allocated_topology", "segments"}

// CheckServiceType refuses a service that there is not.
func CheckServiceType(name string) error {
	for _, t := range serviceTypes {
		if strings.EqualFold(t, name) {
			return nil
		}
	}
	return fault.New(fault.Invalid, "InvalidServiceType", "Invalid service type: %s.", name)
}

// NoFlavor is the answer about a flavor that there is not.
func NoFlavor(id string) error {
	return fault.New(fault.NotFound, "FlavorNotFound", "Flavor %s could not be found.", id)
}

// NoServiceProfile is the answer about a profile that there is not.
func NoServiceProfile(id string) error {
	return fault.New(fault.NotFound, "ServiceProfileNotFound", "Service Profile %s could not be found.", id)
}

// NotOfFlavor is the answer about a profile that a flavor does not have.
func NotOfFlavor(flavor, profile string) error {
	return fault.New(fault.NotFound, "FlavorServiceProfileBindingNotFound", "Service Profile %s is not associated with flavor %s.", profile, flavor)
}

// IsOfFlavor is the refusal of a profile that the flavor has already.
func IsOfFlavor(flavor, profile string) error {
	return fault.New(fault.Conflict, "FlavorServiceProfileBindingExists", "Service Profile %s is already associated with flavor %s.", profile, flavor)
}

// FlavorInUse is the refusal to delete a flavor that routers have.
func FlavorInUse(id string) error {
	return fault.New(fault.Conflict, "FlavorInUse", "Flavor %s is used by some service instance.", id)
}

// ServiceProfileInUse is the refusal to change a profile that flavors have.
func ServiceProfileInUse(id string) error {
	return fault.New(fault.Conflict, "ServiceProfileInUse", "Service Profile %s is used by some service instance.", id)
}

// ServiceProfileDisabled says that what the flavor stands for is switched off.
func ServiceProfileDisabled() error {
	return fault.New(fault.Unavailable, "ServiceProfileDisabled", "Service Profile is not enabled.")
}
