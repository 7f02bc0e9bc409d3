-- Where a log-in comes from, and registrations that are repeated. Explained in migrations/sqlite.

ALTER TABLE refresh_token ADD COLUMN address_hash BYTEA;
DROP INDEX refresh_token_by_user;
CREATE INDEX refresh_token_by_user ON refresh_token (user_key, address_hash);

DELETE FROM idempotency WHERE actor_key = 0 OR result_id IN (SELECT id FROM account);

CREATE INDEX account_by_pbkdf2 ON account (length(password_hash), password_hash) WHERE substr(password_hash, 1, 6) = 'pbkdf2';
