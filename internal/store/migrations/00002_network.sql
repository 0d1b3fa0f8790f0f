-- The topology: networks, subnets, ports, security groups, and what of the
-- address and segment space they hold. Lists that only ever travel with their
-- row (pools, routes, address pairs) are JSON.

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
);
CREATE INDEX networks_by_project ON networks (project_id, id);
CREATE INDEX networks_shared ON networks (id) WHERE shared = 1;

-- No reference to networks: the segment of a deleted network stays held until
-- the last pod has let go of it.
CREATE TABLE segments (
    physical_network TEXT NOT NULL,
    segmentation_id  BIGINT NOT NULL,
    network_id       TEXT NOT NULL,
    PRIMARY KEY (physical_network, segmentation_id)
);
CREATE INDEX segments_by_network ON segments (network_id);

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
);
CREATE INDEX subnets_by_network ON subnets (network_id, id);
CREATE INDEX subnets_by_project ON subnets (project_id, id);

-- landlord is the network's project where that is not the port's own: he sees
-- the port too, and lists of 100,000 ports have no time to join for it.
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
);
CREATE INDEX ports_by_network ON ports (network_id, id);
CREATE INDEX ports_by_project ON ports (project_id, id);
CREATE INDEX ports_by_name ON ports (project_id, name, id);
CREATE INDEX ports_by_landlord ON ports (landlord, id) WHERE landlord IS NOT NULL;
CREATE INDEX ports_by_device ON ports (device_id, id);

-- The keys of the next two are what makes an address and a MAC unique. No
-- reference to ports: they outlive a deleted port until no pod has it any more.
CREATE TABLE macs (
    network_id  TEXT NOT NULL,
    mac_address TEXT NOT NULL,
    port_id     TEXT NOT NULL,
    PRIMARY KEY (network_id, mac_address)
);
CREATE INDEX macs_by_port ON macs (port_id);

CREATE TABLE addresses (
    subnet_id TEXT NOT NULL REFERENCES subnets (id),
    address   TEXT NOT NULL,
    port_id   TEXT NOT NULL,
    position  BIGINT NOT NULL,
    PRIMARY KEY (subnet_id, address)
);
CREATE INDEX addresses_by_port ON addresses (port_id, position);

CREATE TABLE security_groups (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    stateful    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL
);
CREATE INDEX security_groups_by_project ON security_groups (project_id, id);
CREATE UNIQUE INDEX security_groups_default ON security_groups (project_id) WHERE name = 'default';

-- rule_key is equal for rules that allow the same: a group has each once.
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
    revision         BIGINT NOT NULL,
    UNIQUE (group_id, rule_key)
);
CREATE INDEX security_group_rules_by_project ON security_group_rules (project_id, id);
CREATE INDEX security_group_rules_by_remote ON security_group_rules (remote_group_id);

CREATE TABLE port_groups (
    port_id  TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    group_id TEXT NOT NULL REFERENCES security_groups (id),
    PRIMARY KEY (port_id, group_id)
);
CREATE INDEX port_groups_by_group ON port_groups (group_id, port_id);
