ALTER TABLE task_assignments DROP COLUMN stands_for;
