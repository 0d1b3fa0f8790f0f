-- What a volume, snapshot, backup or group takes; 0 and empty where it is not
-- known. A snapshot counts with its volume's type: parent is the volume.
ALTER TABLE entries ADD COLUMN gigabytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE entries ADD COLUMN type TEXT NOT NULL DEFAULT '';
ALTER TABLE entries ADD COLUMN parent TEXT NOT NULL DEFAULT '';

-- The sum over a project's volumes is read off this index alone.
CREATE INDEX entries_amounts ON entries (project_id, kind, type, parent, gigabytes)
    WHERE kind IN ('volume', 'snapshot', 'backup', 'group');

-- The volume that the thing begun belongs to or changes; empty: none.
ALTER TABLE intents ADD COLUMN parent TEXT NOT NULL DEFAULT '';

-- What something that was begun in Block Storage will take: it counts until it is in
-- the index.
CREATE TABLE intent_amounts (
    intent_id TEXT NOT NULL REFERENCES intents (id) ON DELETE CASCADE,
    resource  TEXT NOT NULL,
    value     BIGINT NOT NULL,
    PRIMARY KEY (intent_id, resource)
);
