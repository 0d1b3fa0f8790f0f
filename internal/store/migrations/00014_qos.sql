-- What traffic may take up: policies, their rules, and what names them.

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
CREATE INDEX qos_policies_shared ON qos_policies (id) WHERE shared = 1;
CREATE UNIQUE INDEX qos_policies_default ON qos_policies (project_id) WHERE is_default = 1;

CREATE TABLE qos_rules (
    id        TEXT PRIMARY KEY,
    policy_id TEXT NOT NULL REFERENCES qos_policies (id) ON DELETE CASCADE,
    type      TEXT NOT NULL,
    direction TEXT NOT NULL, -- empty: the type has none
    value     BIGINT NOT NULL, -- the limit, the minimum or the mark
    burst     BIGINT NOT NULL
);
CREATE UNIQUE INDEX qos_rules_differ ON qos_rules (policy_id, type, direction);

-- What names a policy: networks, ports, floating IPs and routers, by their tables.
CREATE TABLE qos_uses (
    kind      TEXT NOT NULL,
    id        TEXT NOT NULL,
    policy_id TEXT NOT NULL REFERENCES qos_policies (id),
    PRIMARY KEY (kind, id)
);
CREATE INDEX qos_uses_by_policy ON qos_uses (policy_id);
