-- What a router has in several pods. Each pod's router has a port of its own on a
-- subnet that several pods have, beside the central interface.
CREATE TABLE pod_interfaces (
    port_id    TEXT PRIMARY KEY REFERENCES ports (id) ON DELETE CASCADE,
    central_id TEXT NOT NULL,
    pod        TEXT NOT NULL
);
CREATE UNIQUE INDEX pod_interfaces_once ON pod_interfaces (central_id, pod);

-- The network that joins the pods of one project's routers.
CREATE TABLE bridges (
    project_id TEXT PRIMARY KEY,
    network_id TEXT NOT NULL UNIQUE
);
