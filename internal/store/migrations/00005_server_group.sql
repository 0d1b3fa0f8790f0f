-- Server groups. A group is in the pod of its members, and in none while it has
-- no member and no creation of one is under way: pod is empty then.

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

CREATE TABLE server_group_members (
    server_id TEXT PRIMARY KEY,
    group_id  TEXT NOT NULL REFERENCES server_groups (id) ON DELETE CASCADE
);
CREATE INDEX server_group_members_by_group ON server_group_members (group_id, server_id);

ALTER TABLE intents ADD COLUMN server_group TEXT NOT NULL DEFAULT '';
CREATE INDEX intents_by_server_group ON intents (server_group) WHERE server_group <> '';
