DROP TABLE model_predictions;
DROP INDEX reward_models_shadow_slot_key;
ALTER TABLE reward_models DROP COLUMN shadow_slot;
ALTER TABLE reward_models DROP COLUMN shadow_since;
ALTER TABLE reward_models DROP COLUMN former_model_id;
ALTER TABLE reward_models DROP COLUMN drift_found_at;
