-- The fleet: pods, which project uses which, what is where, and the journal.
-- Times are microseconds since 1970 UTC; flags are 0 or 1.

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
);

-- The binding made last is the one in force; earlier ones stay because the
-- project still has things there.
CREATE TABLE bindings (
    project_id TEXT NOT NULL,
    zone       TEXT NOT NULL,
    pod        TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    bound_at   BIGINT NOT NULL,
    PRIMARY KEY (project_id, zone, pod)
);

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
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (kind, id, pod)
);
CREATE INDEX mappings_by_pod ON mappings (pod, kind, pod_id);
CREATE INDEX mappings_pending ON mappings (kind, id, pod) WHERE generation <> observed;

CREATE TABLE entries (
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    pod        TEXT NOT NULL REFERENCES pods (name),
    project_id TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    name       TEXT NOT NULL,
    zone       TEXT NOT NULL,
    status     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (kind, id, pod)
);
CREATE INDEX entries_by_project ON entries (kind, project_id, created_at, id);
CREATE INDEX entries_by_pod ON entries (pod, kind, created_at, id);

CREATE TABLE intents (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    pod        TEXT NOT NULL REFERENCES pods (name),
    project_id TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    name       TEXT NOT NULL,
    zone       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX intents_by_age ON intents (created_at);

-- The key keeps two creations from using one port.
CREATE TABLE intent_ports (
    port_id   TEXT PRIMARY KEY,
    intent_id TEXT NOT NULL REFERENCES intents (id) ON DELETE CASCADE,
    position  BIGINT NOT NULL
);
CREATE INDEX intent_ports_by_intent ON intent_ports (intent_id, position);

CREATE TABLE leases (
    key        TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
