-- Pages: who is logged in to them in which browser, and links by which a password is set.

PRAGMA user_version = 9; -- the number of this migration: what opening an up-to-date file reads

CREATE TABLE session (
    hash BLOB PRIMARY KEY NOT NULL, -- SHA-256 of what the browser holds
    user_key INTEGER NOT NULL REFERENCES account,
    generation INTEGER NOT NULL,    -- that of the account's tokens: what ends them ends sessions
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,       -- written only now and then
    confirmed_at INTEGER NOT NULL,  -- when the password was given last
    browser TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_user ON session (user_key, seen_at);
CREATE INDEX session_by_use ON session (seen_at);

-- The newest link of each account; used or not, it is known until it expires.
CREATE TABLE password_link (
    user_key INTEGER PRIMARY KEY REFERENCES account,
    hash BLOB NOT NULL UNIQUE,      -- SHA-256 of what is in the link
    generation INTEGER NOT NULL,    -- of another one than the account's: it was used, or what ends tokens ended it
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX password_link_by_expiry ON password_link (expires_at);
