-- Routers and floating IPs. A router's interfaces, its gateway and each floating
-- address are ports like any other: their addresses are held in one place.

CREATE TABLE routers (
    id              TEXT PRIMARY KEY,
    project_id      TEXT NOT NULL,
    name            TEXT NOT NULL,
    description     TEXT NOT NULL,
    admin_state_up  BIGINT NOT NULL,
    gateway_network TEXT NOT NULL, -- empty: no gateway
    gateway_port    TEXT NOT NULL,
    enable_snat     BIGINT NOT NULL,
    routes          TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    revision        BIGINT NOT NULL
);
CREATE INDEX routers_by_project ON routers (project_id, id);
CREATE INDEX routers_by_gateway ON routers (gateway_network) WHERE gateway_network <> '';

CREATE TABLE floating_ips (
    id            TEXT PRIMARY KEY,
    project_id    TEXT NOT NULL,
    description   TEXT NOT NULL,
    network_id    TEXT NOT NULL,
    outer_port    TEXT NOT NULL, -- holds the address on the external network
    address       TEXT NOT NULL,
    port_id       TEXT NOT NULL, -- empty: serves no port
    fixed_address TEXT NOT NULL,
    router_id     TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    revision      BIGINT NOT NULL
);
CREATE INDEX floating_ips_by_project ON floating_ips (project_id, id);
-- One floating IP per address of a port and external network, whoever asks first.
CREATE UNIQUE INDEX floating_ips_serve ON floating_ips (port_id, fixed_address, network_id) WHERE port_id <> '';
CREATE INDEX floating_ips_by_router ON floating_ips (router_id) WHERE router_id <> '';
