package compute

import (
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/gateway"
)

// refusals are routes that answer 501 with one reason.
func refusals(note string, lines ...string) []gateway.Route {
	return lined(gateway.Route{Strategy: gateway.Refused, Handle: refused, Note: note}, lines)
}

// lined makes a route like the model for each "METHOD /pattern".
func lined(model gateway.Route, lines []string) []gateway.Route {
	routes := make([]gateway.Route, 0, len(lines))
	for _, line := range lines {
		r := model
		r.Method, r.Pattern, _ = strings.Cut(line, " ")
		routes = append(routes, r)
	}
	return routes
}

// closedRoutes are what Nova itself has closed. What other services took over is
// refused below the version that closed it: the pod's answer would name things
// that only the pod knows.
func closedRoutes() []gateway.Route {
	proxy := func(minor int, note string, lines ...string) []gateway.Route {
		return lined(gateway.Route{Strategy: gateway.Refused, Handle: proxied(minor), Note: note}, lines)
	}
	return slices.Concat(
		proxy(36, useImage, "GET /images", "GET /images/detail", "GET /images/{id}", "DELETE /images/{id}"),
		proxy(39, useImage, "GET /images/{id}/metadata", "POST /images/{id}/metadata", "PUT /images/{id}/metadata",
			"GET /images/{id}/metadata/{key}", "PUT /images/{id}/metadata/{key}", "DELETE /images/{id}/metadata/{key}"),
		proxy(36, useVolume, "GET /os-volumes", "GET /os-volumes/detail", "POST /os-volumes", "GET /os-volumes/{id}", "DELETE /os-volumes/{id}",
			"GET /os-snapshots", "GET /os-snapshots/detail", "POST /os-snapshots", "GET /os-snapshots/{id}", "DELETE /os-snapshots/{id}"),
		proxy(36, useNetwork, "GET /os-networks", "GET /os-networks/{id}", "GET /os-tenant-networks", "GET /os-tenant-networks/{id}",
			"GET /os-floating-ip-pools", "GET /os-floating-ips", "POST /os-floating-ips", "GET /os-floating-ips/{id}", "DELETE /os-floating-ips/{id}",
			"GET /os-security-groups", "POST /os-security-groups", "GET /os-security-groups/{id}", "PUT /os-security-groups/{id}",
			"DELETE /os-security-groups/{id}", "POST /os-security-group-rules", "DELETE /os-security-group-rules/{id}"),
		proxy(36, "there are no bare metal nodes", "GET /os-baremetal-nodes", "GET /os-baremetal-nodes/{id}", "POST /os-baremetal-nodes",
			"DELETE /os-baremetal-nodes/{id}", "POST /os-baremetal-nodes/{id}/action"),
		proxy(43, "use /os-hypervisors and /os-services", "GET /os-hosts", "GET /os-hosts/{id}", "PUT /os-hosts/{id}",
			"GET /os-hosts/{id}/reboot", "GET /os-hosts/{id}/shutdown", "GET /os-hosts/{id}/startup"),
		lined(gateway.Route{Strategy: gateway.Closed, Handle: gone410, Note: "Nova answers 410 too"}, goneLines),
	)
}

// goneLines answer 410 in Nova: nova-network, cells v1, and the like.
var goneLines = []string{
	"GET /os-agents", "POST /os-agents", "PUT /os-agents/{id}", "DELETE /os-agents/{id}",
	"GET /os-cells", "POST /os-cells", "GET /os-cells/capacities", "GET /os-cells/detail", "GET /os-cells/info",
	"POST /os-cells/sync_instances", "GET /os-cells/{id}", "PUT /os-cells/{id}", "DELETE /os-cells/{id}", "GET /os-cells/{id}/capacities",
	"POST /os-certificates", "GET /os-certificates/{id}", "GET /os-cloudpipe", "POST /os-cloudpipe", "PUT /os-cloudpipe/{id}",
	"GET /os-fixed-ips/{id}", "POST /os-fixed-ips/{id}/action",
	"GET /os-floating-ip-dns", "PUT /os-floating-ip-dns/{id}", "DELETE /os-floating-ip-dns/{id}",
	"GET /os-floating-ip-dns/{id}/entries/{entry}", "PUT /os-floating-ip-dns/{id}/entries/{entry}", "DELETE /os-floating-ip-dns/{id}/entries/{entry}",
	"GET /os-floating-ips-bulk", "POST /os-floating-ips-bulk", "GET /os-floating-ips-bulk/{id}", "PUT /os-floating-ips-bulk/{id}",
	"GET /os-fping", "GET /os-fping/{id}",
	"POST /os-networks", "POST /os-networks/add", "DELETE /os-networks/{id}", "POST /os-networks/{id}/action",
	"GET /os-security-group-default-rules", "POST /os-security-group-default-rules",
	"GET /os-security-group-default-rules/{id}", "DELETE /os-security-group-default-rules/{id}",
	"POST /os-tenant-networks", "DELETE /os-tenant-networks/{id}",
}
