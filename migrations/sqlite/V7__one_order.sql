-- When a message was last sent to a conversation: the next is not sent before it, though a clock is set back.

PRAGMA user_version = 7; -- the number of this migration: what opening an up-to-date file reads

-- NULL: nothing was sent; loaded messages keep the time they bring, and do not count.
ALTER TABLE conversation ADD COLUMN last_sent_at INTEGER;
-- Which of those that are there were loaded is not known.
UPDATE conversation SET last_sent_at = (SELECT max(sent_at) FROM message WHERE conversation_key = conversation.key);

-- Whether what resulted from a request was there before: asked again, the answer is the same.
ALTER TABLE idempotency ADD COLUMN was_there INTEGER NOT NULL DEFAULT 0 CHECK (was_there IN (0, 1));
