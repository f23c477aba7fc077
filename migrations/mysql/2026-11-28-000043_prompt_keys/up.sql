-- A number that stands for the prompt, kept with an index: exports find prompts that come up more than once without reading the texts.
ALTER TABLE rating_tasks ADD COLUMN prompt_key BIGINT GENERATED ALWAYS AS (CRC32(prompt)) VIRTUAL;
ALTER TABLE feedback ADD COLUMN prompt_key BIGINT GENERATED ALWAYS AS (CRC32(prompt)) VIRTUAL;
CREATE INDEX rating_tasks_tenant_id_prompt_key_idx ON rating_tasks (tenant_id, prompt_key);
CREATE INDEX feedback_tenant_id_prompt_key_idx ON feedback (tenant_id, prompt_key);
-- The new index begins with the same column.
DROP INDEX rating_tasks_tenant_id_idx ON rating_tasks;
