-- Where a log-in comes from, and registrations that are repeated.

PRAGMA user_version = 6; -- the number of this migration: what opening an up-to-date file reads

-- From where a refresh token was asked for: a keyed hash of the address and the account; NULL: not over the network. Who is logged
-- in to an account at an address is not kept out of it by strangers who fail to log in from elsewhere.
ALTER TABLE refresh_token ADD COLUMN address_hash BLOB;
DROP INDEX refresh_token_by_user;
CREATE INDEX refresh_token_by_user ON refresh_token (user_key, address_hash);

-- Registrations were kept with a hash over the password.
DELETE FROM idempotency WHERE actor_key = 0 OR result_id IN (SELECT id FROM account);

-- The passwords that Django hashed, the slowest of them last: so much time a log-in takes that fails, whoever it names.
CREATE INDEX account_by_pbkdf2 ON account (length(password_hash), password_hash) WHERE substr(password_hash, 1, 6) = 'pbkdf2';
