-- The tables of the messaging core. Paired by name and number with migrations/sqlite, where the columns are explained.
-- Whole numbers are BIGINT, because the driver binds nothing narrower. Folded text is compared by its bytes, as SQLite does.

-- A list bound as one parameter, in the form SQLite has built in: SELECT value FROM json_each(CAST($1 AS TEXT)).
-- Not STRICT: a strict function is never inlined, and what is not inlined is taken to return a thousand rows.
CREATE FUNCTION json_each(list TEXT) RETURNS TABLE (value TEXT) LANGUAGE sql IMMUTABLE
    AS 'SELECT json_array_elements_text(list::json)';

CREATE TABLE account (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    username TEXT NOT NULL,
    username_folded TEXT COLLATE "C" NOT NULL UNIQUE,
    email TEXT,
    email_folded TEXT COLLATE "C" UNIQUE,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    names_folded TEXT COLLATE "C" NOT NULL,
    role BIGINT NOT NULL CHECK (role IN (0, 1)),
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    password_hash TEXT,
    token_generation BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL
);
CREATE INDEX account_admin ON account (role) WHERE role = 1;

CREATE TABLE conversation (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    kind BIGINT NOT NULL CHECK (kind IN (0, 1)),
    name TEXT,
    name_folded TEXT COLLATE "C" UNIQUE,
    title TEXT,
    names_folded TEXT COLLATE "C" NOT NULL,
    creator_key BIGINT REFERENCES account,
    lower_user_key BIGINT REFERENCES account,
    higher_user_key BIGINT REFERENCES account,
    created_at BIGINT NOT NULL,
    active_at BIGINT NOT NULL,
    last_number BIGINT NOT NULL DEFAULT 0,
    message_count BIGINT NOT NULL DEFAULT 0,
    CHECK ((kind = 0) = (lower_user_key IS NOT NULL AND higher_user_key IS NOT NULL)),
    CHECK (lower_user_key < higher_user_key)
);
CREATE UNIQUE INDEX conversation_pair ON conversation (lower_user_key, higher_user_key) WHERE lower_user_key IS NOT NULL;
CREATE INDEX conversation_by_higher_user ON conversation (higher_user_key) WHERE higher_user_key IS NOT NULL;
CREATE INDEX conversation_by_creator ON conversation (creator_key) WHERE creator_key IS NOT NULL;

CREATE TABLE participant (
    conversation_key BIGINT NOT NULL REFERENCES conversation,
    user_key BIGINT NOT NULL REFERENCES account,
    level BIGINT NOT NULL DEFAULT 0 CHECK (level IN (0, 1, 2)),
    PRIMARY KEY (conversation_key, user_key)
);
CREATE INDEX participant_by_user ON participant (user_key, conversation_key);

CREATE TABLE message (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    conversation_key BIGINT NOT NULL REFERENCES conversation,
    number BIGINT NOT NULL,
    sender_key BIGINT REFERENCES account,
    receiver_key BIGINT REFERENCES account,
    parent_key BIGINT REFERENCES message,
    content TEXT NOT NULL,
    sent_at BIGINT NOT NULL,
    revision BIGINT NOT NULL DEFAULT 1,
    key_name TEXT COLLATE "C",
    UNIQUE (conversation_key, number),
    CHECK ((sender_key IS NULL) = (content = ''))
);
CREATE INDEX message_by_time ON message (sent_at, key);
CREATE INDEX message_by_conversation ON message (conversation_key, sent_at, key);
CREATE INDEX message_by_sender ON message (sender_key, sent_at, key) WHERE sender_key IS NOT NULL;
CREATE INDEX message_by_receiver ON message (receiver_key, sent_at, key) WHERE receiver_key IS NOT NULL;
CREATE INDEX message_by_parent ON message (parent_key, sender_key) WHERE parent_key IS NOT NULL;
CREATE UNIQUE INDEX message_by_key_name ON message (key_name) WHERE key_name IS NOT NULL;

CREATE TABLE revision (
    message_key BIGINT NOT NULL REFERENCES message,
    revision BIGINT NOT NULL,
    content TEXT NOT NULL,
    edited_at BIGINT NOT NULL,
    editor_key BIGINT REFERENCES account,
    by_operator BOOLEAN NOT NULL,
    reason TEXT,
    PRIMARY KEY (message_key, revision)
);
CREATE INDEX revision_by_editor ON revision (editor_key) WHERE editor_key IS NOT NULL;

CREATE TABLE notification (
    message_key BIGINT NOT NULL REFERENCES message,
    user_key BIGINT NOT NULL REFERENCES account,
    conversation_key BIGINT NOT NULL,
    kind BIGINT NOT NULL CHECK (kind IN (0, 1, 2)),
    is_read BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (message_key, user_key)
);
CREATE INDEX notification_by_user ON notification (user_key, is_read, message_key);
CREATE INDEX notification_by_conversation ON notification (user_key, conversation_key, is_read, message_key);

-- Keys are given out before they are committed, so the order of events, and a cursor in them, is (transaction_id, key).
CREATE TABLE event (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id BIGINT NOT NULL DEFAULT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT),
    kind BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor_key BIGINT,
    operator TEXT,
    conversation_key BIGINT,
    user_key BIGINT,
    subject_id UUID
);
CREATE INDEX event_by_transaction ON event (transaction_id, key);

CREATE TABLE event_audience (
    event_key BIGINT NOT NULL REFERENCES event,
    user_key BIGINT NOT NULL REFERENCES account,
    PRIMARY KEY (event_key, user_key)
);
CREATE INDEX event_audience_by_user ON event_audience (user_key, event_key);

CREATE TABLE idempotency (
    actor_key BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    request_hash BYTEA NOT NULL,
    result_id UUID,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (actor_key, key)
);
CREATE INDEX idempotency_by_time ON idempotency (created_at);

CREATE TABLE refresh_token (
    hash BYTEA PRIMARY KEY,
    user_key BIGINT NOT NULL REFERENCES account,
    family UUID NOT NULL,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    successor_hash BYTEA
);
CREATE INDEX refresh_token_by_user ON refresh_token (user_key);
CREATE INDEX refresh_token_by_family ON refresh_token (family);
CREATE INDEX refresh_token_by_expiry ON refresh_token (expires_at);
