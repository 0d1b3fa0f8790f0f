-- Quotas of the region, for all services: a project's, and a user's within it.
CREATE TABLE quota_limits (
    service    TEXT NOT NULL,
    project_id TEXT NOT NULL,
    user_id    TEXT NOT NULL, -- empty: the whole project
    resource   TEXT NOT NULL,
    value      BIGINT NOT NULL,
    PRIMARY KEY (service, project_id, user_id, resource)
);

CREATE TABLE quota_classes (
    service  TEXT NOT NULL,
    class    TEXT NOT NULL,
    resource TEXT NOT NULL,
    value    BIGINT NOT NULL,
    PRIMARY KEY (service, class, resource)
);

-- What each pod gives a project of which nobody said anything: remembered, so
-- that it counts while the pod is away.
CREATE TABLE quota_defaults (
    service  TEXT NOT NULL,
    pod      TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    resource TEXT NOT NULL,
    value    BIGINT NOT NULL,
    PRIMARY KEY (service, pod, resource)
);

-- The row that an admission locks: admissions of one project line up on it.
CREATE TABLE quota_locks (
    service    TEXT NOT NULL,
    project_id TEXT NOT NULL,
    PRIMARY KEY (service, project_id)
);

-- Servers of one request that were admitted together and are not yet begun.
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

-- What a server takes; 0 where it is not known yet. While a resize is under way
-- (resized_at) it is the larger of both sizes.
ALTER TABLE entries ADD COLUMN vcpus BIGINT NOT NULL DEFAULT 0;
ALTER TABLE entries ADD COLUMN ram BIGINT NOT NULL DEFAULT 0;
ALTER TABLE entries ADD COLUMN resized_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN vcpus BIGINT NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN ram BIGINT NOT NULL DEFAULT 0;
-- 0 once the index has the server: it must not count twice.
ALTER TABLE intents ADD COLUMN counts BIGINT NOT NULL DEFAULT 1;

-- The sum over a project's servers is read off this index alone.
CREATE INDEX entries_usage ON entries (project_id, user_id, vcpus, ram)
    WHERE kind = 'server' AND status <> 'SOFT_DELETED';
CREATE INDEX intents_by_project ON intents (project_id);
