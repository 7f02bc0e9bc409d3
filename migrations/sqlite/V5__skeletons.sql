-- What a username looks like, so that nobody takes a name by themselves that can be taken for another's.

PRAGMA user_version = 5; -- the number of this migration: what opening an up-to-date file reads

-- Not unique: who is there already stays, and the operator may give such names. NULL until the program, which alone knows what
-- looks alike, has worked it out.
ALTER TABLE account ADD COLUMN skeleton TEXT;
CREATE INDEX account_by_skeleton ON account (skeleton);

-- One more task.
CREATE TABLE maintenance_with_skeletons (
    task INTEGER PRIMARY KEY CHECK (task IN (0, 1, 2)),
    since INTEGER NOT NULL,   -- when it became necessary
    position INTEGER NOT NULL -- how far it is; what that means is the task's affair
) STRICT;
INSERT INTO maintenance_with_skeletons SELECT task, since, position FROM maintenance;
DROP TABLE maintenance;
ALTER TABLE maintenance_with_skeletons RENAME TO maintenance;
INSERT INTO maintenance (task, since, position) SELECT 2, max(created_at), 0 FROM account HAVING count(*) > 0;
