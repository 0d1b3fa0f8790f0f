-- Ports to the last attribute. status, host, vif_type, vif_details and profile are
-- what the pod said last; want_host and want_profile what an admin asked for, NULL
-- where it is left to the pod. segments is set for networks with more than one.
ALTER TABLE ports ADD COLUMN dhcp_options TEXT NOT NULL DEFAULT '[]';
ALTER TABLE ports ADD COLUMN numa_policy TEXT NOT NULL DEFAULT '';
ALTER TABLE ports ADD COLUMN device_profile TEXT NOT NULL DEFAULT '';
ALTER TABLE ports ADD COLUMN status TEXT NOT NULL DEFAULT 'DOWN';
ALTER TABLE ports ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE ports ADD COLUMN vif_type TEXT NOT NULL DEFAULT 'unbound';
ALTER TABLE ports ADD COLUMN vif_details TEXT NOT NULL DEFAULT '{}';
ALTER TABLE ports ADD COLUMN profile TEXT NOT NULL DEFAULT '{}';
ALTER TABLE ports ADD COLUMN want_host TEXT;
ALTER TABLE ports ADD COLUMN want_profile TEXT;
CREATE INDEX ports_by_host ON ports (host, id) WHERE host <> '';

ALTER TABLE networks ADD COLUMN segments TEXT NOT NULL DEFAULT '[]';

ALTER TABLE pods ADD COLUMN drift TEXT NOT NULL DEFAULT 'report';
