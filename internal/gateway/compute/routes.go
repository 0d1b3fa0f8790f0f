package compute

import (
	"slices"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/store"
)

// Reasons that several refused routes share.
const (
	perPod = "do it in each pod"
)

// routes is the Compute API. A path that is not here gets Nova's 404.
func (a *api) routes() []gateway.Route {
	return slices.Concat(a.versionRoutes(), a.serverRoutes(), a.subRoutes(), a.flavorRoutes(), a.projectRoutes(), a.adminRoutes(), a.closedRoutes())
}

func (a *api) versionRoutes() []gateway.Route {
	return []gateway.Route{
		{Method: "GET", Pattern: "//", Strategy: gateway.Public, Handle: a.versions},
		{Method: "GET", Pattern: "//v2.1", Strategy: gateway.Public, Handle: a.version},
		{Method: "GET", Pattern: "/versions/{version}", Strategy: gateway.Central, Handle: a.version},
		{Method: "GET", Pattern: "/extensions", Strategy: gateway.Replicated, Handle: a.anyPod},
		{Method: "GET", Pattern: "/extensions/{id}", Strategy: gateway.Replicated, Handle: a.anyPod},
	}
}

func (a *api) serverRoutes() []gateway.Route {
	actions := a.serverActions()
	return []gateway.Route{
		{Method: "GET", Pattern: "/servers", Strategy: gateway.Merged, Handle: a.list(false)},
		{Method: "GET", Pattern: "/servers/detail", Strategy: gateway.Merged, Handle: a.list(true)},
		{Method: "POST", Pattern: "/servers", Strategy: gateway.Scheduled, Handle: a.create},
		{Method: "GET", Pattern: "/servers/{id}", Strategy: gateway.Routed, Handle: a.show},
		{Method: "PUT", Pattern: "/servers/{id}", Strategy: gateway.Routed, Handle: a.update},
		{Method: "DELETE", Pattern: "/servers/{id}", Strategy: gateway.Routed, Handle: a.remove},
		{Method: "POST", Pattern: "/servers/{id}/action", Strategy: gateway.Routed, Handle: a.act, Actions: actions},
		// Nova's old name for the same.
		{Method: "GET", Pattern: "/os-volumes_boot", Strategy: gateway.Merged, Handle: a.list(false)},
		{Method: "GET", Pattern: "/os-volumes_boot/detail", Strategy: gateway.Merged, Handle: a.list(true)},
		{Method: "POST", Pattern: "/os-volumes_boot", Strategy: gateway.Scheduled, Handle: a.create},
		{Method: "GET", Pattern: "/os-volumes_boot/{id}", Strategy: gateway.Routed, Handle: a.show},
		{Method: "PUT", Pattern: "/os-volumes_boot/{id}", Strategy: gateway.Routed, Handle: a.update},
		{Method: "DELETE", Pattern: "/os-volumes_boot/{id}", Strategy: gateway.Routed, Handle: a.remove},
		{Method: "POST", Pattern: "/os-volumes_boot/{id}/action", Strategy: gateway.Routed, Handle: a.act, Actions: actions},
	}
}

// subRoutes are the paths below a server. What is not named passes to its pod.
func (a *api) subRoutes() []gateway.Route {
	routes := []gateway.Route{
		{Method: "GET", Pattern: "/servers/{id}/metadata", Strategy: gateway.Routed, Handle: a.metadata},
		{Method: "POST", Pattern: "/servers/{id}/metadata", Strategy: gateway.Routed, Handle: a.metadata},
		{Method: "PUT", Pattern: "/servers/{id}/metadata", Strategy: gateway.Routed, Handle: a.metadata},
		{Method: "GET", Pattern: "/servers/{id}/metadata/{key}", Strategy: gateway.Routed, Handle: a.metadataItem},
		{Method: "PUT", Pattern: "/servers/{id}/metadata/{key}", Strategy: gateway.Routed, Handle: a.metadataItem},
		{Method: "DELETE", Pattern: "/servers/{id}/metadata/{key}", Strategy: gateway.Routed, Handle: a.metadataItem},
		{Method: "GET", Pattern: "/servers/{id}/os-interface", Strategy: gateway.Routed, Handle: a.interfaces},
		{Method: "POST", Pattern: "/servers/{id}/os-interface", Strategy: gateway.Routed, Handle: a.attach},
		{Method: "GET", Pattern: "/servers/{id}/os-interface/{port}", Strategy: gateway.Routed, Handle: a.showInterface},
		{Method: "DELETE", Pattern: "/servers/{id}/os-interface/{port}", Strategy: gateway.Routed, Handle: a.detach},
		{Method: "GET", Pattern: "/servers/{id}/os-security-groups", Strategy: gateway.Central, Handle: a.serverGroups},
		{Method: "POST", Pattern: "/servers/{id}/os-volume_attachments", Strategy: gateway.Routed, Handle: a.attachVolume},
		{Method: "PUT", Pattern: "/servers/{id}/os-volume_attachments/{volume}", Strategy: gateway.Routed, Handle: a.swapVolume},
	}
	routes = append(routes, lined(gateway.Route{Strategy: gateway.Routed, Handle: a.routed}, []string{
		"POST /servers/{id}/remote-consoles", "GET /servers/{id}/diagnostics", "GET /servers/{id}/topology",
		"GET /servers/{id}/ips", "GET /servers/{id}/ips/{network}",
		"GET /servers/{id}/migrations", "GET /servers/{id}/migrations/{migration}", "DELETE /servers/{id}/migrations/{migration}",
		"POST /servers/{id}/migrations/{migration}/action",
		"GET /servers/{id}/os-instance-actions", "GET /servers/{id}/os-instance-actions/{request}",
		"GET /servers/{id}/os-server-password", "DELETE /servers/{id}/os-server-password",
		"GET /servers/{id}/os-volume_attachments", "GET /servers/{id}/os-volume_attachments/{volume}", "DELETE /servers/{id}/os-volume_attachments/{volume}",
		"GET /servers/{id}/shares", "POST /servers/{id}/shares", "GET /servers/{id}/shares/{share}", "DELETE /servers/{id}/shares/{share}",
		"GET /servers/{id}/tags", "PUT /servers/{id}/tags", "DELETE /servers/{id}/tags",
		"GET /servers/{id}/tags/{tag}", "PUT /servers/{id}/tags/{tag}", "DELETE /servers/{id}/tags/{tag}",
	})...)
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		routes = append(routes, gateway.Route{Method: method, Pattern: "/servers/{id}/*", Strategy: gateway.Routed, Handle: a.routed})
	}
	return routes
}

func (a *api) flavorRoutes() []gateway.Route {
	return []gateway.Route{
		{Method: "GET", Pattern: "/flavors", Strategy: gateway.Merged, Handle: a.flavors},
		{Method: "GET", Pattern: "/flavors/detail", Strategy: gateway.Merged, Handle: a.flavors},
		{Method: "POST", Pattern: "/flavors", Strategy: gateway.Replicated, Policy: "os_compute_api:os-flavor-manage:create", Admin: true, Handle: a.createFlavor},
		{Method: "GET", Pattern: "/flavors/{id}", Strategy: gateway.Replicated, Handle: a.anyReplica(store.KindFlavor, flavorID, noFlavor)},
		{Method: "PUT", Pattern: "/flavors/{id}", Strategy: gateway.Replicated, Policy: "os_compute_api:os-flavor-manage:update", Admin: true, Handle: a.changeFlavor("update flavor", nextDescription)},
		{Method: "DELETE", Pattern: "/flavors/{id}", Strategy: gateway.Replicated, Policy: "os_compute_api:os-flavor-manage:delete", Admin: true, Handle: a.deleteFlavor},
		{Method: "POST", Pattern: "/flavors/{id}/action", Strategy: gateway.Replicated, Handle: a.actOnFlavor},
		{Method: "GET", Pattern: "/flavors/{id}/os-flavor-access", Strategy: gateway.Replicated, Handle: a.anyReplica(store.KindFlavor, flavorID, noFlavor)},
		{Method: "GET", Pattern: "/flavors/{id}/os-extra_specs", Strategy: gateway.Replicated, Handle: a.anyReplica(store.KindFlavor, flavorID, noFlavor)},
		{Method: "POST", Pattern: "/flavors/{id}/os-extra_specs", Strategy: gateway.Replicated, Policy: "os_compute_api:os-flavor-extra-specs:create", Admin: true, Handle: a.changeFlavor("set extra specs", nextSpecs("extra_specs"))},
		{Method: "GET", Pattern: "/flavors/{id}/os-extra_specs/{key}", Strategy: gateway.Replicated, Handle: a.anyReplica(store.KindFlavor, flavorID, noFlavor)},
		{Method: "PUT", Pattern: "/flavors/{id}/os-extra_specs/{key}", Strategy: gateway.Replicated, Policy: "os_compute_api:os-flavor-extra-specs:update", Admin: true, Handle: a.changeFlavor("set extra spec", nextSpecs(""))},
		{Method: "DELETE", Pattern: "/flavors/{id}/os-extra_specs/{key}", Strategy: gateway.Replicated, Policy: "os_compute_api:os-flavor-extra-specs:delete", Admin: true, Handle: a.changeFlavor("unset extra spec", nextWithoutSpec)},
	}
}

// projectRoutes are what a project has beside servers.
func (a *api) projectRoutes() []gateway.Route {
	return []gateway.Route{
		{Method: "GET", Pattern: "/os-keypairs", Strategy: gateway.Merged, Handle: a.keypairs},
		{Method: "POST", Pattern: "/os-keypairs", Strategy: gateway.Replicated, Handle: a.createKeypair},
		{Method: "GET", Pattern: "/os-keypairs/{id}", Strategy: gateway.Replicated, Handle: a.anyReplica(store.KindKeypair, keypairID, noKeypair)},
		{Method: "DELETE", Pattern: "/os-keypairs/{id}", Strategy: gateway.Replicated, Handle: a.deleteKeypair},
		{Method: "GET", Pattern: "/os-availability-zone", Strategy: gateway.Central, Handle: a.zones},
		{Method: "GET", Pattern: "/os-availability-zone/detail", Strategy: gateway.Merged, Policy: "os_compute_api:os-availability-zone:detail", Admin: true, Handle: a.zonesDetail},
		{Method: "GET", Pattern: "/limits", Strategy: gateway.Summed, Handle: a.limits},
		{Method: "GET", Pattern: "/os-quota-sets/{id}", Strategy: gateway.Summed, Handle: a.quotaSet},
		{Method: "GET", Pattern: "/os-quota-sets/{id}/defaults", Strategy: gateway.Summed, Handle: a.quotaSet},
		{Method: "GET", Pattern: "/os-quota-sets/{id}/detail", Strategy: gateway.Summed, Handle: a.quotaSet},
		{Method: "PUT", Pattern: "/os-quota-sets/{id}", Strategy: gateway.Refused, Handle: refused, Note: "a quota counts in each pod: " + perPod},
		{Method: "DELETE", Pattern: "/os-quota-sets/{id}", Strategy: gateway.Refused, Handle: refused, Note: "a quota counts in each pod: " + perPod},
		{Method: "GET", Pattern: "/os-server-groups", Strategy: gateway.Merged, Handle: a.listServerGroups},
		{Method: "POST", Pattern: "/os-server-groups", Strategy: gateway.Central, Handle: a.createServerGroup},
		{Method: "GET", Pattern: "/os-server-groups/{id}", Strategy: gateway.Routed, Handle: a.showServerGroup},
		{Method: "DELETE", Pattern: "/os-server-groups/{id}", Strategy: gateway.Central, Handle: a.deleteServerGroup},
		{Method: "GET", Pattern: "/os-simple-tenant-usage", Strategy: gateway.Refused, Handle: refused, Note: "usage is counted in each pod: " + perPod},
		{Method: "GET", Pattern: "/os-simple-tenant-usage/{id}", Strategy: gateway.Refused, Handle: refused, Note: "usage is counted in each pod: " + perPod},
	}
}

func (a *api) adminRoutes() []gateway.Route {
	routes := []gateway.Route{
		{Method: "GET", Pattern: "/os-hypervisors", Strategy: gateway.Merged, Policy: "os_compute_api:os-hypervisors:list", Admin: true, Handle: a.concatenated("hypervisors", "")},
		{Method: "GET", Pattern: "/os-hypervisors/detail", Strategy: gateway.Merged, Policy: "os_compute_api:os-hypervisors:list-detail", Admin: true, Handle: a.concatenated("hypervisors", "")},
		{Method: "GET", Pattern: "/os-hypervisors/{id}", Strategy: gateway.Routed, Policy: "os_compute_api:os-hypervisors:show", Admin: true, Handle: a.onePod},
		{Method: "GET", Pattern: "/os-services", Strategy: gateway.Merged, Policy: "os_compute_api:os-services:list", Admin: true, Handle: a.concatenated("services", "zone")},
		{Method: "GET", Pattern: "/os-aggregates", Strategy: gateway.Merged, Policy: "os_compute_api:os-aggregates:index", Admin: true, Handle: a.concatenated("aggregates", "availability_zone")},
		{Method: "GET", Pattern: "/os-aggregates/{id}", Strategy: gateway.Routed, Policy: "os_compute_api:os-aggregates:show", Admin: true, Handle: a.onePod},
		{Method: "GET", Pattern: "/os-migrations", Strategy: gateway.Merged, Policy: "os_compute_api:os-migrations:index", Admin: true, Handle: a.concatenated("migrations", "")},
		{Method: "GET", Pattern: "/os-quota-class-sets/{id}", Strategy: gateway.Replicated, Admin: true, Handle: a.anyPod},
		{Method: "GET", Pattern: "/os-console-auth-tokens/{id}", Strategy: gateway.Routed, Admin: true, Handle: a.onePod},
	}
	return append(routes, refusals(perPod,
		"PUT /os-services/{id}", "DELETE /os-services/{id}",
		"POST /os-aggregates", "PUT /os-aggregates/{id}", "DELETE /os-aggregates/{id}", "POST /os-aggregates/{id}/action", "POST /os-aggregates/{id}/images",
		"PUT /os-quota-class-sets/{id}", "GET /os-hypervisors/statistics", "GET /os-hypervisors/{id}/search", "GET /os-hypervisors/{id}/servers",
		"GET /os-hypervisors/{id}/uptime", "GET /os-instance_usage_audit_log", "GET /os-instance_usage_audit_log/{id}",
		"POST /os-assisted-volume-snapshots", "DELETE /os-assisted-volume-snapshots/{id}", "POST /os-server-external-events",
	)...)
}
