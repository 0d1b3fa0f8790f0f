-- What kind of router, and the zones in which its owner wants it.
ALTER TABLE routers ADD COLUMN distributed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE routers ADD COLUMN ha BIGINT NOT NULL DEFAULT 0;
ALTER TABLE routers ADD COLUMN zone_hints TEXT NOT NULL DEFAULT '[]';
