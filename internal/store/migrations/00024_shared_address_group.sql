ALTER TABLE address_groups ADD COLUMN shared BIGINT NOT NULL DEFAULT 0;
CREATE INDEX address_groups_shared ON address_groups (id) WHERE shared = 1;

-- What scopes and pools were shared with all by their flag alone.
INSERT INTO rbac_policies
SELECT id, project_id, 'address_scope', id, 'access_as_shared', '*' FROM address_scopes WHERE shared = 1;
INSERT INTO rbac_policies
SELECT id, project_id, 'subnetpool', id, 'access_as_shared', '*' FROM subnetpools WHERE shared = 1;
INSERT INTO rbac_policies
SELECT id, project_id, 'qos_policy', id, 'access_as_shared', '*' FROM qos_policies WHERE shared = 1;
