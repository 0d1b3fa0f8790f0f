-- A pod's number is part of the integer IDs that the region shows for things of
-- that pod (hypervisors, aggregates). It stays taken when the pod is removed: an
-- ID that somebody noted must never lead into another pod.
CREATE TABLE pod_numbers (
    name   TEXT PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE
);
INSERT INTO pod_numbers (name, number)
SELECT name, row_number() OVER (ORDER BY created_at, name) - 1 FROM pods;

-- Which pod's host is shown under the plain name. The same name in another pod is
-- shown with the pod's name behind it.
CREATE TABLE host_names (
    name TEXT PRIMARY KEY,
    pod  TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE
);
