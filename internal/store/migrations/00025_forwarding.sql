-- Ports of a floating IP that lead to ports of an address. The floating IP's router
-- is the one through which they do.
CREATE TABLE port_forwardings (
    id                  TEXT PRIMARY KEY,
    project_id          TEXT NOT NULL,
    description         TEXT NOT NULL,
    floatingip_id       TEXT NOT NULL REFERENCES floating_ips (id),
    internal_port_id    TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    internal_ip_address TEXT NOT NULL,
    protocol            TEXT NOT NULL,
    external_first      BIGINT NOT NULL,
    external_last       BIGINT NOT NULL,
    internal_first      BIGINT NOT NULL,
    internal_last       BIGINT NOT NULL,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    revision            BIGINT NOT NULL
);
CREATE INDEX port_forwardings_by_floatingip ON port_forwardings (floatingip_id);
CREATE INDEX port_forwardings_by_port ON port_forwardings (internal_port_id);
