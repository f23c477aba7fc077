-- When a model was first put to work: unlike deployed_at, a later roll back does not change it, so that figures of past days stay.
ALTER TABLE reward_models ADD COLUMN first_deployed_at TIMESTAMPTZ;
UPDATE reward_models SET first_deployed_at = deployed_at;
