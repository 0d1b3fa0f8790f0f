package release

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// The things in answers, by operation.
var (
	inServer      = []string{"server"}
	inServers     = []string{"servers.#", "server"}
	inFlavors     = []string{"flavors.#", "flavor"}
	inKeypairs    = []string{"keypairs.#.keypair", "keypair"}
	inGroups      = []string{"server_groups.#", "server_group"}
	inAttachments = []string{"volumeAttachments.#", "volumeAttachment"}
	inInterfaces  = []string{"interfaceAttachments.#", "interfaceAttachment"}
	inActions     = []string{"instanceActions.#", "instanceAction"}
	inEvents      = []string{"instanceAction.events.#"}
	inMigrations  = []string{"migrations.#", "migration"}
	inHypervisors = []string{"hypervisors.#", "hypervisor"}
	inQuotas      = []string{"quota_set"}
	inClasses     = []string{"quota_class_set"}
	inLimits      = []string{"limits.absolute"}
)

// Operations that change together.
var (
	listServers  = ops("GET /servers", "GET /servers/detail")
	showServers  = ops("GET /servers/detail", "GET /servers/{}", "PUT /servers/{}", "POST /servers/{}/action rebuild")
	showServer   = ops("GET /servers/{}", "PUT /servers/{}", "POST /servers/{}/action rebuild")
	allFlavors   = ops("GET /flavors", "GET /flavors/detail", "GET /flavors/{}", "POST /flavors", "PUT /flavors/{}")
	fullFlavors  = ops("GET /flavors/detail", "GET /flavors/{}", "POST /flavors", "PUT /flavors/{}")
	keypairs     = ops("GET /os-keypairs", "GET /os-keypairs/{}", "POST /os-keypairs")
	groups       = ops("GET /os-server-groups", "GET /os-server-groups/{}", "POST /os-server-groups")
	attachments  = ops("GET /servers/{}/os-volume_attachments", "GET /servers/{}/os-volume_attachments/{}")
	actions      = ops("GET /servers/{}/os-instance-actions", "GET /servers/{}/os-instance-actions/{}")
	migrations   = ops("GET /os-migrations", "GET /servers/{}/migrations", "GET /servers/{}/migrations/{}")
	listHypers   = ops("GET /os-hypervisors", "GET /os-hypervisors/detail")
	hypervisors  = ops("GET /os-hypervisors", "GET /os-hypervisors/detail", "GET /os-hypervisors/{}", "GET /os-hypervisors/{}/uptime")
	services     = ops("GET /os-services", "PUT /os-services/{}", "DELETE /os-services/{}")
	aggregates   = ops("GET /os-aggregates", "GET /os-aggregates/{}", "POST /os-aggregates", "PUT /os-aggregates/{}", "POST /os-aggregates/{}/action")
	quotas       = ops("GET /os-quota-sets/{}", "GET /os-quota-sets/{}/defaults", "GET /os-quota-sets/{}/detail", "PUT /os-quota-sets/{}")
	quotaClasses = ops("GET /os-quota-class-sets/{}", "PUT /os-quota-class-sets/{}")
)

func ops(list ...operation) []operation { return list }

// networkQuotas are what left with Nova's doors to the network.
var networkQuotas = []string{"fixed_ips", "floating_ips", "networks", "security_group_rules", "security_groups"}

// history is what each version since 2.1 changed, as far as an answer in an older
// version would differ or a request in it would not be understood the same. Where
// an old pod refuses by itself what it does not know, there is no line.
var history = []change{
	{2, keypairs, rule{at: inKeypairs, shows: []member{{"type", `"ssh"`}}, fields: []string{"keypair.type"}}},
	{2, ops("POST /os-keypairs"), rule{status: map[int]int{200: 201}}},
	{2, ops("DELETE /os-keypairs/{}"), rule{status: map[int]int{202: 204}}},
	{3, showServers, rule{unlike: "how servers show their attributes"}},
	{5, listServers, rule{users: []string{"ip6"}}},
	{6, ops("POST /servers/{}/remote-consoles"), rule{born: true}},
	{6, ops("POST /servers/{}/action os-getVNCConsole", "POST /servers/{}/action os-getSPICEConsole",
		"POST /servers/{}/action os-getSerialConsole", "POST /servers/{}/action os-getRDPConsole"), rule{ends: true}},
	{7, ops("POST /flavors/{}/action addTenantAccess"), rule{unlike: "that public flavors take no tenants"}},
	{9, showServers, rule{unlike: "that servers show their lock"}},
	{10, ops("GET /os-keypairs", "GET /os-keypairs/{}", "DELETE /os-keypairs/{}"), rule{query: []string{"user_id"}}},
	{10, ops("POST /os-keypairs"), rule{fields: []string{"keypair.user_id"}}},
	{11, services, rule{unlike: "that services show forced_down"}},
	{13, groups, rule{unlike: "that server groups show project and user"}},
	{14, ops("POST /servers/{}/action evacuate"), rule{unlike: "evacuation without onSharedStorage"}},
	{16, ops("GET /servers/detail", "GET /servers/{}"), rule{unlike: "that servers show host_status"}},
	{17, ops("POST /servers/{}/action trigger_crash_dump"), rule{born: true}},
	{19, showServers, rule{at: inServers, untold: null("description")}},
	{19, ops("POST /servers", "PUT /servers/{}"), rule{fields: []string{"server.description"}}},
	{19, ops("POST /servers/{}/action rebuild"), rule{fields: []string{"rebuild.description"}}},
	{22, ops("POST /servers/{}/migrations/{}/action"), rule{born: true}},
	{23, ops("GET /servers/{}/migrations", "GET /servers/{}/migrations/{}"), rule{born: true}},
	{23, ops("GET /os-migrations"), rule{unlike: "that migrations show their type"}},
	{24, ops("DELETE /servers/{}/migrations/{}"), rule{born: true}},
	{25, ops("POST /servers/{}/action os-migrateLive"), rule{unlike: "live migration without disk_over_commit"}},
	{26, ops("GET /servers/{}/tags", "PUT /servers/{}/tags", "DELETE /servers/{}/tags", "GET /servers/{}/tags/{}",
		"PUT /servers/{}/tags/{}", "DELETE /servers/{}/tags/{}"), rule{born: true}},
	{26, showServers, rule{at: inServers, shows: []member{{"tags", "[]"}}}},
	{26, listServers, rule{query: []string{"tags", "tags-any", "not-tags", "not-tags-any"}}},
	{28, hypervisors, rule{unlike: "cpu_info as an object"}},
	{29, ops("POST /servers/{}/action evacuate"), rule{unlike: "evacuation to a host that the scheduler verifies"}},
	{30, ops("POST /servers/{}/action os-migrateLive"), rule{unlike: "live migration to a host that the scheduler verifies"}},
	{31, ops("GET /os-console-auth-tokens/{}"), rule{unlike: "tokens of all types of consoles"}},
	{33, listHypers, rule{query: []string{"limit", "marker"}}},
	{35, ops("GET /os-keypairs"), rule{query: []string{"limit", "marker"}}},
	{36, quotas, rule{at: inQuotas, drops: networkQuotas}},
	{36, ops("GET /limits"), rule{at: inLimits, drops: []string{"maxSecurityGroupRules", "maxSecurityGroups", "maxTotalFloatingIps",
		"totalFloatingIpsUsed", "totalSecurityGroupsUsed"}}},
	{37, ops("POST /servers"), rule{words: "server.networks"}},
	{39, ops("GET /limits"), rule{at: inLimits, drops: []string{"maxImageMeta"}}},
	{40, ops("GET /os-simple-tenant-usage", "GET /os-simple-tenant-usage/{}"), rule{query: []string{"limit", "marker"}}},
	{41, aggregates, rule{unlike: "the uuid of aggregates"}},
	{42, ops("POST /servers"), rule{fields: []string{"server.networks.#.tag", "server.block_device_mapping_v2.#.tag"}}},
	{43, ops("GET /os-hosts", "GET /os-hosts/{}", "PUT /os-hosts/{}", "GET /os-hosts/{}/reboot", "GET /os-hosts/{}/shutdown",
		"GET /os-hosts/{}/startup"), rule{ends: true}},
	{44, ops("POST /servers/{}/action addFixedIp", "POST /servers/{}/action removeFixedIp", "POST /servers/{}/action addFloatingIp",
		"POST /servers/{}/action removeFloatingIp", "GET /servers/{}/os-virtual-interfaces"), rule{ends: true}},
	{45, ops("POST /servers/{}/action createImage", "POST /servers/{}/action createBackup"), rule{whole: imageIDFromLocation}},
	{47, showServers, rule{unlike: "that servers show their flavor itself"}},
	{48, ops("GET /servers/{}/diagnostics"), rule{unlike: "diagnostics that are the same for all hypervisors"}},
	{49, ops("POST /servers/{}/os-interface"), rule{fields: []string{"interfaceAttachment.tag"}}},
	{49, ops("POST /servers/{}/os-volume_attachments"), rule{fields: []string{"volumeAttachment.tag"}}},
	{50, quotaClasses, rule{at: inClasses, drops: networkQuotas, untold: null("server_groups", "server_group_members")}},
	{51, ops("GET /servers/{}/os-instance-actions/{}"), rule{unlike: "that users see the events of an action"}},
	{52, ops("POST /servers"), rule{fields: []string{"server.tags"}}},
	{53, hypervisors, rule{unlike: "hypervisors by UUID"}},
	{53, services, rule{unlike: "services by UUID"}},
	{54, ops("POST /servers/{}/action rebuild"), rule{fields: []string{"rebuild.key_name"}}},
	{55, ops("PUT /flavors/{}"), rule{born: true}},
	{55, allFlavors, rule{at: inFlavors, shows: null("description"), fields: []string{"flavor.description"}}},
	{56, ops("POST /servers/{}/action migrate"), rule{fields: []string{"migrate.host"}}},
	{57, ops("POST /servers"), rule{bans: []string{"server.personality"}}},
	{57, ops("POST /servers/{}/action rebuild"), rule{fields: []string{"rebuild.user_data"}, bans: []string{"rebuild.personality"}}},
	{57, ops("GET /limits"), rule{at: inLimits, drops: []string{"maxPersonality", "maxPersonalitySize"}}},
	{57, quotas, rule{at: inQuotas, drops: []string{"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}}},
	{57, quotaClasses, rule{at: inClasses, drops: []string{"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}}},
	{58, ops("GET /servers/{}/os-instance-actions"), rule{query: []string{"limit", "marker", "changes-since"}}},
	{58, actions, rule{at: inActions, untold: null("updated_at")}},
	{59, ops("GET /os-migrations"), rule{query: []string{"limit", "marker", "changes-since"}}},
	{59, migrations, rule{at: inMigrations, untold: null("uuid")}},
	{61, ops("GET /flavors/detail", "GET /flavors/{}", "PUT /flavors/{}"), rule{unlike: "that flavors show their extra specs"}},
	{61, ops("POST /flavors"), rule{at: inFlavors, shows: []member{{"extra_specs", "{}"}}}},
	{62, ops("GET /servers/{}/os-instance-actions/{}"), rule{at: inEvents, untold: null("hostId")}},
	{63, showServers, rule{at: inServers, shows: null("trusted_image_certificates")}},
	{63, ops("POST /servers"), rule{fields: []string{"server.trusted_image_certificates"}}},
	{63, ops("POST /servers/{}/action rebuild"), rule{fields: []string{"rebuild.trusted_image_certificates"}}},
	{64, ops("POST /os-server-groups"), rule{fields: []string{"server_group.policy", "server_group.rules"}}},
	{64, groups, rule{at: inGroups, edit: onePolicy, drops: []string{"metadata"}}},
	{66, listServers, rule{query: []string{"changes-before"}}},
	{66, ops("GET /servers/{}/os-instance-actions", "GET /os-migrations"), rule{query: []string{"changes-before"}}},
	{67, ops("POST /servers"), rule{fields: []string{"server.block_device_mapping_v2.#.volume_type"}}},
	{68, ops("POST /servers/{}/action evacuate"), rule{bans: []string{"evacuate.force"}}},
	{68, ops("POST /servers/{}/action os-migrateLive"), rule{bans: []string{"os-migrateLive.force"}}},
	{70, attachments, rule{at: inAttachments, untold: null("tag")}},
	{70, ops("POST /servers/{}/os-volume_attachments"), rule{at: inAttachments, untold: null("tag")}},
	{70, ops("GET /servers/{}/os-interface", "GET /servers/{}/os-interface/{}", "POST /servers/{}/os-interface"),
		rule{at: inInterfaces, untold: null("tag")}},
	{71, showServer, rule{at: inServer, untold: []member{{"server_groups", "[]"}}}},
	{73, showServers, rule{at: inServers, shows: null("locked_reason")}},
	{73, listServers, rule{query: []string{"locked"}}},
	{73, ops("POST /servers/{}/action lock"), rule{fields: []string{"lock.locked_reason"}}},
	{74, ops("POST /servers"), rule{fields: []string{"server.host", "server.hypervisor_hostname"}}},
	{75, ops("PUT /servers/{}", "POST /servers/{}/action rebuild"), rule{whole: untoldRest}},
	{75, fullFlavors, rule{at: inFlavors, edit: swapAsNumber}},
	{75, hypervisors, rule{query: []string{"with_servers"}}},
	{77, ops("POST /servers/{}/action unshelve"), rule{fields: []string{"unshelve.availability_zone"}}},
	{78, ops("GET /servers/{}/topology"), rule{born: true}},
	{79, ops("POST /servers/{}/os-volume_attachments"), rule{at: inAttachments, shows: []member{{"delete_on_termination", "false"}},
		fields: []string{"volumeAttachment.delete_on_termination"}}},
	{79, attachments, rule{at: inAttachments, untold: null("delete_on_termination")}},
	{80, ops("GET /os-migrations"), rule{query: []string{"user_id", "project_id"}}},
	{80, migrations, rule{at: inMigrations, untold: null("user_id", "project_id")}},
	{81, ops("POST /os-aggregates/{}/images"), rule{born: true}},
	{83, listServers, rule{users: []string{"availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at",
		"power_state", "task_state", "vm_state", "progress", "user_id"}}},
	{84, ops("GET /servers/{}/os-instance-actions/{}"), rule{admins: true, at: inEvents, untold: null("details")}},
	{85, ops("PUT /servers/{}/os-volume_attachments/{}"), rule{fields: []string{"volumeAttachment.delete_on_termination"}}},
	{88, ops("GET /os-hypervisors/statistics", "GET /os-hypervisors/{}/uptime"), rule{ends: true}},
	{88, ops("GET /os-hypervisors/detail", "GET /os-hypervisors/{}"), rule{at: inHypervisors, untold: null("uptime"),
		drops: []string{"current_workload", "cpu_info", "vcpus", "vcpus_used", "free_disk_gb", "local_gb", "local_gb_used",
			"disk_available_least", "free_ram_mb", "memory_mb", "memory_mb_used", "running_vms"}}},
	{89, attachments, rule{at: inAttachments, drops: []string{"id"}, untold: null("attachment_id", "bdm_uuid")}},
	{90, ops("POST /servers", "PUT /servers/{}"), rule{fields: []string{"server.hostname"}}},
	{90, ops("POST /servers/{}/action rebuild"), rule{fields: []string{"rebuild.hostname"}}},
	{90, listServers, rule{users: []string{"hostname"}}},
	{90, showServers, rule{at: inServers, untold: null("OS-EXT-SRV-ATTR:hostname")}},
	{91, ops("POST /servers/{}/action unshelve"), rule{fields: []string{"unshelve.host"}}},
	{92, ops("POST /os-keypairs"), rule{needs: []string{"keypair.public_key"}}},
	{95, ops("POST /servers/{}/action evacuate"), rule{unlike: "that evacuated servers stay stopped"}},
	{96, showServers, rule{at: inServers, untold: null("pinned_availability_zone")}},
	{97, ops("GET /servers/{}/shares", "POST /servers/{}/shares", "GET /servers/{}/shares/{}", "DELETE /servers/{}/shares/{}"), rule{born: true}},
	{98, showServers, rule{at: []string{"servers.#.image", "server.image"}, untold: null("properties")}},
	{100, showServers, rule{at: inServers, untold: null("scheduler_hints")}},
}

// imageIDFromLocation: a snapshot's ID was in the header, and then in a body.
func imageIDFromLocation(a *Answer) {
	if a.Status != 202 || a.Location == "" {
		return
	}
	id := a.Location[bytes.LastIndexByte([]byte(a.Location), '/')+1:]
	a.Body, a.Location = []byte(`{"image_id": "`+id+`"}`), ""
}

// untoldRest: changes of a server answered with some of its members only.
func untoldRest(a *Answer) {
	if gjson.GetBytes(a.Body, "server").IsObject() {
		a.Untold = append(a.Untold, "what only GET shows")
	}
}

// onePolicy makes the one policy of a server group of the list that it was.
func onePolicy(group []byte) []byte {
	list := gjson.GetBytes(group, "policies").Array()
	if len(list) == 0 {
		return group
	}
	group, _ = with(group, member{"policy", list[0].Raw})
	group, _ = with(group, member{"rules", "{}"})
	return without(group, "policies")
}

// swapAsNumber: no swap was an empty text.
func swapAsNumber(flavor []byte) []byte {
	swap := gjson.GetBytes(flavor, "swap")
	if swap.Type != gjson.String || swap.Str != "" {
		return flavor
	}
	flavor, _ = with(without(flavor, "swap"), member{"swap", "0"})
	return flavor
}
