package compute

import (
	"slices"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/store"
)

// routes is the Compute API. A path that is not here gets Nova's 404.
func (a *api) routes() []gateway.Route {
	return slices.Concat(a.versionRoutes(), a.withWaiting(a.serverRoutes()), a.withWaiting(a.subRoutes()), a.flavorRoutes(), a.projectRoutes(), a.adminRoutes(), a.closedRoutes())
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
		{Method: "GET", Pattern: "/servers/{id}/os-instance-actions", Strategy: gateway.Routed, Handle: a.history(view.links)},
		{Method: "GET", Pattern: "/servers/{id}/os-instance-actions/{request}", Strategy: gateway.Routed, Handle: a.history(shaped("instanceAction.events", shape{hosts: []string{"host"}}))},
		{Method: "GET", Pattern: "/servers/{id}/os-interface", Strategy: gateway.Routed, Handle: a.interfaces},
		{Method: "POST", Pattern: "/servers/{id}/os-interface", Strategy: gateway.Routed, Handle: a.attach},
		{Method: "GET", Pattern: "/servers/{id}/os-interface/{port}", Strategy: gateway.Routed, Handle: a.showInterface},
		{Method: "DELETE", Pattern: "/servers/{id}/os-interface/{port}", Strategy: gateway.Routed, Handle: a.detach},
		{Method: "GET", Pattern: "/servers/{id}/os-security-groups", Strategy: gateway.Central, Handle: a.serverGroups},
		{Method: "POST", Pattern: "/servers/{id}/os-volume_attachments", Strategy: gateway.Routed, Handle: a.attachVolume},
		{Method: "PUT", Pattern: "/servers/{id}/os-volume_attachments/{volume}", Strategy: gateway.Routed, Handle: a.swapVolume},
		{Method: "GET", Pattern: "/servers/{id}/migrations", Strategy: gateway.Routed, Handle: a.serverMigrations},
		{Method: "GET", Pattern: "/servers/{id}/migrations/{migration}", Strategy: gateway.Routed, Handle: a.serverMigration},
		{Method: "DELETE", Pattern: "/servers/{id}/migrations/{migration}", Strategy: gateway.Routed, Handle: a.serverMigration},
		{Method: "POST", Pattern: "/servers/{id}/migrations/{migration}/action", Strategy: gateway.Routed, Handle: a.serverMigration},
	}
	routes = append(routes, lined(gateway.Route{Strategy: gateway.Routed, Handle: a.routed}, []string{
		"POST /servers/{id}/remote-consoles", "GET /servers/{id}/diagnostics", "GET /servers/{id}/topology",
		"GET /servers/{id}/ips", "GET /servers/{id}/ips/{network}",
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
		{Method: "GET", Pattern: "/os-availability-zone", Strategy: gateway.Merged, Handle: a.zones},
		{Method: "GET", Pattern: "/os-availability-zone/detail", Strategy: gateway.Merged, Policy: "os_compute_api:os-availability-zone:detail", Admin: true, Handle: a.zonesDetail},
		{Method: "GET", Pattern: "/limits", Strategy: gateway.Summed, Handle: a.limits},
		{Method: "GET", Pattern: "/os-quota-sets/{id}", Strategy: gateway.Summed, Handle: a.quotaSet},
		{Method: "GET", Pattern: "/os-quota-sets/{id}/defaults", Strategy: gateway.Summed, Handle: a.quotaDefaults},
		{Method: "GET", Pattern: "/os-quota-sets/{id}/detail", Strategy: gateway.Summed, Handle: a.quotaDetail},
		{Method: "PUT", Pattern: "/os-quota-sets/{id}", Strategy: gateway.Summed, Handle: a.updateQuota, Note: "the region's limit; every pod gets it too"},
		{Method: "DELETE", Pattern: "/os-quota-sets/{id}", Strategy: gateway.Summed, Handle: a.deleteQuota},
		{Method: "GET", Pattern: "/os-server-groups", Strategy: gateway.Merged, Handle: a.listServerGroups},
		{Method: "POST", Pattern: "/os-server-groups", Strategy: gateway.Central, Handle: a.createServerGroup},
		{Method: "GET", Pattern: "/os-server-groups/{id}", Strategy: gateway.Routed, Handle: a.showServerGroup},
		{Method: "DELETE", Pattern: "/os-server-groups/{id}", Strategy: gateway.Central, Handle: a.deleteServerGroup},
		{Method: "GET", Pattern: "/os-simple-tenant-usage", Strategy: gateway.Summed, Policy: "os_compute_api:os-simple-tenant-usage:list", Admin: true, Handle: a.usage},
		{Method: "GET", Pattern: "/os-simple-tenant-usage/{id}", Strategy: gateway.Summed, Handle: a.projectUsage},
	}
}

func (a *api) adminRoutes() []gateway.Route {
	const at = "os_compute_api:"
	return slices.Concat(a.hypervisorRoutes(), a.aggregateRoutes(), []gateway.Route{
		{Method: "GET", Pattern: "/os-services", Strategy: gateway.Merged, Policy: at + "os-services:list", Admin: true, Handle: a.services},
		{Method: "PUT", Pattern: "/os-services/{id}", Strategy: gateway.Routed, Policy: at + "os-services:update", Admin: true, Handle: a.updateService},
		{Method: "DELETE", Pattern: "/os-services/{id}", Strategy: gateway.Routed, Policy: at + "os-services:delete", Admin: true, Handle: a.deleteService},
		{Method: "GET", Pattern: "/os-migrations", Strategy: gateway.Merged, Policy: at + "os-migrations:index", Admin: true, Handle: a.migrations},
		{Method: "GET", Pattern: "/os-hosts", Strategy: gateway.Merged, Policy: at + "os-hosts:list", Admin: true, Handle: until(43, a.hosts)},
		{Method: "GET", Pattern: "/os-hosts/{id}", Strategy: gateway.Routed, Policy: at + "os-hosts:show", Admin: true, Handle: until(43, a.host)},
		{Method: "PUT", Pattern: "/os-hosts/{id}", Strategy: gateway.Routed, Policy: at + "os-hosts:update", Admin: true, Handle: until(43, a.host)},
		{Method: "GET", Pattern: "/os-hosts/{id}/reboot", Strategy: gateway.Routed, Policy: at + "os-hosts:reboot", Admin: true, Handle: until(43, a.host)},
		{Method: "GET", Pattern: "/os-hosts/{id}/shutdown", Strategy: gateway.Routed, Policy: at + "os-hosts:shutdown", Admin: true, Handle: until(43, a.host)},
		{Method: "GET", Pattern: "/os-hosts/{id}/startup", Strategy: gateway.Routed, Policy: at + "os-hosts:start", Admin: true, Handle: until(43, a.host)},
		{Method: "GET", Pattern: "/os-instance_usage_audit_log", Strategy: gateway.Summed, Policy: at + "os-instance-usage-audit-log:list", Admin: true, Handle: a.audit("instance_usage_audit_logs")},
		{Method: "GET", Pattern: "/os-instance_usage_audit_log/{id}", Strategy: gateway.Summed, Policy: at + "os-instance-usage-audit-log:show", Admin: true, Handle: a.audit("instance_usage_audit_log")},
		{Method: "POST", Pattern: "/os-server-external-events", Strategy: gateway.Routed, Policy: at + "os-server-external-events:create", Admin: true, Handle: a.externalEvents, Note: "each event to the pod of its server"},
		{Method: "POST", Pattern: "/os-assisted-volume-snapshots", Strategy: gateway.Routed, Policy: at + "os-assisted-volume-snapshots:create", Admin: true, Handle: a.assistedSnapshot, Note: "to the pod of the volume"},
		{Method: "DELETE", Pattern: "/os-assisted-volume-snapshots/{id}", Strategy: gateway.Routed, Policy: at + "os-assisted-volume-snapshots:delete", Admin: true, Handle: a.assistedSnapshot, Note: "to the pod of the volume"},
		{Method: "GET", Pattern: "/os-console-auth-tokens/{id}", Strategy: gateway.Routed, Policy: at + "os-console-auth-tokens", Admin: true, Handle: a.theOnly(nil)},
		{Method: "GET", Pattern: "/os-quota-class-sets/{id}", Strategy: gateway.Central, Policy: "os_compute_api:os-quota-class-sets:show", Admin: true, Handle: a.quotaClass},
		{Method: "PUT", Pattern: "/os-quota-class-sets/{id}", Strategy: gateway.Replicated, Policy: "os_compute_api:os-quota-class-sets:update", Admin: true, Handle: a.updateQuotaClass},
	})
}

func (a *api) hypervisorRoutes() []gateway.Route {
	const at = "os_compute_api:os-hypervisors:"
	return []gateway.Route{
		{Method: "GET", Pattern: "/os-hypervisors", Strategy: gateway.Merged, Policy: at + "list", Admin: true, Handle: a.hypervisors},
		{Method: "GET", Pattern: "/os-hypervisors/detail", Strategy: gateway.Merged, Policy: at + "list-detail", Admin: true, Handle: a.hypervisors},
		{Method: "GET", Pattern: "/os-hypervisors/statistics", Strategy: gateway.Summed, Policy: at + "statistics", Admin: true, Handle: a.statistics},
		{Method: "GET", Pattern: "/os-hypervisors/{id}", Strategy: gateway.Routed, Policy: at + "show", Admin: true, Handle: a.hypervisor},
		{Method: "GET", Pattern: "/os-hypervisors/{id}/uptime", Strategy: gateway.Routed, Policy: at + "uptime", Admin: true, Handle: a.hypervisor},
		{Method: "GET", Pattern: "/os-hypervisors/{id}/search", Strategy: gateway.Merged, Policy: at + "search", Admin: true, Handle: until(53, a.searchHypervisors)},
		{Method: "GET", Pattern: "/os-hypervisors/{id}/servers", Strategy: gateway.Merged, Policy: at + "servers", Admin: true, Handle: until(53, a.searchHypervisors)},
	}
}

// aggregateRoutes are the hosts' aggregates, each of which may have a part in any
// pod. Each action has a policy of its own.
func (a *api) aggregateRoutes() []gateway.Route {
	const at = "os_compute_api:os-aggregates:"
	return []gateway.Route{
		{Method: "GET", Pattern: "/os-aggregates", Strategy: gateway.Merged, Policy: at + "index", Admin: true, Handle: a.listAggregates},
		{Method: "POST", Pattern: "/os-aggregates", Strategy: gateway.Scheduled, Policy: at + "create", Admin: true, Handle: a.createAggregate},
		{Method: "GET", Pattern: "/os-aggregates/{id}", Strategy: gateway.Merged, Policy: at + "show", Admin: true, Handle: a.showAggregate},
		{Method: "PUT", Pattern: "/os-aggregates/{id}", Strategy: gateway.Replicated, Policy: at + "update", Admin: true, Handle: a.updateAggregate},
		{Method: "DELETE", Pattern: "/os-aggregates/{id}", Strategy: gateway.Replicated, Policy: at + "delete", Admin: true, Handle: a.deleteAggregate},
		{Method: "POST", Pattern: "/os-aggregates/{id}/action", Strategy: gateway.Routed, Handle: a.onAggregate, Actions: a.aggregateActions()},
		{Method: "POST", Pattern: "/os-aggregates/{id}/images", Strategy: gateway.Replicated, Policy: "compute:aggregates:images", Admin: true, Handle: a.cacheImages},
	}
}
