-- The pod that an external network belongs to; empty: none was chosen yet. And what
-- that pod says about a floating IP.
ALTER TABLE networks ADD COLUMN pod TEXT NOT NULL DEFAULT '';
ALTER TABLE floating_ips ADD COLUMN status TEXT NOT NULL DEFAULT 'DOWN';
UPDATE networks
SET pod = COALESCE((SELECT min(m.pod) FROM mappings m WHERE m.kind = 'network' AND m.id = networks.id AND m.wanted = 1), '')
WHERE external = 1;
