-- How the RLHF backend last saw a task that nobody had judged: whether it was chosen to be judged next (for what the model would learn from
-- it, or drawn at random), and what it is worth to ask it now. The row stays as it is from the first judgment on, so that what choosing
-- brings can be measured.
CREATE TABLE task_selections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL,
    task_type TEXT NOT NULL,
    round_id TEXT NOT NULL,
    model_id TEXT NOT NULL,
    arm TEXT NOT NULL CHECK (arm IN ('informative', 'random', 'none')),
    worth DOUBLE NOT NULL CHECK (worth >= 0 AND worth <= 1),
    information DOUBLE NOT NULL,
    uncertainty DOUBLE NOT NULL CHECK (uncertainty >= 0 AND uncertainty <= 1),
    is_applied BOOLEAN NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT task_selections_task_id_key UNIQUE (task_id),
    CONSTRAINT task_selections_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id)
);
-- For the rater app, which brings the queue in order by it; for the next to be judged and for the measure of each arm.
CREATE INDEX task_selections_is_applied_id_idx ON task_selections (is_applied, id);
CREATE INDEX task_selections_task_type_arm_worth_id_idx ON task_selections (task_type, arm, worth, id);

-- What it is worth to ask a waiting task now, 0 to 1; 0 for tasks that were not chosen.
ALTER TABLE task_queue ADD COLUMN selection DOUBLE NOT NULL DEFAULT 0;
