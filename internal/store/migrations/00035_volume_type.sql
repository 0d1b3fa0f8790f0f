-- Volume types, their QoS specs and group types have an ID of their own in every
-- pod: a pod's is found by its name.

CREATE INDEX replicas_by_name ON replicas (kind, name);
