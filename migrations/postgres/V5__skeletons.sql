-- Paired with migrations/sqlite, where the columns are explained.

ALTER TABLE account ADD COLUMN skeleton TEXT COLLATE "C";
CREATE INDEX account_by_skeleton ON account (skeleton);

ALTER TABLE maintenance DROP CONSTRAINT maintenance_task_check;
ALTER TABLE maintenance ADD CONSTRAINT maintenance_task_check CHECK (task IN (0, 1, 2));
INSERT INTO maintenance (task, since, position) SELECT 2, max(created_at), 0 FROM account HAVING count(*) > 0;
