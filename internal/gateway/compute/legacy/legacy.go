// Package legacy is what the Compute API still serves of other services' things to
// old clients: images, volumes, snapshots, networks, floating IPs and security
// groups, in the form they had before those services existed.
//
// Nova does this by asking Glance, Cinder and Neutron with the caller's token and
// telling their answers in its own words. So does this package, but it asks the
// region's Image, Block Storage and Network APIs: a pod's own would name things
// that exist in the region under another ID, or not at all. From the microversion
// that closed a door on there is nothing behind it but a 404.
package legacy

import (
	"context"
	"net/http"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// Region asks another service of the region in the caller's name. *gateway.Inside
// does.
type Region interface {
	Do(ctx context.Context, by identity.Caller, q gateway.Question) (gateway.Answer, error)
}

// Doors are the old ways to other services.
type Doors struct{ Region Region }

// The last minor versions that have the doors.
const (
	lastProxy    = 35 // images, volumes, networks
	lastMetadata = 38 // image metadata
	// LastAddress is the last minor version with actions on a server's addresses.
	LastAddress = 43
)

// Routes are the lines of the Compute API's table.
func (d *Doors) Routes() []gateway.Route {
	table := []struct {
		last    int
		note    string
		line    string
		handler gateway.Handler
	}{
		{lastProxy, image, "GET /images", d.listImages(false)},
		{lastProxy, image, "GET /images/detail", d.listImages(true)},
		{lastProxy, image, "GET /images/{id}", d.showImage},
		{lastProxy, image, "DELETE /images/{id}", d.deleteImage},
		{lastMetadata, image, "GET /images/{id}/metadata", d.imageMetadata},
		{lastMetadata, image, "POST /images/{id}/metadata", d.addImageMetadata},
		{lastMetadata, image, "PUT /images/{id}/metadata", d.replaceImageMetadata},
		{lastMetadata, image, "GET /images/{id}/metadata/{key}", d.imageMetadataItem},
		{lastMetadata, image, "PUT /images/{id}/metadata/{key}", d.setImageMetadataItem},
		{lastMetadata, image, "DELETE /images/{id}/metadata/{key}", d.deleteImageMetadataItem},
		{lastProxy, volume, "GET /os-volumes", d.listVolumes},
		{lastProxy, volume, "GET /os-volumes/detail", d.listVolumes},
		{lastProxy, volume, "POST /os-volumes", d.createVolume},
		{lastProxy, volume, "GET /os-volumes/{id}", d.showVolume},
		{lastProxy, volume, "DELETE /os-volumes/{id}", d.deleteVolume},
		{lastProxy, volume, "GET /os-snapshots", d.listSnapshots},
		{lastProxy, volume, "GET /os-snapshots/detail", d.listSnapshots},
		{lastProxy, volume, "POST /os-snapshots", d.createSnapshot},
		{lastProxy, volume, "GET /os-snapshots/{id}", d.showSnapshot},
		{lastProxy, volume, "DELETE /os-snapshots/{id}", d.deleteSnapshot},
		{lastProxy, Network, "GET /os-networks", d.listNetworks(networkOfNova)},
		{lastProxy, Network, "GET /os-networks/{id}", d.showNetwork(networkOfNova)},
		{lastProxy, Network, "GET /os-tenant-networks", d.listNetworks(tenantNetwork)},
		{lastProxy, Network, "GET /os-tenant-networks/{id}", d.showNetwork(tenantNetwork)},
		{lastProxy, Network, "GET /os-floating-ip-pools", d.listPools},
		{lastProxy, Network, "GET /os-floating-ips", d.listFloatingIPs},
		{lastProxy, Network, "POST /os-floating-ips", d.createFloatingIP},
		{lastProxy, Network, "GET /os-floating-ips/{id}", d.showFloatingIP},
		{lastProxy, Network, "DELETE /os-floating-ips/{id}", d.deleteFloatingIP},
		{lastProxy, Network, "GET /os-security-groups", d.listGroups},
		{lastProxy, Network, "POST /os-security-groups", d.createGroup},
		{lastProxy, Network, "GET /os-security-groups/{id}", d.showGroup},
		{lastProxy, Network, "PUT /os-security-groups/{id}", d.updateGroup},
		{lastProxy, Network, "DELETE /os-security-groups/{id}", d.deleteGroup},
		{lastProxy, Network, "POST /os-security-group-rules", d.createRule},
		{lastProxy, Network, "DELETE /os-security-group-rules/{id}", d.deleteRule},
	}
	routes := make([]gateway.Route, 0, len(table))
	for _, t := range table {
		route := gateway.Route{Strategy: gateway.Proxied, Note: t.note, Handle: Until(t.last, t.handler)}
		route.Method, route.Pattern, _ = strings.Cut(t.line, " ")
		routes = append(routes, route)
	}
	return append(routes, baremetalRoutes()...)
}

// Whom the routes ask.
const (
	image   = "the Image API"
	volume  = "the Block Storage API"
	Network = "the Network API"
)

// Until closes the door after the minor version. Nova reads a body before it
// looks at the version.
func Until(last int, h gateway.Handler) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		if r.Method == http.MethodPost || r.Method == http.MethodPut {
			if _, err := document(r); err != nil {
				return nil, err
			}
		}
		if v, ok := gateway.ParseMicroversion(r.Header.Get("X-Openstack-Nova-Api-Version")); ok && v.AtLeast(2, last+1) {
			return nil, NoResource()
		}
		return h(ctx, by, r)
	}
}

// NoResource is Nova's 404 without a reason of its own.
func NoResource() error { return fault.New(fault.NotFound, "", "The resource could not be found.") }

func notFound(format string, args ...any) error {
	return fault.New(fault.NotFound, "", format, args...)
}

func badRequest(format string, args ...any) error {
	return fault.New(fault.Invalid, "", format, args...)
}

func forbidden(format string, args ...any) error {
	return fault.New(fault.Forbidden, "", format, args...)
}
