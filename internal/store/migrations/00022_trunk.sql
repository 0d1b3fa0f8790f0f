-- Trunks: ports that bring the traffic of other ports with theirs.

CREATE TABLE trunks (
    id             TEXT PRIMARY KEY,
    project_id     TEXT NOT NULL,
    name           TEXT NOT NULL,
    description    TEXT NOT NULL,
    admin_state_up BIGINT NOT NULL,
    port_id        TEXT NOT NULL REFERENCES ports (id), -- the parent
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    revision       BIGINT NOT NULL
);
CREATE INDEX trunks_by_project ON trunks (project_id, id);
CREATE UNIQUE INDEX trunks_by_port ON trunks (port_id);

CREATE TABLE subports (
    port_id           TEXT PRIMARY KEY REFERENCES ports (id),
    trunk_id          TEXT NOT NULL REFERENCES trunks (id) ON DELETE CASCADE,
    segmentation_type TEXT NOT NULL,
    segmentation_id   BIGINT NOT NULL,
    position          BIGINT NOT NULL -- the order in which they came
);
CREATE UNIQUE INDEX subports_differ ON subports (trunk_id, segmentation_type, segmentation_id);
