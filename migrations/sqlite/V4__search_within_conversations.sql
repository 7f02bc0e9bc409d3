-- Search reads nothing of conversations that the searcher may not see, whatever is searched for: the words of a conversation
-- lie together.

PRAGMA user_version = 4; -- the number of this migration: what opening an up-to-date file reads

DROP VIEW searchable;
DROP TABLE message_word;
DROP TABLE message_search;

-- The words of each message, as the program folds them, and its sender: as they are, for those who see everything, and each
-- behind its conversation, `_12_word`. The rowid is the message's key. Contentless: an entry is deleted and replaced without
-- its old content. Words alone, not where they stand: half the size.
CREATE VIRTUAL TABLE message_search USING fts5 (
    words, conversation_words, content = '', contentless_delete = 1, detail = none, tokenize = "ascii tokenchars '_'"
);

-- All messages have to be indexed anew by the program.
INSERT INTO maintenance (task, since, position) SELECT 0, max(sent_at), 0 FROM message HAVING count(*) > 0
    ON CONFLICT (task) DO UPDATE SET position = 0;
