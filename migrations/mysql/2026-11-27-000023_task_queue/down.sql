ALTER TABLE task_assignments DROP COLUMN warned_at;
ALTER TABLE rater_profiles DROP COLUMN shows_name;
ALTER TABLE rater_profiles DROP COLUMN is_exempt;
DROP TABLE rater_qualifications;
DROP INDEX rating_tasks_status_id_idx ON rating_tasks;
CREATE INDEX rating_tasks_status_is_golden_priority_id_idx ON rating_tasks (status, is_golden, priority, id);
DROP TABLE task_queue;
