-- Paired with migrations/sqlite, where it is explained.
CREATE TABLE session (
    hash BYTEA PRIMARY KEY,
    user_key BIGINT NOT NULL REFERENCES account,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    confirmed_at BIGINT NOT NULL,
    browser TEXT NOT NULL
);
CREATE INDEX session_by_user ON session (user_key, seen_at);
CREATE INDEX session_by_use ON session (seen_at);
CREATE TABLE password_link (
    user_key BIGINT PRIMARY KEY REFERENCES account,
    hash BYTEA NOT NULL UNIQUE,
    generation BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX password_link_by_expiry ON password_link (expires_at);
