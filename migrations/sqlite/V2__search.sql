-- Search, and work that goes on after a commit.

PRAGMA user_version = 2; -- the number of this migration: what opening an up-to-date file reads

-- The words of each message, as the program folds them, and its sender, each with the conversation it was said in: `word_12`.
-- So a search looks at none but one's own conversations, and an operator's looks for the beginning `word_`. The rowid is the
-- message's key. Contentless: an entry is deleted and replaced without its old content. Words alone, not where they stand:
-- half the size.
CREATE VIRTUAL TABLE message_search USING fts5 (
    words, content = '', contentless_delete = 1, detail = none, tokenize = "ascii tokenchars '_'"
);

-- The words there are, in order: what those that begin alike are found by.
CREATE VIRTUAL TABLE message_word USING fts5vocab (message_search, instance);

-- Which messages search knows, under the same name on both engines.
CREATE VIEW searchable AS SELECT id AS key FROM message_search_docsize;

-- What is pending: at most one row a task.
CREATE TABLE maintenance (
    task INTEGER PRIMARY KEY CHECK (task IN (0, 1)),
    since INTEGER NOT NULL,   -- when it became necessary
    position INTEGER NOT NULL -- how far it is; what that means is the task's affair
) STRICT;

-- Messages from before there was search have to be indexed by the program, which folds their words.
INSERT INTO maintenance (task, since, position) SELECT 0, max(sent_at), 0 FROM message HAVING count(*) > 0;

-- What was deleted is forgotten here too.
CREATE INDEX idempotency_by_result ON idempotency (result_id) WHERE result_id IS NOT NULL;
