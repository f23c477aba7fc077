DROP TABLE task_consensus;
DROP TABLE golden_set_items;
DROP TABLE judgments;
DROP TABLE task_assignments;
DROP TABLE rating_tasks;
