-- Replicas: things that are the same in every pod, such as flavors and key pairs.
-- What is here was made or changed through the region; content is what the
-- region wants, copies what each pod was last told.

-- attempt is a change that a pod is being asked for, as JSON; empty: none. A row
-- without content is one that is being made. A deleted one stays until every pod
-- has let go of it.
CREATE TABLE replicas (
    kind        TEXT NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    content     TEXT NOT NULL,
    everywhere  BIGINT NOT NULL,
    deleted     BIGINT NOT NULL,
    attempt     TEXT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE TABLE copies (
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    pod     TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (kind, id, pod),
    FOREIGN KEY (kind, id, pod) REFERENCES mappings (kind, id, pod) ON DELETE CASCADE
);
