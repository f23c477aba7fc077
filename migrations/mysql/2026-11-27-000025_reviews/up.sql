-- What experts thought of a task before they saw the raters' judgments, and what they decided. Kind, majority, due time and version of the
-- guideline are written down with the decision, because the task moves on.
CREATE TABLE expert_reviews (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    review_id VARCHAR(100) NOT NULL,
    task_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100),
    task_type VARCHAR(30) NOT NULL,
    expert_id VARCHAR(100) NOT NULL,
    kind VARCHAR(20) NOT NULL CHECK (kind IN ('escalated', 'disputed')),
    state VARCHAR(10) NOT NULL CHECK (state IN ('open', 'decided')),
    blind_choice VARCHAR(20) CHECK (blind_choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    blind_reasons JSON,
    blind_confidence DOUBLE CHECK (blind_confidence >= 0 AND blind_confidence <= 1),
    blind_at DATETIME(6),
    choice VARCHAR(20) CHECK (choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    error_class VARCHAR(30) CHECK (error_class IN ('rater_error', 'guideline_unclear', 'task_defective', 'genuinely_ambiguous', 'both_acceptable', 'check_wrong', 'no_error')),
    reasons JSON,
    rationale LONGTEXT,
    note_to_raters LONGTEXT,
    majority_choice VARCHAR(20) CHECK (majority_choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    changed_after_reveal BOOLEAN,
    rubric_version INTEGER,
    seconds DOUBLE,
    due_at DATETIME(6),
    opened_at DATETIME(6) NOT NULL,
    seen_at DATETIME(6),
    decided_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT expert_reviews_review_id_key UNIQUE (review_id),
    CONSTRAINT expert_reviews_task_id_expert_id_key UNIQUE (task_id, expert_id),
    CONSTRAINT expert_reviews_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX expert_reviews_state_decided_at_id_idx ON expert_reviews (state, decided_at, id);
CREATE INDEX expert_reviews_expert_id_state_idx ON expert_reviews (expert_id, state);
CREATE INDEX expert_reviews_tenant_id_idx ON expert_reviews (tenant_id);

-- When a task came to the experts, and until when one should have answered.
ALTER TABLE rating_tasks ADD COLUMN escalated_at DATETIME(6);
ALTER TABLE rating_tasks ADD COLUMN review_due_at DATETIME(6);
UPDATE rating_tasks SET escalated_at = updated_at, review_due_at = DATE_ADD(updated_at, INTERVAL 24 HOUR) WHERE status IN ('escalated', 'expert_review');
CREATE INDEX rating_tasks_status_review_due_at_id_idx ON rating_tasks (status, review_due_at, id);

-- When an expert's answer came back to the rater.
ALTER TABLE judgments ADD COLUMN answered_at DATETIME(6);
UPDATE judgments SET answered_at = updated_at WHERE expert_reviewed = TRUE;
CREATE INDEX judgments_rater_id_answered_at_id_idx ON judgments (rater_id, answered_at, id);

-- Items proposed by a decision (candidate), given out (active), or not any more (retired). `is_active` says the same as state = 'active'.
ALTER TABLE golden_set_items ADD COLUMN state VARCHAR(10) NOT NULL DEFAULT 'active' CHECK (state IN ('candidate', 'active', 'retired'));
ALTER TABLE golden_set_items ADD COLUMN retired_at DATETIME(6);
ALTER TABLE golden_set_items ADD COLUMN retire_reason VARCHAR(500);
ALTER TABLE golden_set_items ADD COLUMN max_exposures INTEGER;
UPDATE golden_set_items SET state = 'retired', retired_at = updated_at WHERE is_active = FALSE;
CREATE INDEX golden_set_items_state_id_idx ON golden_set_items (state, id);
