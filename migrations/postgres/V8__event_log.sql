-- Paired with migrations/sqlite, where it is explained.
ALTER TABLE event ADD COLUMN is_read BOOLEAN;
CREATE INDEX event_by_user ON event (user_key, transaction_id, key) WHERE user_key IS NOT NULL;
CREATE TABLE event_log (
    key BIGINT PRIMARY KEY CHECK (key = 1),
    generation UUID NOT NULL
);
INSERT INTO event_log (key, generation) VALUES (1, gen_random_uuid());
