package volume

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// routes is the Block Storage API. A path that is not here gets Cinder's 404.
func (a *api) routes() []gateway.Route {
	return slices.Concat(
		a.versionRoutes(), a.volumeRoutes(), a.metadataRoutes(), a.snapshotRoutes(), a.backupRoutes(), a.attachmentRoutes(), a.groupRoutes(),
		a.consistencyRoutes(), a.transferRoutes("/volume-transfers", transfers), a.transferRoutes("/os-volume-transfer", oldTransfers), a.messageRoutes(),
		a.quotaRoutes(), a.typeRoutes(), a.adminRoutes(),
	)
}

func (a *api) versionRoutes() []gateway.Route {
	return []gateway.Route{
		{Method: get, Pattern: "//", Strategy: gateway.Public, Handle: a.versions(http.StatusMultipleChoices)},
		{Method: get, Pattern: "//v3", Strategy: gateway.Central, Handle: a.versions(http.StatusOK)},
		{Method: get, Pattern: "/extensions", Strategy: gateway.Replicated, Handle: a.first},
		{Method: get, Pattern: "/extensions/{id}", Strategy: gateway.Replicated, Handle: a.first},
		{Method: get, Pattern: "/resource_filters", Strategy: gateway.Replicated, Handle: a.first},
		{Method: get, Pattern: "/os-availability-zone", Strategy: gateway.Central, Handle: a.zones},
		{Method: get, Pattern: "/os-availability-zone/{id}", Strategy: gateway.Replicated, Handle: a.first, Note: "Cinder has none that could be shown"},
	}
}

func (a *api) volumeRoutes() []gateway.Route {
	routes := []gateway.Route{
		{Method: get, Pattern: "/volumes", Strategy: gateway.Merged, Policy: "volume:get_all", Handle: a.list(volumes, brief)},
		{Method: get, Pattern: "/volumes/detail", Strategy: gateway.Merged, Policy: "volume:get_all", Handle: a.list(volumes, full)},
		{Method: get, Pattern: "/volumes/summary", Strategy: gateway.Summed, Policy: "volume:get_all", Handle: a.summary},
		{Method: post, Pattern: "/volumes", Strategy: gateway.Scheduled, Policy: "volume:create", Handle: a.createVolume},
		{Method: post, Pattern: "/volumes/{id}/action", Strategy: gateway.Routed, Handle: a.actOnVolume, Actions: a.volumeActions()},
	}
	for _, method := range []string{get, post, put, remove} {
		routes = append(routes, gateway.Route{Method: method, Pattern: "/volumes/{id}", Strategy: gateway.Routed, Handle: a.unmarked("volume.metadata")})
	}
	routes = append(routes, a.lines(volumes, "GET /volumes/{id}/encryption", "GET /volumes/{id}/encryption/{key}")...)
	return a.below("/volumes", volumes, routes...)
}

func (a *api) snapshotRoutes() []gateway.Route {
	return a.below("/snapshots", snapshots, slices.Concat([]gateway.Route{
		{Method: get, Pattern: "/snapshots", Strategy: gateway.Merged, Policy: "volume:get_all_snapshots", Handle: a.list(snapshots, brief)},
		{Method: get, Pattern: "/snapshots/detail", Strategy: gateway.Merged, Policy: "volume:get_all_snapshots", Handle: a.list(snapshots, full)},
		{Method: post, Pattern: "/snapshots", Strategy: gateway.Routed, Handle: a.createBeside(snapshots, "snapshot.volume_id", store.KindVolume), Note: "in the volume's pod"},
	}, a.lines(snapshots,
		"GET /snapshots/{id}", "PUT /snapshots/{id}", "DELETE /snapshots/{id}", "POST /snapshots/{id}/action",
		"GET /snapshots/{id}/metadata", "POST /snapshots/{id}/metadata", "PUT /snapshots/{id}/metadata",
		"GET /snapshots/{id}/metadata/{key}", "PUT /snapshots/{id}/metadata/{key}", "DELETE /snapshots/{id}/metadata/{key}",
	))...)
}

func (a *api) backupRoutes() []gateway.Route {
	return a.below("/backups", backups, slices.Concat([]gateway.Route{
		{Method: get, Pattern: "/backups", Strategy: gateway.Merged, Policy: "backup:get_all", Handle: a.list(backups, brief)},
		{Method: get, Pattern: "/backups/detail", Strategy: gateway.Merged, Policy: "backup:get_all", Handle: a.list(backups, full)},
		{Method: post, Pattern: "/backups", Strategy: gateway.Routed, Handle: a.createBeside(backups, "backup.volume_id", store.KindVolume), Note: "in the volume's pod"},
		{Method: post, Pattern: "/backups/import_record", Strategy: gateway.Scheduled, Policy: "backup:backup-import", Handle: a.importRecord, Note: "to the pod whose host wrote the record, if the region has it"},
		{Method: post, Pattern: "/backups/{id}/restore", Strategy: gateway.Routed, Handle: a.on(backups, a.restore), Note: "to a volume of the backup's pod"},
	}, a.lines(backups,
		"GET /backups/{id}", "PUT /backups/{id}", "DELETE /backups/{id}", "POST /backups/{id}/action", "GET /backups/{id}/export_record",
	))...)
}

func (a *api) attachmentRoutes() []gateway.Route {
	return a.below("/attachments", attachments, slices.Concat([]gateway.Route{
		{Method: get, Pattern: "/attachments", Strategy: gateway.Merged, Policy: "volume:attachment_get", Handle: a.list(attachments, brief)},
		{Method: get, Pattern: "/attachments/detail", Strategy: gateway.Merged, Handle: a.list(attachments, full)},
		{Method: post, Pattern: "/attachments", Strategy: gateway.Routed, Handle: a.createAttachment, Note: "in the volume's pod, where the server must be too"},
	}, a.lines(attachments,
		"GET /attachments/{id}", "PUT /attachments/{id}", "DELETE /attachments/{id}", "POST /attachments/{id}/action",
	))...)
}

func (a *api) groupRoutes() []gateway.Route {
	one := append([]gateway.Route{
		{Method: get, Pattern: "/groups", Strategy: gateway.Merged, Handle: a.list(groups, brief)},
		{Method: get, Pattern: "/groups/detail", Strategy: gateway.Merged, Handle: a.list(groups, full)},
		{Method: post, Pattern: "/groups", Strategy: gateway.Scheduled, Handle: a.createGroup(groups)},
		{Method: post, Pattern: "/groups/action", Strategy: gateway.Routed, Handle: a.copyGroup(groups, groupSources), Note: "in the pod of what it is made from"},
		{Method: put, Pattern: "/groups/{id}", Strategy: gateway.Routed, Handle: a.changeGroup(groups), Note: "volumes of the group's pod"},
	}, a.lines(groups, "GET /groups/{id}", "DELETE /groups/{id}", "POST /groups/{id}/action")...)
	snapshot := append([]gateway.Route{
		{Method: get, Pattern: "/group_snapshots", Strategy: gateway.Merged, Handle: a.list(groupSnapshots, brief)},
		{Method: get, Pattern: "/group_snapshots/detail", Strategy: gateway.Merged, Handle: a.list(groupSnapshots, full)},
		{Method: post, Pattern: "/group_snapshots", Strategy: gateway.Routed, Handle: a.createBeside(groupSnapshots, "group_snapshot.group_id", dispatch.KindGroup), Note: "in the group's pod"},
	}, a.lines(groupSnapshots, "GET /group_snapshots/{id}", "DELETE /group_snapshots/{id}", "POST /group_snapshots/{id}/action")...)
	return append(a.below("/groups", groups, one...), a.below("/group_snapshots", groupSnapshots, snapshot...)...)
}

// consistencyRoutes are what groups were before version 3.13.
func (a *api) consistencyRoutes() []gateway.Route {
	return slices.Concat([]gateway.Route{
		{Method: get, Pattern: "/consistencygroups", Strategy: gateway.Merged, Handle: a.list(consistencyGroups, brief)},
		{Method: get, Pattern: "/consistencygroups/detail", Strategy: gateway.Merged, Handle: a.list(consistencyGroups, full)},
		{Method: post, Pattern: "/consistencygroups", Strategy: gateway.Scheduled, Handle: a.createGroup(consistencyGroups)},
		{Method: post, Pattern: "/consistencygroups/create_from_src", Strategy: gateway.Routed, Handle: a.copyGroup(consistencyGroups, consistencySources), Note: "in the pod of what it is made from"},
		{Method: put, Pattern: "/consistencygroups/{id}/update", Strategy: gateway.Routed, Handle: a.changeGroup(consistencyGroups), Note: "volumes of the group's pod"},
		{Method: get, Pattern: "/cgsnapshots", Strategy: gateway.Merged, Handle: a.list(cgSnapshots, brief)},
		{Method: get, Pattern: "/cgsnapshots/detail", Strategy: gateway.Merged, Handle: a.list(cgSnapshots, full)},
		{Method: post, Pattern: "/cgsnapshots", Strategy: gateway.Routed, Handle: a.createBeside(cgSnapshots, "cgsnapshot.consistencygroup_id", dispatch.KindConsistencyGroup), Note: "in the group's pod"},
	}, a.lines(consistencyGroups,
		"GET /consistencygroups/{id}", "PUT /consistencygroups/{id}", "DELETE /consistencygroups/{id}", "POST /consistencygroups/{id}/delete",
	), a.lines(cgSnapshots, "GET /cgsnapshots/{id}", "DELETE /cgsnapshots/{id}"))
}

func (a *api) transferRoutes(base string, of resource) []gateway.Route {
	return a.below(base, of, slices.Concat([]gateway.Route{
		{Method: get, Pattern: base, Strategy: gateway.Merged, Handle: a.list(of, brief)},
		{Method: get, Pattern: base + "/detail", Strategy: gateway.Merged, Handle: a.list(of, full)},
		{Method: post, Pattern: base, Strategy: gateway.Routed, Handle: a.createBeside(of, "transfer.volume_id", store.KindVolume), Note: "in the volume's pod"},
		{Method: post, Pattern: base + "/{id}/accept", Strategy: gateway.Routed, Handle: a.acceptTransfer},
	}, a.lines(of, "GET "+base+"/{id}", "DELETE "+base+"/{id}"))...)
}

func (a *api) messageRoutes() []gateway.Route {
	return append([]gateway.Route{
		{Method: get, Pattern: "/messages", Strategy: gateway.Merged, Handle: a.list(messages, full)},
	}, a.lines(messages, "GET /messages/{id}", "DELETE /messages/{id}")...)
}

// adminRoutes are what admins see of the pods' insides. Whether somebody may is for
// the pods to say, but where no pod would be asked.
func (a *api) adminRoutes() []gateway.Route {
	const hosts = "volume_extension:hosts"
	routes := []gateway.Route{
		{Method: get, Pattern: "/os-services", Strategy: gateway.Merged, Admin: true, Policy: "volume_extension:services:index", Handle: a.gather("services", plain)},
		{Method: put, Pattern: "/os-services/{id}", Strategy: gateway.Routed, Admin: true, Policy: "volume_extension:services:update", Handle: a.updateService, Note: "by host; log levels: everywhere, unless a server is named"},
		{Method: get, Pattern: "/os-hosts", Strategy: gateway.Merged, Admin: true, Policy: hosts, Handle: a.gather("hosts", plain)},
		{Method: put, Pattern: "/os-hosts", Strategy: gateway.Routed, Admin: true, Policy: hosts, Handle: a.somePod, Note: "names no host: Cinder refuses it"},
		{Method: get, Pattern: "/os-hosts/{id}", Strategy: gateway.Routed, Admin: true, Policy: hosts, Handle: a.atHost(hostReply), Note: "by host"},
		{Method: put, Pattern: "/os-hosts/{id}", Strategy: gateway.Routed, Admin: true, Policy: hosts, Handle: a.atHost(hostReply), Note: "by host"},
		{Method: get, Pattern: "/capabilities/{id}", Strategy: gateway.Routed, Admin: true, Policy: "volume_extension:capabilities", Handle: a.atHost(capabilities), Note: "by host"},
		{Method: get, Pattern: "/scheduler-stats/get_pools", Strategy: gateway.Merged, Admin: true, Policy: "scheduler_extension:scheduler_stats:get_pools", Handle: a.gather("pools", byName)},
		{Method: get, Pattern: "/clusters", Strategy: gateway.Merged, Admin: true, Policy: "clusters:get_all", Handle: a.gather("clusters", byName)},
		{Method: get, Pattern: "/clusters/detail", Strategy: gateway.Merged, Admin: true, Policy: "clusters:get_all", Handle: a.gather("clusters", byName)},
		{Method: get, Pattern: "/clusters/{id}", Strategy: gateway.Routed, Admin: true, Policy: "clusters:get", Handle: a.atHost(clusterReply), Note: "by name"},
		{Method: put, Pattern: "/clusters/{id}", Strategy: gateway.Routed, Admin: true, Policy: "clusters:update", Handle: a.updateCluster, Note: "by name"},
		{Method: post, Pattern: "/workers/cleanup", Strategy: gateway.Routed, Admin: true, Policy: "workers:cleanup", Handle: a.cleanup, Note: "by host or service, else everywhere"},
	}
	for _, base := range []string{"/os-volume-manage", "/manageable_volumes"} {
		routes = append(routes, a.manageRoutes(base, "volume_extension:list_manageable", a.manageVolume, "by host")...)
	}
	for _, base := range []string{"/os-snapshot-manage", "/manageable_snapshots"} {
		routes = append(routes, a.manageRoutes(base, "snapshot_extension:list_manageable", a.createBeside(snapshots, "snapshot.volume_id", store.KindVolume), "in the volume's pod")...)
	}
	return routes
}

func (a *api) manageRoutes(base, policy string, take gateway.Handler, where string) []gateway.Route {
	return []gateway.Route{
		{Method: get, Pattern: base, Strategy: gateway.Routed, Admin: true, Policy: policy, Handle: a.manageable, Note: "by host"},
		{Method: get, Pattern: base + "/detail", Strategy: gateway.Routed, Admin: true, Policy: policy, Handle: a.manageable, Note: "by host"},
		{Method: post, Pattern: base, Strategy: gateway.Routed, Handle: take, Note: where},
	}
}

// lines are routes that go where the thing is, unchanged.
func (a *api) lines(of resource, lines ...string) []gateway.Route {
	routes := make([]gateway.Route, len(lines))
	for i, line := range lines {
		method, pattern, _ := strings.Cut(line, " ")
		routes[i] = gateway.Route{Method: method, Pattern: pattern, Strategy: gateway.Routed, Handle: a.routed(of)}
	}
	return routes
}

// below are what else may be done with a thing, and the paths below it, for the pod
// to know.
func (a *api) below(base string, of resource, listed ...gateway.Route) []gateway.Route {
	var routes []gateway.Route
	for _, method := range []string{get, post, put, remove} {
		one := gateway.Route{Method: method, Pattern: base + "/{id}", Strategy: gateway.Routed, Handle: a.routed(of)}
		if !slices.ContainsFunc(listed, func(r gateway.Route) bool { return r.Method == method && r.Pattern == one.Pattern }) {
			routes = append(routes, one)
		}
		routes = append(routes, gateway.Route{Method: method, Pattern: base + "/{id}/*", Strategy: gateway.Routed, Handle: a.unlisted(of)})
	}
	return append(listed, routes...)
}

// unlisted passes on what has no line. There is no such path, unless the pod knows
// better.
func (a *api) unlisted(of resource) gateway.Handler {
	routed := a.routed(of)
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		reply, err := routed(ctx, by, r)
		if fault.Is(err, fault.NotFound) {
			r.Route = nil // Cinder's own code has not seen it
			return nil, fault.New(fault.NotFound, gateway.CodeNoRoute, "The resource could not be found.")
		}
		return reply, err
	}
}
