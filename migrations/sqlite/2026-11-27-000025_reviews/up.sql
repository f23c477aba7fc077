-- What experts thought of a task before they saw the raters' judgments, and what they decided. Kind, majority, due time and version of the
-- guideline are written down with the decision, because the task moves on.
CREATE TABLE expert_reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    review_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    tenant_id TEXT,
    task_type TEXT NOT NULL,
    expert_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('escalated', 'disputed')),
    state TEXT NOT NULL CHECK (state IN ('open', 'decided')),
    blind_choice TEXT CHECK (blind_choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    blind_reasons TEXT CHECK (blind_reasons IS NULL OR json_valid(blind_reasons)),
    blind_confidence DOUBLE CHECK (blind_confidence >= 0 AND blind_confidence <= 1),
    blind_at TEXT,
    choice TEXT CHECK (choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    error_class TEXT CHECK (error_class IN ('rater_error', 'guideline_unclear', 'task_defective', 'genuinely_ambiguous', 'both_acceptable', 'check_wrong', 'no_error')),
    reasons TEXT CHECK (reasons IS NULL OR json_valid(reasons)),
    rationale TEXT,
    note_to_raters TEXT,
    majority_choice TEXT CHECK (majority_choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    changed_after_reveal BOOLEAN,
    rubric_version INTEGER,
    seconds DOUBLE,
    due_at TEXT,
    opened_at TEXT NOT NULL,
    seen_at TEXT,
    decided_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT expert_reviews_review_id_key UNIQUE (review_id),
    CONSTRAINT expert_reviews_task_id_expert_id_key UNIQUE (task_id, expert_id),
    CONSTRAINT expert_reviews_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id)
);
CREATE INDEX expert_reviews_state_decided_at_id_idx ON expert_reviews (state, decided_at, id);
CREATE INDEX expert_reviews_expert_id_state_idx ON expert_reviews (expert_id, state);
CREATE INDEX expert_reviews_tenant_id_idx ON expert_reviews (tenant_id);

-- When a task came to the experts, and until when one should have answered.
ALTER TABLE rating_tasks ADD COLUMN escalated_at TEXT;
ALTER TABLE rating_tasks ADD COLUMN review_due_at TEXT;
UPDATE rating_tasks SET escalated_at = updated_at, review_due_at = strftime('%Y-%m-%dT%H:%M:%S.000000Z', updated_at, '+24 hours') WHERE status IN ('escalated', 'expert_review');
CREATE INDEX rating_tasks_status_review_due_at_id_idx ON rating_tasks (status, review_due_at, id);

-- When an expert's answer came back to the rater.
ALTER TABLE judgments ADD COLUMN answered_at TEXT;
UPDATE judgments SET answered_at = updated_at WHERE expert_reviewed = 1;
CREATE INDEX judgments_rater_id_answered_at_id_idx ON judgments (rater_id, answered_at, id) WHERE answered_at IS NOT NULL;

-- Items proposed by a decision (candidate), given out (active), or not any more (retired). `is_active` says the same as state = 'active'.
ALTER TABLE golden_set_items ADD COLUMN state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('candidate', 'active', 'retired'));
ALTER TABLE golden_set_items ADD COLUMN retired_at TEXT;
ALTER TABLE golden_set_items ADD COLUMN retire_reason TEXT;
ALTER TABLE golden_set_items ADD COLUMN max_exposures INTEGER;
UPDATE golden_set_items SET state = 'retired', retired_at = updated_at WHERE is_active = 0;
CREATE INDEX golden_set_items_state_id_idx ON golden_set_items (state, id);
