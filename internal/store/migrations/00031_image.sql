-- Images: which copy is the truth, and how far the others are. Where a copy is to
-- be, the mappings say.
CREATE TABLE images (
    id         TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    home       TEXT NOT NULL REFERENCES pods (name),
    mode       TEXT NOT NULL,   -- its own; empty: the region's
    status     TEXT NOT NULL,   -- at home, when last seen
    deleted    BIGINT NOT NULL, -- gone for users, until the last copy is
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX images_by_home ON images (home);

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
