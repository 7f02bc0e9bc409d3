-- The tables of the messaging core. Paired by name and number with migrations/postgres; the columns are the same.
--
-- Keys inside are 64-bit integers, never reused; ids outside are UUIDs of version 7. Times are microseconds since 1970, UTC.
-- Enumerations are small integers, listed with their words in src/model.rs. What must be compared ignoring case stands in a
-- column of its own, folded by the program. Every foreign key has an index, or deleting an account would scan.

PRAGMA user_version = 1; -- the number of this migration: what opening an up-to-date file reads

CREATE TABLE account (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    username TEXT NOT NULL,
    username_folded TEXT NOT NULL UNIQUE,
    email TEXT,
    email_folded TEXT UNIQUE,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    names_folded TEXT NOT NULL, -- what a search of the directory looks through: username, first and last name
    role INTEGER NOT NULL CHECK (role IN (0, 1)),
    is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    password_hash TEXT, -- a PHC string; NULL: cannot log in
    token_generation INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX account_admin ON account (role) WHERE role = 1;

CREATE TABLE conversation (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    kind INTEGER NOT NULL CHECK (kind IN (0, 1)),
    name TEXT,
    name_folded TEXT UNIQUE,
    title TEXT,
    names_folded TEXT NOT NULL, -- what a search of conversations looks through: name and title
    creator_key INTEGER REFERENCES account,
    lower_user_key INTEGER REFERENCES account,
    higher_user_key INTEGER REFERENCES account,
    created_at INTEGER NOT NULL,
    active_at INTEGER NOT NULL, -- of the newest message sent, or of its creation
    last_number INTEGER NOT NULL DEFAULT 0,
    message_count INTEGER NOT NULL DEFAULT 0,
    CHECK ((kind = 0) = (lower_user_key IS NOT NULL AND higher_user_key IS NOT NULL)),
    CHECK (lower_user_key < higher_user_key)
) STRICT;
CREATE UNIQUE INDEX conversation_pair ON conversation (lower_user_key, higher_user_key) WHERE lower_user_key IS NOT NULL;
CREATE INDEX conversation_by_higher_user ON conversation (higher_user_key) WHERE higher_user_key IS NOT NULL;
CREATE INDEX conversation_by_creator ON conversation (creator_key) WHERE creator_key IS NOT NULL;

CREATE TABLE participant (
    conversation_key INTEGER NOT NULL REFERENCES conversation,
    user_key INTEGER NOT NULL REFERENCES account,
    level INTEGER NOT NULL DEFAULT 0 CHECK (level IN (0, 1, 2)),
    PRIMARY KEY (conversation_key, user_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX participant_by_user ON participant (user_key, conversation_key);

CREATE TABLE message (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    conversation_key INTEGER NOT NULL REFERENCES conversation,
    number INTEGER NOT NULL,
    sender_key INTEGER REFERENCES account, -- NULL: a tombstone, which has no content either
    receiver_key INTEGER REFERENCES account,
    parent_key INTEGER REFERENCES message,
    content TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 1,
    key_name TEXT, -- the `key` of a record that was loaded
    UNIQUE (conversation_key, number),
    CHECK ((sender_key IS NULL) = (content = ''))
) STRICT;
CREATE INDEX message_by_time ON message (sent_at, key);
CREATE INDEX message_by_conversation ON message (conversation_key, sent_at, key);
CREATE INDEX message_by_sender ON message (sender_key, sent_at, key) WHERE sender_key IS NOT NULL;
CREATE INDEX message_by_receiver ON message (receiver_key, sent_at, key) WHERE receiver_key IS NOT NULL;
CREATE INDEX message_by_parent ON message (parent_key, sender_key) WHERE parent_key IS NOT NULL;
CREATE UNIQUE INDEX message_by_key_name ON message (key_name) WHERE key_name IS NOT NULL;

CREATE TABLE revision (
    message_key INTEGER NOT NULL REFERENCES message,
    revision INTEGER NOT NULL,
    content TEXT NOT NULL,
    edited_at INTEGER NOT NULL, -- when a newer content took its place
    editor_key INTEGER REFERENCES account,
    by_operator INTEGER NOT NULL CHECK (by_operator IN (0, 1)),
    reason TEXT,
    PRIMARY KEY (message_key, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX revision_by_editor ON revision (editor_key) WHERE editor_key IS NOT NULL;

-- One row a message and recipient: the table that dominates the file. Its trees, and what each is for:
--   (message, user)                      deleting a message; who has it unread. A send appends to its end.
--   (user, is_read, message)             one's newest, one's newest unread
--   (user, conversation, is_read, …)     the unread of a conversation, reading it, leaving it
-- The conversation is copied from the message; its foreign key would need a fourth tree.
CREATE TABLE notification (
    message_key INTEGER NOT NULL REFERENCES message,
    user_key INTEGER NOT NULL REFERENCES account,
    conversation_key INTEGER NOT NULL,
    kind INTEGER NOT NULL CHECK (kind IN (0, 1, 2)),
    is_read INTEGER NOT NULL DEFAULT 0 CHECK (is_read IN (0, 1)),
    PRIMARY KEY (message_key, user_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX notification_by_user ON notification (user_key, is_read, message_key);
CREATE INDEX notification_by_conversation ON notification (user_key, conversation_key, is_read, message_key);

-- What happened, in order. No foreign keys: the log outlives what it tells of, and holds nothing but keys and ids.
CREATE TABLE event (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_id INTEGER NOT NULL DEFAULT 0, -- here the key alone is the order
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor_key INTEGER,        -- NULL: the operator
    operator TEXT,            -- the name of the operator's account on the machine
    conversation_key INTEGER, -- its participants hear of it
    user_key INTEGER,         -- this user hears of it too
    subject_id BLOB           -- the message, conversation or user it is about; NULL: several
) STRICT;

-- Who else hears of an event whose conversations are gone by the time it is told.
CREATE TABLE event_audience (
    event_key INTEGER NOT NULL REFERENCES event,
    user_key INTEGER NOT NULL REFERENCES account,
    PRIMARY KEY (event_key, user_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_audience_by_user ON event_audience (user_key, event_key);

CREATE TABLE idempotency (
    actor_key INTEGER NOT NULL, -- no foreign key: whoever registers is nobody yet
    key TEXT NOT NULL,
    request_hash BLOB NOT NULL, -- SHA-256
    result_id BLOB,             -- the row that resulted; NULL only inside the transaction that makes it
    created_at INTEGER NOT NULL,
    PRIMARY KEY (actor_key, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_time ON idempotency (created_at);

CREATE TABLE refresh_token (
    hash BLOB PRIMARY KEY NOT NULL, -- SHA-256 of the token
    user_key INTEGER NOT NULL REFERENCES account,
    family BLOB NOT NULL,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    successor_hash BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_token_by_user ON refresh_token (user_key);
CREATE INDEX refresh_token_by_family ON refresh_token (family);
CREATE INDEX refresh_token_by_expiry ON refresh_token (expires_at);
