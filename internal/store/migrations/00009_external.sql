-- External networks are seen by all projects; at most one is the default.
ALTER TABLE networks ADD COLUMN is_default BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX networks_default ON networks (is_default) WHERE is_default = 1;
CREATE INDEX networks_external ON networks (id) WHERE external = 1;
