-- Paired with migrations/sqlite, where each page of an index that a message changes is written whole. Here that is not so, and
-- the foreign key to the account, which others may delete meanwhile, needs an index with the user first: nothing changes.
SELECT 1;
