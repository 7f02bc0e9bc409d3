-- Paired with migrations/sqlite, where it is explained.
ALTER TABLE conversation ADD COLUMN last_sent_at BIGINT;
UPDATE conversation SET last_sent_at = (SELECT max(sent_at) FROM message WHERE conversation_key = conversation.key);
ALTER TABLE idempotency ADD COLUMN was_there BOOLEAN NOT NULL DEFAULT FALSE;
