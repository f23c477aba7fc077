-- Tasks that wait for judgments: narrow rows that change with each lease, beside the wide tasks that do not. A row goes when its task is
-- decided. Who changes it holds the lock of its task.
CREATE TABLE task_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL,
    task_type TEXT NOT NULL,
    retailer_id TEXT,
    priority INTEGER NOT NULL,
    uncertainty_score DOUBLE,
    leading_posterior DOUBLE,
    judgments INTEGER NOT NULL,
    required INTEGER NOT NULL,
    max_judgments INTEGER NOT NULL,
    open_leases INTEGER NOT NULL,
    position DOUBLE NOT NULL,
    is_open BOOLEAN NOT NULL GENERATED ALWAYS AS (judgments + open_leases < required) STORED,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT task_queue_task_id_key UNIQUE (task_id),
    CONSTRAINT task_queue_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id),
    CHECK (judgments >= 0 AND open_leases >= 0)
);
CREATE INDEX task_queue_is_open_position_id_idx ON task_queue (is_open, position, id);
CREATE INDEX task_queue_is_open_task_type_position_id_idx ON task_queue (is_open, task_type, position, id);
INSERT INTO task_queue (task_id, task_type, retailer_id, priority, uncertainty_score, judgments, required, max_judgments, open_leases, position, created_at, updated_at)
SELECT task_id, task_type, retailer_id, priority, uncertainty_score, judgments_count, required_judgments, required_judgments,
    (SELECT COUNT(*) FROM task_assignments held WHERE held.task_id = rating_tasks.task_id AND held.state = 'leased'),
    0.0 - priority / 100.0, created_at, updated_at
FROM rating_tasks WHERE NOT is_golden AND status IN ('pending', 'in_progress');
-- The order of a queue that is now its own.
DROP INDEX rating_tasks_status_is_golden_priority_id_idx;
CREATE INDEX rating_tasks_status_id_idx ON rating_tasks (status, id);

-- Whether a rater has passed the sequential test of a task type.
CREATE TABLE rater_qualifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rater_id TEXT NOT NULL,
    task_type TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'passed', 'failed')),
    correct INTEGER NOT NULL,
    total INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    drift DOUBLE NOT NULL,
    reason TEXT,
    decided_at TEXT,
    retry_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT rater_qualifications_rater_id_task_type_key UNIQUE (rater_id, task_type),
    CONSTRAINT rater_qualifications_rater_id_fkey FOREIGN KEY (rater_id) REFERENCES rater_profiles (rater_id)
);
-- Who needs no calibration: experts, and whoever was let in before tests were per task type. Names are shown only to those who want it.
ALTER TABLE rater_profiles ADD COLUMN is_exempt BOOLEAN NOT NULL DEFAULT 0;
ALTER TABLE rater_profiles ADD COLUMN shows_name BOOLEAN NOT NULL DEFAULT 0;
UPDATE rater_profiles SET is_exempt = is_calibrated;
-- When the holder was warned that a lease ends, and told that somebody else took the place.
ALTER TABLE task_assignments ADD COLUMN warned_at TEXT;
