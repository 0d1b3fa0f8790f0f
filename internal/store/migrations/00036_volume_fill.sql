-- Volumes that were made empty and get their data from another pod. The ID is that
-- of the creation's intent; the volume has its own once its pod has made it.
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
CREATE UNIQUE INDEX volume_fills_by_volume ON volume_fills (volume_id) WHERE volume_id <> '';
CREATE INDEX volume_fills_by_state ON volume_fills (state, volume_id);
