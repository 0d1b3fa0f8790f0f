-- The tables after all migrations. Made by go generate; do not edit.

CREATE TABLE address_blocks (
    subnet_id TEXT NOT NULL REFERENCES subnets (id) ON DELETE CASCADE,
    prefix    TEXT NOT NULL,
    pod       TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    taken_at  BIGINT NOT NULL,
    PRIMARY KEY (subnet_id, prefix)
);

CREATE TABLE address_groups (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    name        TEXT NOT NULL,
    addresses   TEXT NOT NULL
, shared BIGINT NOT NULL DEFAULT 0);

CREATE INDEX address_groups_by_project ON address_groups (project_id, id);

CREATE INDEX address_groups_shared ON address_groups (id) WHERE shared = 1;

CREATE TABLE address_scopes (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    name        TEXT NOT NULL,
    shared      BIGINT NOT NULL,
    ip_version  BIGINT NOT NULL
);

CREATE INDEX address_scopes_by_project ON address_scopes (project_id, id);

CREATE INDEX address_scopes_shared ON address_scopes (id) WHERE shared = 1;

CREATE TABLE addresses (
    subnet_id TEXT NOT NULL REFERENCES subnets (id),
    address   TEXT NOT NULL,
    port_id   TEXT NOT NULL,
    position  BIGINT NOT NULL,
    PRIMARY KEY (subnet_id, address)
);

CREATE INDEX addresses_by_port ON addresses (port_id, position);

CREATE TABLE aliases (
    pod        TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    pod_id     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (pod, seq)
);

CREATE UNIQUE INDEX aliases_by_id ON aliases (id, pod);

CREATE UNIQUE INDEX aliases_by_pod_id ON aliases (pod_id, pod);

CREATE TABLE auto_topologies (
    project_id TEXT PRIMARY KEY,
    network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    router_id  TEXT NOT NULL
);

CREATE TABLE bindings (
    project_id TEXT NOT NULL,
    zone       TEXT NOT NULL,
    pod        TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    bound_at   BIGINT NOT NULL,
    PRIMARY KEY (project_id, zone, pod)
);

CREATE TABLE bridges (
    project_id TEXT PRIMARY KEY,
    network_id TEXT NOT NULL UNIQUE
);

CREATE TABLE copies (
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    pod     TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (kind, id, pod),
    FOREIGN KEY (kind, id, pod) REFERENCES mappings (kind, id, pod) ON DELETE CASCADE
);

CREATE TABLE decision_servers (
    server_id   TEXT PRIMARY KEY,
    decision_id TEXT NOT NULL REFERENCES decisions (id) ON DELETE CASCADE
);

CREATE INDEX decision_servers_by_decision ON decision_servers (decision_id);

CREATE TABLE decisions (
    id         TEXT PRIMARY KEY,
    request_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    document   TEXT NOT NULL
);

CREATE INDEX decisions_by_age ON decisions (created_at);

CREATE INDEX decisions_by_request ON decisions (request_id);

CREATE TABLE entries (
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    pod        TEXT NOT NULL REFERENCES pods (name),
    project_id TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    name       TEXT NOT NULL,
    zone       TEXT NOT NULL,
    status     TEXT NOT NULL,
    created_at BIGINT NOT NULL, vcpus BIGINT NOT NULL DEFAULT 0, ram BIGINT NOT NULL DEFAULT 0, resized_at BIGINT NOT NULL DEFAULT 0, gigabytes BIGINT NOT NULL DEFAULT 0, type TEXT NOT NULL DEFAULT '', parent TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (kind, id, pod)
);

CREATE INDEX entries_amounts ON entries (project_id, kind, type, parent, gigabytes)
    WHERE kind IN ('volume', 'snapshot', 'backup', 'group');

CREATE INDEX entries_by_pod ON entries (pod, kind, created_at, id);

CREATE INDEX entries_by_project ON entries (kind, project_id, created_at, id);

CREATE INDEX entries_usage ON entries (project_id, user_id, vcpus, ram)
    WHERE kind = 'server' AND status <> 'SOFT_DELETED';

CREATE TABLE flavor_profiles (
    flavor_id  TEXT NOT NULL REFERENCES network_flavors (id) ON DELETE CASCADE,
    profile_id TEXT NOT NULL REFERENCES service_profiles (id),
    PRIMARY KEY (flavor_id, profile_id)
);

CREATE INDEX flavor_profiles_by_profile ON flavor_profiles (profile_id);

CREATE TABLE floating_ips (
    id            TEXT PRIMARY KEY,
    project_id    TEXT NOT NULL,
    description   TEXT NOT NULL,
    network_id    TEXT NOT NULL,
    outer_port    TEXT NOT NULL, -- holds the address on the external network
    address       TEXT NOT NULL,
    port_id       TEXT NOT NULL, -- empty: serves no port
    fixed_address TEXT NOT NULL,
    router_id     TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    revision      BIGINT NOT NULL
, status TEXT NOT NULL DEFAULT 'DOWN');

CREATE INDEX floating_ips_by_project ON floating_ips (project_id, id);

CREATE INDEX floating_ips_by_router ON floating_ips (router_id) WHERE router_id <> '';

CREATE UNIQUE INDEX floating_ips_serve ON floating_ips (port_id, fixed_address, network_id) WHERE port_id <> '';

CREATE TABLE host_names (
    name TEXT PRIMARY KEY,
    pod  TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE
);

CREATE TABLE image_copies (
    id         TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    pod        TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    state      TEXT NOT NULL,   -- queued, copying, active, failed
    means      TEXT NOT NULL,   -- how the data comes there
    done       BIGINT NOT NULL, -- bytes
    size       BIGINT NOT NULL,
    hash       TEXT NOT NULL,   -- what the pod says of its data
    reason     TEXT NOT NULL,   -- why it failed or waits
    started_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id, pod)
);

CREATE TABLE images (
    id         TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    home       TEXT NOT NULL REFERENCES pods (name),
    mode       TEXT NOT NULL,   -- its own; empty: the region's
    status     TEXT NOT NULL,   -- at home, when last seen
    deleted    BIGINT NOT NULL, -- gone for users, until the last copy is
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
, attempt TEXT NOT NULL DEFAULT '', attempted_at BIGINT NOT NULL DEFAULT 0, watched_at BIGINT NOT NULL DEFAULT 0);

CREATE INDEX images_by_home ON images (home);

CREATE TABLE intent_amounts (
    intent_id TEXT NOT NULL REFERENCES intents (id) ON DELETE CASCADE,
    resource  TEXT NOT NULL,
    value     BIGINT NOT NULL,
    PRIMARY KEY (intent_id, resource)
);

CREATE TABLE intent_ports (
    port_id   TEXT PRIMARY KEY,
    intent_id TEXT NOT NULL REFERENCES intents (id) ON DELETE CASCADE,
    position  BIGINT NOT NULL
);

CREATE INDEX intent_ports_by_intent ON intent_ports (intent_id, position);

CREATE TABLE intents (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    pod        TEXT NOT NULL REFERENCES pods (name),
    project_id TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    name       TEXT NOT NULL,
    zone       TEXT NOT NULL,
    created_at BIGINT NOT NULL
, vcpus BIGINT NOT NULL DEFAULT 0, ram BIGINT NOT NULL DEFAULT 0, counts BIGINT NOT NULL DEFAULT 1, decision_id TEXT NOT NULL DEFAULT '', server_group TEXT NOT NULL DEFAULT '', parent TEXT NOT NULL DEFAULT '');

CREATE INDEX intents_by_age ON intents (created_at);

CREATE INDEX intents_by_project ON intents (project_id);

CREATE INDEX intents_by_server_group ON intents (server_group) WHERE server_group <> '';

CREATE TABLE leases (
    key        TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE macs (
    network_id  TEXT NOT NULL,
    mac_address TEXT NOT NULL,
    port_id     TEXT NOT NULL,
    PRIMARY KEY (network_id, mac_address)
);

CREATE INDEX macs_by_port ON macs (port_id);

CREATE TABLE mappings (
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    pod        TEXT NOT NULL REFERENCES pods (name),
    pod_id     TEXT NOT NULL,
    project_id TEXT NOT NULL,
    wanted     BIGINT NOT NULL,
    tried      BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    observed   BIGINT NOT NULL,
    reason     TEXT NOT NULL,
    updated_at BIGINT NOT NULL, lost_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, id, pod)
);

CREATE INDEX mappings_by_pod ON mappings (pod, kind, pod_id);

CREATE INDEX mappings_pending ON mappings (kind, id, pod) WHERE generation <> observed;

CREATE TABLE network_flavors (
    id           TEXT PRIMARY KEY,
    project_id   TEXT NOT NULL,
    name         TEXT NOT NULL,
    description  TEXT NOT NULL,
    service_type TEXT NOT NULL,
    enabled      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    revision     BIGINT NOT NULL
);

CREATE TABLE networks (
    id                    TEXT PRIMARY KEY,
    project_id            TEXT NOT NULL,
    name                  TEXT NOT NULL,
    description           TEXT NOT NULL,
    admin_state_up        BIGINT NOT NULL,
    shared                BIGINT NOT NULL,
    external              BIGINT NOT NULL,
    mtu                   BIGINT NOT NULL,
    port_security_enabled BIGINT NOT NULL,
    network_type          TEXT NOT NULL,
    physical_network      TEXT NOT NULL,
    segmentation_id       BIGINT NOT NULL,
    zone_hints            TEXT NOT NULL,
    created_at            BIGINT NOT NULL,
    updated_at            BIGINT NOT NULL,
    revision              BIGINT NOT NULL
, is_default BIGINT NOT NULL DEFAULT 0, segments TEXT NOT NULL DEFAULT '[]', pod TEXT NOT NULL DEFAULT '');

CREATE INDEX networks_by_project ON networks (project_id, id);

CREATE UNIQUE INDEX networks_default ON networks (is_default) WHERE is_default = 1;

CREATE INDEX networks_external ON networks (id) WHERE external = 1;

CREATE INDEX networks_shared ON networks (id) WHERE shared = 1;

CREATE TABLE pod_interfaces (
    port_id    TEXT PRIMARY KEY REFERENCES ports (id) ON DELETE CASCADE,
    central_id TEXT NOT NULL,
    pod        TEXT NOT NULL
);

CREATE UNIQUE INDEX pod_interfaces_once ON pod_interfaces (central_id, pod);

CREATE TABLE pod_numbers (
    name   TEXT PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE
);

CREATE TABLE pod_segments (
    pod              TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    physical_network TEXT NOT NULL,
    segmentation_id  BIGINT NOT NULL,
    PRIMARY KEY (pod, physical_network, segmentation_id)
);

CREATE TABLE pods (
    name       TEXT PRIMARY KEY,
    region     TEXT NOT NULL,
    zone       TEXT NOT NULL,
    pod_zone   TEXT NOT NULL,
    cloud      TEXT NOT NULL,
    interface  TEXT NOT NULL,
    dhcp_ports BIGINT NOT NULL,
    cordoned   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
, drift TEXT NOT NULL DEFAULT 'report', message_bus TEXT NOT NULL DEFAULT '');

CREATE TABLE port_forwardings (
    id                  TEXT PRIMARY KEY,
    project_id          TEXT NOT NULL,
    description         TEXT NOT NULL,
    floatingip_id       TEXT NOT NULL REFERENCES floating_ips (id),
    internal_port_id    TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    internal_ip_address TEXT NOT NULL,
    protocol            TEXT NOT NULL,
    external_first      BIGINT NOT NULL,
    external_last       BIGINT NOT NULL,
    internal_first      BIGINT NOT NULL,
    internal_last       BIGINT NOT NULL,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    revision            BIGINT NOT NULL
);

CREATE INDEX port_forwardings_by_floatingip ON port_forwardings (floatingip_id);

CREATE INDEX port_forwardings_by_port ON port_forwardings (internal_port_id);

CREATE TABLE port_groups (
    port_id  TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    group_id TEXT NOT NULL REFERENCES security_groups (id),
    PRIMARY KEY (port_id, group_id)
);

CREATE INDEX port_groups_by_group ON port_groups (group_id, port_id);

CREATE TABLE ports (
    id                    TEXT PRIMARY KEY,
    network_id            TEXT NOT NULL REFERENCES networks (id),
    project_id            TEXT NOT NULL,
    name                  TEXT NOT NULL,
    description           TEXT NOT NULL,
    admin_state_up        BIGINT NOT NULL,
    mac_address           TEXT NOT NULL,
    device_id             TEXT NOT NULL,
    device_owner          TEXT NOT NULL,
    port_security_enabled BIGINT NOT NULL,
    address_pairs         TEXT NOT NULL,
    vnic_type             TEXT NOT NULL,
    auto                  BIGINT NOT NULL,
    pod                   TEXT NOT NULL,
    landlord              TEXT,
    created_at            BIGINT NOT NULL,
    updated_at            BIGINT NOT NULL,
    revision              BIGINT NOT NULL
, dhcp_options TEXT NOT NULL DEFAULT '[]', numa_policy TEXT NOT NULL DEFAULT '', device_profile TEXT NOT NULL DEFAULT '', status TEXT NOT NULL DEFAULT 'DOWN', host TEXT NOT NULL DEFAULT '', vif_type TEXT NOT NULL DEFAULT 'unbound', vif_details TEXT NOT NULL DEFAULT '{}', profile TEXT NOT NULL DEFAULT '{}', want_host TEXT, want_profile TEXT);

CREATE INDEX ports_by_device ON ports (device_id, id);

CREATE INDEX ports_by_host ON ports (host, id) WHERE host <> '';

CREATE INDEX ports_by_landlord ON ports (landlord, id) WHERE landlord IS NOT NULL;

CREATE INDEX ports_by_name ON ports (project_id, name, id);

CREATE INDEX ports_by_network ON ports (network_id, id);

CREATE INDEX ports_by_project ON ports (project_id, id);

CREATE TABLE qos_policies (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    shared      BIGINT NOT NULL,
    is_default  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL
);

CREATE INDEX qos_policies_by_project ON qos_policies (project_id, id);

CREATE UNIQUE INDEX qos_policies_default ON qos_policies (project_id) WHERE is_default = 1;

CREATE INDEX qos_policies_shared ON qos_policies (id) WHERE shared = 1;

CREATE TABLE qos_rules (
    id        TEXT PRIMARY KEY,
    policy_id TEXT NOT NULL REFERENCES qos_policies (id) ON DELETE CASCADE,
    type      TEXT NOT NULL,
    direction TEXT NOT NULL, -- empty: the type has none
    value     BIGINT NOT NULL, -- the limit, the minimum or the mark
    burst     BIGINT NOT NULL
);

CREATE UNIQUE INDEX qos_rules_differ ON qos_rules (policy_id, type, direction);

CREATE TABLE qos_uses (
    kind      TEXT NOT NULL,
    id        TEXT NOT NULL,
    policy_id TEXT NOT NULL REFERENCES qos_policies (id),
    PRIMARY KEY (kind, id)
);

CREATE INDEX qos_uses_by_policy ON qos_uses (policy_id);

CREATE TABLE quota_classes (
    service  TEXT NOT NULL,
    class    TEXT NOT NULL,
    resource TEXT NOT NULL,
    value    BIGINT NOT NULL,
    PRIMARY KEY (service, class, resource)
);

CREATE TABLE quota_defaults (
    service  TEXT NOT NULL,
    pod      TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    resource TEXT NOT NULL,
    value    BIGINT NOT NULL,
    PRIMARY KEY (service, pod, resource)
);

CREATE TABLE quota_grants (
    id         TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    servers    BIGINT NOT NULL,
    vcpus      BIGINT NOT NULL, -- of each
    ram        BIGINT NOT NULL, -- of each, in MB
    expires_at BIGINT NOT NULL
);

CREATE INDEX quota_grants_by_project ON quota_grants (project_id);

CREATE TABLE quota_limits (
    service    TEXT NOT NULL,
    project_id TEXT NOT NULL,
    user_id    TEXT NOT NULL, -- empty: the whole project
    resource   TEXT NOT NULL,
    value      BIGINT NOT NULL,
    PRIMARY KEY (service, project_id, user_id, resource)
);

CREATE TABLE quota_locks (
    service    TEXT NOT NULL,
    project_id TEXT NOT NULL,
    PRIMARY KEY (service, project_id)
);

CREATE TABLE rbac_policies (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id   TEXT NOT NULL,
    action      TEXT NOT NULL,
    target      TEXT NOT NULL
);

CREATE INDEX rbac_policies_by_project ON rbac_policies (project_id, id);

CREATE INDEX rbac_policies_by_target ON rbac_policies (target, action, object_id);

CREATE UNIQUE INDEX rbac_policies_once ON rbac_policies (object_id, action, target);

CREATE TABLE replicas (
    kind        TEXT NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    content     TEXT NOT NULL,
    everywhere  BIGINT NOT NULL,
    deleted     BIGINT NOT NULL,
    attempt     TEXT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE INDEX replicas_by_name ON replicas (kind, name);

CREATE TABLE router_agents (
    router_id TEXT NOT NULL REFERENCES routers (id) ON DELETE CASCADE,
    agent_id  TEXT NOT NULL,
    pod       TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    PRIMARY KEY (router_id, agent_id)
);

CREATE INDEX router_agents_by_agent ON router_agents (agent_id);

CREATE INDEX router_agents_by_pod ON router_agents (pod);

CREATE TABLE routers (
    id              TEXT PRIMARY KEY,
    project_id      TEXT NOT NULL,
    name            TEXT NOT NULL,
    description     TEXT NOT NULL,
    admin_state_up  BIGINT NOT NULL,
    gateway_network TEXT NOT NULL, -- empty: no gateway
    gateway_port    TEXT NOT NULL,
    enable_snat     BIGINT NOT NULL,
    routes          TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    revision        BIGINT NOT NULL
, distributed BIGINT NOT NULL DEFAULT 0, ha BIGINT NOT NULL DEFAULT 0, zone_hints TEXT NOT NULL DEFAULT '[]', flavor_id TEXT REFERENCES network_flavors (id));

CREATE INDEX routers_by_flavor ON routers (flavor_id) WHERE flavor_id IS NOT NULL;

CREATE INDEX routers_by_gateway ON routers (gateway_network) WHERE gateway_network <> '';

CREATE INDEX routers_by_project ON routers (project_id, id);

CREATE TABLE security_group_rules (
    id               TEXT PRIMARY KEY,
    group_id         TEXT NOT NULL REFERENCES security_groups (id) ON DELETE CASCADE,
    project_id       TEXT NOT NULL,
    description      TEXT NOT NULL,
    direction        TEXT NOT NULL,
    ethertype        TEXT NOT NULL,
    protocol         TEXT NOT NULL,
    port_min         BIGINT,
    port_max         BIGINT,
    remote_ip_prefix TEXT NOT NULL,
    remote_group_id  TEXT REFERENCES security_groups (id) ON DELETE CASCADE,
    rule_key         TEXT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    revision         BIGINT NOT NULL, remote_address_group_id TEXT REFERENCES address_groups (id),
    UNIQUE (group_id, rule_key)
);

CREATE INDEX security_group_rules_by_address_group ON security_group_rules (remote_address_group_id)
    WHERE remote_address_group_id IS NOT NULL;

CREATE INDEX security_group_rules_by_project ON security_group_rules (project_id, id);

CREATE INDEX security_group_rules_by_remote ON security_group_rules (remote_group_id);

CREATE TABLE security_groups (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    stateful    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL
, shared BIGINT NOT NULL DEFAULT 0);

CREATE INDEX security_groups_by_project ON security_groups (project_id, id);

CREATE UNIQUE INDEX security_groups_default ON security_groups (project_id) WHERE name = 'default';

CREATE INDEX security_groups_shared ON security_groups (id) WHERE shared = 1;

CREATE TABLE segments (
    physical_network TEXT NOT NULL,
    segmentation_id  BIGINT NOT NULL,
    network_id       TEXT NOT NULL, chosen BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (physical_network, segmentation_id)
);

CREATE INDEX segments_by_network ON segments (network_id);

CREATE TABLE server_group_members (
    server_id TEXT PRIMARY KEY,
    group_id  TEXT NOT NULL REFERENCES server_groups (id) ON DELETE CASCADE
);

CREATE INDEX server_group_members_by_group ON server_group_members (group_id, server_id);

CREATE TABLE server_groups (
    id           TEXT PRIMARY KEY,
    project_id   TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    name         TEXT NOT NULL,
    policy       TEXT NOT NULL,
    max_per_host BIGINT NOT NULL,
    pod          TEXT NOT NULL,
    created_at   BIGINT NOT NULL
);

CREATE INDEX server_groups_by_project ON server_groups (project_id, created_at, id);

CREATE TABLE service_profiles (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL,
    description TEXT NOT NULL,
    driver      TEXT NOT NULL,
    enabled     BIGINT NOT NULL,
    metainfo    TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL
);

CREATE TABLE subnetpools (
    id                TEXT PRIMARY KEY,
    project_id        TEXT NOT NULL,
    description       TEXT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    revision          BIGINT NOT NULL,
    name              TEXT NOT NULL,
    prefixes          TEXT NOT NULL,
    ip_version        BIGINT NOT NULL,
    min_prefixlen     BIGINT NOT NULL,
    max_prefixlen     BIGINT NOT NULL,
    default_prefixlen BIGINT NOT NULL,
    default_quota     BIGINT,
    shared            BIGINT NOT NULL,
    is_default        BIGINT NOT NULL,
    address_scope_id  TEXT NOT NULL -- empty: none
);

CREATE INDEX subnetpools_by_project ON subnetpools (project_id, id);

CREATE INDEX subnetpools_by_scope ON subnetpools (address_scope_id) WHERE address_scope_id <> '';

CREATE UNIQUE INDEX subnetpools_default ON subnetpools (ip_version) WHERE is_default = 1;

CREATE INDEX subnetpools_shared ON subnetpools (id) WHERE shared = 1;

CREATE TABLE subnets (
    id                TEXT PRIMARY KEY,
    network_id        TEXT NOT NULL REFERENCES networks (id),
    project_id        TEXT NOT NULL,
    name              TEXT NOT NULL,
    description       TEXT NOT NULL,
    ip_version        BIGINT NOT NULL,
    cidr              TEXT NOT NULL,
    gateway_ip        TEXT NOT NULL,
    enable_dhcp       BIGINT NOT NULL,
    allocation_pools  TEXT NOT NULL,
    dns_nameservers   TEXT NOT NULL,
    host_routes       TEXT NOT NULL,
    ipv6_ra_mode      TEXT NOT NULL,
    ipv6_address_mode TEXT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    revision          BIGINT NOT NULL
, subnetpool_id TEXT NOT NULL DEFAULT '', service_types TEXT NOT NULL DEFAULT '[]');

CREATE INDEX subnets_by_network ON subnets (network_id, id);

CREATE INDEX subnets_by_pool ON subnets (subnetpool_id) WHERE subnetpool_id <> '';

CREATE INDEX subnets_by_project ON subnets (project_id, id);

CREATE TABLE subports (
    port_id           TEXT PRIMARY KEY REFERENCES ports (id),
    trunk_id          TEXT NOT NULL REFERENCES trunks (id) ON DELETE CASCADE,
    segmentation_type TEXT NOT NULL,
    segmentation_id   BIGINT NOT NULL,
    position          BIGINT NOT NULL -- the order in which they came
);

CREATE UNIQUE INDEX subports_differ ON subports (trunk_id, segmentation_type, segmentation_id);

CREATE TABLE tags (
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    tag  TEXT NOT NULL,
    PRIMARY KEY (kind, id, tag)
);

CREATE INDEX tags_by_tag ON tags (kind, tag, id);

CREATE TABLE trunks (
    id             TEXT PRIMARY KEY,
    project_id     TEXT NOT NULL,
    name           TEXT NOT NULL,
    description    TEXT NOT NULL,
    admin_state_up BIGINT NOT NULL,
    port_id        TEXT NOT NULL REFERENCES ports (id), -- the parent
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    revision       BIGINT NOT NULL
);

CREATE UNIQUE INDEX trunks_by_port ON trunks (port_id);

CREATE INDEX trunks_by_project ON trunks (project_id, id);

CREATE TABLE volume_fills (
    id          TEXT PRIMARY KEY,
    volume_id   TEXT NOT NULL, -- empty: not made yet
    pod         TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    project_id  TEXT NOT NULL,
    source_kind TEXT NOT NULL, -- volume, snapshot, image
    source_id   TEXT NOT NULL,
    source_pod  TEXT NOT NULL,
    looks       TEXT NOT NULL, -- name, metadata and so on of the volume when it is done
    state       TEXT NOT NULL, -- filling, filled, failed
    means       TEXT NOT NULL, -- backup, image
    step        TEXT NOT NULL, -- what is being done, for people
    work        TEXT NOT NULL, -- what was made and asked on the way
    reason      TEXT NOT NULL, -- why it failed
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

CREATE INDEX volume_fills_by_state ON volume_fills (state, volume_id);

CREATE UNIQUE INDEX volume_fills_by_volume ON volume_fills (volume_id) WHERE volume_id <> '';

CREATE TABLE waiting_servers (
    id         TEXT PRIMARY KEY,
    pod        TEXT NOT NULL REFERENCES pods (name),
    project_id TEXT NOT NULL,
    state      TEXT NOT NULL,
    images     TEXT NOT NULL,
    document   TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    fault      TEXT NOT NULL,
    deleting   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    asked_at   BIGINT NOT NULL
);

CREATE INDEX waiting_servers_by_pod ON waiting_servers (pod);

CREATE INDEX waiting_servers_by_project ON waiting_servers (project_id, created_at, id);
