ALTER TABLE task_queue DROP COLUMN selection;
DROP TABLE task_selections;
