ALTER TABLE reward_models DROP COLUMN first_deployed_at;
