CREATE INDEX rating_tasks_tenant_id_idx ON rating_tasks (tenant_id);
DROP INDEX rating_tasks_tenant_id_prompt_key_idx;
DROP INDEX feedback_tenant_id_prompt_key_idx;
ALTER TABLE rating_tasks DROP COLUMN prompt_key;
ALTER TABLE feedback DROP COLUMN prompt_key;
