-- Members of a group in other pods are a thing of their own from now on: groups
-- whose rules name a group get a job each, which asks for it.
UPDATE mappings
SET generation = generation + 1
WHERE kind = 'security_group' AND wanted = 1
    AND id IN (SELECT group_id FROM security_group_rules WHERE remote_group_id IS NOT NULL);
