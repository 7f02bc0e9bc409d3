-- Paired with migrations/sqlite, where it is explained.
ALTER TABLE event ADD COLUMN is_read BOOLEAN;
-- The order of the log is also that in which transactions waited for each other: one may have its id before it waits for another
-- with a higher one. Whoever waited sees that the other is done, so its events come behind.
ALTER TABLE event ALTER COLUMN transaction_id SET DEFAULT GREATEST(
    CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT),
    CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) - 1
);
CREATE INDEX event_by_user ON event (user_key, transaction_id, key) WHERE user_key IS NOT NULL;
CREATE TABLE event_log (
    key BIGINT PRIMARY KEY CHECK (key = 1),
    generation UUID NOT NULL
);
INSERT INTO event_log (key, generation) VALUES (1, gen_random_uuid());
