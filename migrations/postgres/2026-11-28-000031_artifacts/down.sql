DROP INDEX rating_tasks_adapter_id_idx;
DROP TABLE adapter_versions;
DROP TABLE artifacts;
