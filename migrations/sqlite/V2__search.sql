-- Search, and work that goes on after a commit.

PRAGMA user_version = 2; -- the number of this migration: what opening an up-to-date file reads

-- The words of each message, as the program folds them, and its sender. Its rowid is the message's place: the key of the
-- conversation times 2^32, plus the number. So a conversation is one range, and a search looks at none but one's own.
-- Contentless: an entry is deleted and replaced without its old content. Words alone, not where they stand: half the size.
CREATE VIRTUAL TABLE message_search USING fts5 (
    words, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);

-- What is pending: at most one row a task.
CREATE TABLE maintenance (
    task INTEGER PRIMARY KEY CHECK (task IN (0, 1)),
    since INTEGER NOT NULL,   -- when it became necessary
    position INTEGER NOT NULL -- how far it is; what that means is the task's affair
) STRICT;

-- Messages from before there was search have to be indexed by the program, which folds their words.
INSERT INTO maintenance (task, since, position) SELECT 0, max(sent_at), 0 FROM message HAVING count(*) > 0;
