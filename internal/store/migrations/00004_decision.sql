-- Why servers went where they did, kept for a while. The document is JSON.
-- A request for several servers is one decision.

CREATE TABLE decisions (
    id         TEXT PRIMARY KEY,
    request_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    document   TEXT NOT NULL
);
CREATE INDEX decisions_by_request ON decisions (request_id);
CREATE INDEX decisions_by_age ON decisions (created_at);

CREATE TABLE decision_servers (
    server_id   TEXT PRIMARY KEY,
    decision_id TEXT NOT NULL REFERENCES decisions (id) ON DELETE CASCADE
);
CREATE INDEX decision_servers_by_decision ON decision_servers (decision_id);

-- No reference: an intent may outlive its decision.
ALTER TABLE intents ADD COLUMN decision_id TEXT NOT NULL DEFAULT '';
