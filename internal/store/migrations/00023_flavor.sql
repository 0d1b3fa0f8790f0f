-- Kinds of routers that users choose by name, and what serves them.

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

CREATE TABLE flavor_profiles (
    flavor_id  TEXT NOT NULL REFERENCES network_flavors (id) ON DELETE CASCADE,
    profile_id TEXT NOT NULL REFERENCES service_profiles (id),
    PRIMARY KEY (flavor_id, profile_id)
);
CREATE INDEX flavor_profiles_by_profile ON flavor_profiles (profile_id);

ALTER TABLE routers ADD COLUMN flavor_id TEXT REFERENCES network_flavors (id);
CREATE INDEX routers_by_flavor ON routers (flavor_id) WHERE flavor_id IS NOT NULL;
