-- Which agent of which pod an admin wants a router on. The agents are the pods' own.
CREATE TABLE router_agents (
    router_id TEXT NOT NULL REFERENCES routers (id) ON DELETE CASCADE,
    agent_id  TEXT NOT NULL,
    pod       TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    PRIMARY KEY (router_id, agent_id)
);
CREATE INDEX router_agents_by_agent ON router_agents (agent_id);
CREATE INDEX router_agents_by_pod ON router_agents (pod);
