-- Where addresses come from: subnet pools in address scopes; and address groups,
-- which rules of security groups name.

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
CREATE INDEX subnetpools_shared ON subnetpools (id) WHERE shared = 1;
CREATE INDEX subnetpools_by_scope ON subnetpools (address_scope_id) WHERE address_scope_id <> '';
CREATE UNIQUE INDEX subnetpools_default ON subnetpools (ip_version) WHERE is_default = 1;

ALTER TABLE subnets ADD COLUMN subnetpool_id TEXT NOT NULL DEFAULT ''; -- empty: out of no pool
ALTER TABLE subnets ADD COLUMN service_types TEXT NOT NULL DEFAULT '[]';
CREATE INDEX subnets_by_pool ON subnets (subnetpool_id) WHERE subnetpool_id <> '';

CREATE TABLE address_groups (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    name        TEXT NOT NULL,
    addresses   TEXT NOT NULL
);
CREATE INDEX address_groups_by_project ON address_groups (project_id, id);

ALTER TABLE security_group_rules ADD COLUMN remote_address_group_id TEXT REFERENCES address_groups (id);
CREATE INDEX security_group_rules_by_address_group ON security_group_rules (remote_address_group_id)
    WHERE remote_address_group_id IS NOT NULL;

-- The network and router that a project was given by itself.
CREATE TABLE auto_topologies (
    project_id TEXT PRIMARY KEY,
    network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    router_id  TEXT NOT NULL
);
