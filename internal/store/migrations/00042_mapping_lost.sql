-- When a creation was begun anew without knowing what became of the one before.
ALTER TABLE mappings ADD COLUMN lost_at BIGINT NOT NULL DEFAULT 0;
