-- What was done about a rater whose judgments look dishonest, why, and whether it was taken back.
CREATE TABLE rater_actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    action_id TEXT NOT NULL,
    rater_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('warn', 'more_gold', 'pause', 'void', 'lift')),
    signals TEXT NOT NULL CHECK (json_valid(signals)),
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    voided_judgments INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    finished_at TEXT,
    reversed_at TEXT,
    reversed_by TEXT,
    reverse_reason TEXT,
    CONSTRAINT rater_actions_action_id_key UNIQUE (action_id),
    CONSTRAINT rater_actions_rater_id_fkey FOREIGN KEY (rater_id) REFERENCES rater_profiles (rater_id)
);
CREATE INDEX rater_actions_rater_id_id_idx ON rater_actions (rater_id, id);
CREATE INDEX rater_actions_finished_at_idx ON rater_actions (finished_at);

-- Where a rater stands: the step that holds, and what the last look at the judgments found.
CREATE TABLE rater_standings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rater_id TEXT NOT NULL,
    rung TEXT NOT NULL CHECK (rung IN ('none', 'warn', 'more_gold', 'pause', 'void')),
    since TEXT,
    looks INTEGER NOT NULL,
    looked_judgments INTEGER NOT NULL,
    signals TEXT NOT NULL CHECK (json_valid(signals)),
    attention DOUBLE NOT NULL,
    looked_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT rater_standings_rater_id_key UNIQUE (rater_id),
    CONSTRAINT rater_standings_rater_id_fkey FOREIGN KEY (rater_id) REFERENCES rater_profiles (rater_id)
);
CREATE INDEX rater_standings_rung_since_idx ON rater_standings (rung, since);
CREATE INDEX rater_standings_attention_id_idx ON rater_standings (attention, id);

-- How much more often golden items come than usual, and why the rater gets no work.
ALTER TABLE rater_profiles ADD COLUMN golden_rate_factor DOUBLE NOT NULL DEFAULT 1;
ALTER TABLE rater_profiles ADD COLUMN paused_reason TEXT;
-- A voided judgment stays, and counts nowhere.
ALTER TABLE judgments ADD COLUMN voided_at TEXT;
ALTER TABLE judgments ADD COLUMN voided_by_action TEXT;
CREATE INDEX judgments_voided_by_action_id_idx ON judgments (voided_by_action, id);
