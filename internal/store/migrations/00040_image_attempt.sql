-- What is under way at an image's home: a change or deletion that was begun there,
-- and since when its data is on the way.
ALTER TABLE images ADD COLUMN attempt TEXT NOT NULL DEFAULT ''; -- change, delete
ALTER TABLE images ADD COLUMN attempted_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE images ADD COLUMN watched_at BIGINT NOT NULL DEFAULT 0;
