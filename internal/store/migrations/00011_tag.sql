-- Words that users put on what they have. kind is the table of the thing.

CREATE TABLE tags (
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    tag  TEXT NOT NULL,
    PRIMARY KEY (kind, id, tag)
);
CREATE INDEX tags_by_tag ON tags (kind, tag, id);
