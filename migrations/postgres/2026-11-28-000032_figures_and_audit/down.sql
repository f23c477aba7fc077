DROP TABLE audit_chain;
DROP TABLE audit_log;
DROP INDEX feedback_session_id_idx;
DROP TABLE feedback_tasks;
DROP TABLE feedback_rules;
DROP INDEX jobs_slot_key;
ALTER TABLE jobs DROP COLUMN slot;
ALTER TABLE rlhf_metrics DROP COLUMN revenue_currency;
ALTER TABLE rlhf_metrics DROP COLUMN cost_currency;
