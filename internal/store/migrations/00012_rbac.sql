-- Who may use what belongs to others. target is a project, or * for all of them. The flags "shared"
-- and "external" of the things' own tables follow: shared is 1 while all may use the thing.
CREATE TABLE rbac_policies (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id   TEXT NOT NULL,
    action      TEXT NOT NULL,
    target      TEXT NOT NULL
);
CREATE UNIQUE INDEX rbac_policies_once ON rbac_policies (object_id, action, target);
CREATE INDEX rbac_policies_by_project ON rbac_policies (project_id, id);
CREATE INDEX rbac_policies_by_target ON rbac_policies (target, action, object_id);

ALTER TABLE security_groups ADD COLUMN shared BIGINT NOT NULL DEFAULT 0;
CREATE INDEX security_groups_shared ON security_groups (id) WHERE shared = 1;

-- Those that networks had so far; the IDs are new, and no other network's.
INSERT INTO rbac_policies
SELECT id, project_id, 'network', id, 'access_as_shared', '*' FROM networks WHERE shared = 1;
INSERT INTO rbac_policies
SELECT substr(id, 1, 24) || substr(id, 31, 6) || substr(id, 25, 6), project_id, 'network', id, 'access_as_external', '*'
FROM networks WHERE external = 1;
