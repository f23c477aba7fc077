DROP INDEX rating_tasks_adapter_id_idx ON rating_tasks;
DROP TABLE adapter_versions;
DROP TABLE artifacts;
