-- Unread notifications lie together, whoever's they are. A send writes one for each recipient into two trees; with the user
-- first, every user had pages of their own there, and each message changed two more of them for everybody it went to.
--
-- No foreign key to the account: it would need a tree with the user first. One writer at a time deletes an account with its
-- notifications, and `db check` looks for any that are left. On PostgreSQL, where others write meanwhile, the key stays.

PRAGMA user_version = 3; -- the number of this migration: what opening an up-to-date file reads

CREATE TABLE notification_unread_first (
    message_key INTEGER NOT NULL REFERENCES message,
    user_key INTEGER NOT NULL,
    conversation_key INTEGER NOT NULL,
    kind INTEGER NOT NULL CHECK (kind IN (0, 1, 2)),
    is_read INTEGER NOT NULL DEFAULT 0 CHECK (is_read IN (0, 1)),
    PRIMARY KEY (message_key, user_key)
) STRICT, WITHOUT ROWID;
-- Those of no message, which a shell can leave, mean nothing and would be refused.
INSERT INTO notification_unread_first SELECT message_key, user_key, conversation_key, kind, is_read FROM notification
    WHERE EXISTS (SELECT 1 FROM message WHERE key = message_key);
DROP TABLE notification;
ALTER TABLE notification_unread_first RENAME TO notification;

-- Its trees, and what each is for:
--   (message, user)                      deleting a message; who has it unread. A send appends to its end.
--   (is_read, user, message)             one's newest, one's newest unread
--   (is_read, user, conversation, …)     the unread of a conversation, reading it, leaving it
CREATE INDEX notification_by_user ON notification (is_read, user_key, message_key);
CREATE INDEX notification_by_conversation ON notification (is_read, user_key, conversation_key, message_key);
