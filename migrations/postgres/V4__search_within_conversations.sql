-- Search reads nothing of conversations that the searcher may not see. Paired with migrations/sqlite, where the columns are
-- explained.

DROP VIEW searchable;
TRUNCATE message_search;
DROP INDEX message_search_by_words;
-- Two columns: one text of 65,536 bytes can have so many words that both lists together exceed what a TSVECTOR holds.
ALTER TABLE message_search ADD COLUMN conversation_words TSVECTOR NOT NULL;
-- Without a list of pending entries, which each search would have to read through.
CREATE INDEX message_search_by_conversation_words ON message_search USING gin (conversation_words) WITH (fastupdate = off);
-- With one, of 256 KiB: only those who see everything read through it, and it makes up for the work of keeping both.
CREATE INDEX message_search_by_words ON message_search USING gin (words)
    WITH (fastupdate = on, gin_pending_list_limit = 256);

INSERT INTO maintenance (task, since, position) SELECT 0, max(sent_at), 0 FROM message HAVING count(*) > 0
    ON CONFLICT (task) DO UPDATE SET position = 0;
