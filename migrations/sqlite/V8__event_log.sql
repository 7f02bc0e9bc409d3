-- What listeners to the log of events need.

PRAGMA user_version = 8; -- the number of this migration: what opening an up-to-date file reads

-- Of `notification.updated`: what the notifications became. NULL: of other events, and of those from before this was kept.
ALTER TABLE event ADD COLUMN is_read INTEGER CHECK (is_read IN (0, 1));
-- Which conversations a user was in at a place of the log is worked out backwards from now, by the events about this user.
CREATE INDEX event_by_user ON event (user_key, key) WHERE user_key IS NOT NULL;

-- The log itself: one row.
CREATE TABLE event_log (
    key INTEGER PRIMARY KEY CHECK (key = 1),
    generation BLOB NOT NULL -- 16 random bytes; others after the log went back to an earlier state, so that old cursors are found out
) STRICT;
INSERT INTO event_log (key, generation) VALUES (1, randomblob(16));
