-- What was done about a rater whose judgments look dishonest, why, and whether it was taken back.
CREATE TABLE rater_actions (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    action_id VARCHAR(100) NOT NULL,
    rater_id VARCHAR(100) NOT NULL,
    kind VARCHAR(20) NOT NULL CHECK (kind IN ('warn', 'more_gold', 'pause', 'void', 'lift')),
    signals JSON NOT NULL,
    reason LONGTEXT NOT NULL,
    actor VARCHAR(100) NOT NULL,
    voided_judgments INTEGER NOT NULL DEFAULT 0,
    created_at DATETIME(6) NOT NULL,
    finished_at DATETIME(6),
    reversed_at DATETIME(6),
    reversed_by VARCHAR(100),
    reverse_reason LONGTEXT,
    CONSTRAINT rater_actions_action_id_key UNIQUE (action_id),
    CONSTRAINT rater_actions_rater_id_fkey FOREIGN KEY (rater_id) REFERENCES rater_profiles (rater_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX rater_actions_rater_id_id_idx ON rater_actions (rater_id, id);
CREATE INDEX rater_actions_finished_at_idx ON rater_actions (finished_at);

-- Where a rater stands: the step that holds, and what the last look at the judgments found.
CREATE TABLE rater_standings (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    rater_id VARCHAR(100) NOT NULL,
    rung VARCHAR(20) NOT NULL CHECK (rung IN ('none', 'warn', 'more_gold', 'pause', 'void')),
    since DATETIME(6),
    looks INTEGER NOT NULL,
    looked_judgments INTEGER NOT NULL,
    signals JSON NOT NULL,
    attention DOUBLE NOT NULL,
    looked_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT rater_standings_rater_id_key UNIQUE (rater_id),
    CONSTRAINT rater_standings_rater_id_fkey FOREIGN KEY (rater_id) REFERENCES rater_profiles (rater_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX rater_standings_rung_since_idx ON rater_standings (rung, since);
CREATE INDEX rater_standings_attention_id_idx ON rater_standings (attention, id);

-- How much more often golden items come than usual, and why the rater gets no work.
ALTER TABLE rater_profiles ADD COLUMN golden_rate_factor DOUBLE NOT NULL DEFAULT 1;
ALTER TABLE rater_profiles ADD COLUMN paused_reason LONGTEXT;
-- A voided judgment stays, and counts nowhere.
ALTER TABLE judgments ADD COLUMN voided_at DATETIME(6);
ALTER TABLE judgments ADD COLUMN voided_by_action VARCHAR(100);
CREATE INDEX judgments_voided_by_action_id_idx ON judgments (voided_by_action, id);
