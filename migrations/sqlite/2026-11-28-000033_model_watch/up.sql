-- A model in the shadow of the active one: it predicts what people will decide and is asked by nobody. At most one a slot. A model remembers
-- the one it took over from, so that it can be rolled back, and when it was found to predict worse than its card says.
ALTER TABLE reward_models ADD COLUMN shadow_slot TEXT;
ALTER TABLE reward_models ADD COLUMN shadow_since TEXT;
ALTER TABLE reward_models ADD COLUMN former_model_id TEXT;
ALTER TABLE reward_models ADD COLUMN drift_found_at TEXT;
CREATE UNIQUE INDEX reward_models_shadow_slot_key ON reward_models (shadow_slot);
UPDATE reward_models SET former_model_id = parent_model_id WHERE is_active;

-- What active and shadow models said of tasks that people decided later, beside what people said. A row is a pair of candidates.
CREATE TABLE model_predictions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    pair INTEGER NOT NULL,
    retailer_id TEXT,
    prompt_key TEXT NOT NULL,
    difference DOUBLE NOT NULL,
    predicted_a DOUBLE NOT NULL,
    predicted_tie DOUBLE NOT NULL,
    predicted_b DOUBLE NOT NULL,
    said_a DOUBLE NOT NULL,
    said_tie DOUBLE NOT NULL,
    said_b DOUBLE NOT NULL,
    longer DOUBLE NOT NULL,
    decided_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT model_predictions_model_id_task_id_pair_key UNIQUE (model_id, task_id, pair),
    CONSTRAINT model_predictions_model_id_fkey FOREIGN KEY (model_id) REFERENCES reward_models (model_id),
    CONSTRAINT model_predictions_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id)
);
CREATE INDEX model_predictions_task_id_idx ON model_predictions (task_id);
CREATE INDEX model_predictions_model_id_decided_at_id_idx ON model_predictions (model_id, decided_at, id);
