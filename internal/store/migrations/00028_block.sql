-- Slices of a subnet that belong to one pod: its servers' addresses are taken there,
-- so that one route leads to many of them.
CREATE TABLE address_blocks (
    subnet_id TEXT NOT NULL REFERENCES subnets (id) ON DELETE CASCADE,
    prefix    TEXT NOT NULL,
    pod       TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    taken_at  BIGINT NOT NULL,
    PRIMARY KEY (subnet_id, prefix)
);
