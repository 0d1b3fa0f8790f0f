-- Servers that users have and pods have not made yet: their image is on its way
-- to the pod. The ID is that of the server's intent, and so the mark in the pod.
-- What is to be sent there, with the token of who asked, is sealed.

CREATE TABLE waiting_servers (
    id         TEXT PRIMARY KEY,
    pod        TEXT NOT NULL REFERENCES pods (name),
    project_id TEXT NOT NULL,
    state      TEXT NOT NULL,
    images     TEXT NOT NULL,
    document   TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    fault      TEXT NOT NULL,
    deleting   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    asked_at   BIGINT NOT NULL
);
CREATE INDEX waiting_servers_by_project ON waiting_servers (project_id, created_at, id);
CREATE INDEX waiting_servers_by_pod ON waiting_servers (pod);

-- What a pod knows by another ID than ours. seq counts a pod's rows, so that every
-- replica reads only what is new to it.

CREATE TABLE aliases (
    pod        TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    pod_id     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (pod, seq)
);
CREATE UNIQUE INDEX aliases_by_id ON aliases (id, pod);
CREATE UNIQUE INDEX aliases_by_pod_id ON aliases (pod_id, pod);
