-- Search, and work that goes on after a commit. Paired with migrations/sqlite, where the columns are explained.

CREATE TABLE message_search (
    message_key BIGINT PRIMARY KEY,
    words TSVECTOR NOT NULL
);
-- Without a list of pending entries, which each search would have to read through.
CREATE INDEX message_search_by_words ON message_search USING gin (words) WITH (fastupdate = off);

CREATE VIEW searchable AS SELECT message_key AS key FROM message_search;

CREATE TABLE maintenance (
    task BIGINT PRIMARY KEY CHECK (task IN (0, 1)),
    since BIGINT NOT NULL,
    position BIGINT NOT NULL
);

INSERT INTO maintenance (task, since, position) SELECT 0, max(sent_at), 0 FROM message HAVING count(*) > 0;

CREATE INDEX idempotency_by_result ON idempotency (result_id) WHERE result_id IS NOT NULL;
