-- Things to judge: two or three candidates for a prompt.
CREATE TABLE rating_tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL,
    tenant_id TEXT,
    task_type TEXT NOT NULL CHECK (task_type IN ('tool_call_qa', 'schema_mapping', 'policy_compliance', 'plan_quality', 'tagging_normalization', 'edge_case_red_team')),
    status TEXT NOT NULL CHECK (status IN ('pending', 'in_progress', 'completed', 'escalated', 'expert_review', 'validated')),
    retailer_id TEXT,
    adapter_id TEXT,
    title TEXT NOT NULL,
    prompt TEXT NOT NULL,
    context_snippets TEXT NOT NULL CHECK (json_valid(context_snippets)),
    candidate_a TEXT NOT NULL CHECK (json_valid(candidate_a)),
    candidate_b TEXT NOT NULL CHECK (json_valid(candidate_b)),
    candidate_c TEXT CHECK (candidate_c IS NULL OR json_valid(candidate_c)),
    auto_checks TEXT NOT NULL CHECK (json_valid(auto_checks)),
    rubric_checklist TEXT NOT NULL CHECK (json_valid(rubric_checklist)),
    reason_codes TEXT NOT NULL CHECK (json_valid(reason_codes)),
    is_golden BOOLEAN NOT NULL,
    golden_choice TEXT CHECK (golden_choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    golden_reasons TEXT CHECK (golden_reasons IS NULL OR json_valid(golden_reasons)),
    priority INTEGER NOT NULL,
    uncertainty_score DOUBLE,
    required_judgments INTEGER NOT NULL,
    judgments_count INTEGER NOT NULL DEFAULT 0,
    source TEXT,
    content_hash TEXT NOT NULL,
    assigned_at TEXT,
    completed_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT rating_tasks_task_id_key UNIQUE (task_id),
    CONSTRAINT rating_tasks_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id)
);
CREATE INDEX rating_tasks_tenant_id_idx ON rating_tasks (tenant_id);
CREATE INDEX rating_tasks_retailer_id_idx ON rating_tasks (retailer_id);
CREATE INDEX rating_tasks_source_idx ON rating_tasks (source);
CREATE INDEX rating_tasks_status_is_golden_priority_id_idx ON rating_tasks (status, is_golden, priority, id);
CREATE INDEX rating_tasks_task_type_status_id_idx ON rating_tasks (task_type, status, id);

-- Who holds which task until when, in which blind order.
CREATE TABLE task_assignments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    assignment_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    rater_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('leased', 'submitted', 'released', 'skipped', 'expired')),
    purpose TEXT NOT NULL CHECK (purpose IN ('work', 'calibration', 'golden')),
    display_order TEXT NOT NULL CHECK (json_valid(display_order)),
    leased_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL,
    draft TEXT CHECK (draft IS NULL OR json_valid(draft)),
    skip_reason TEXT,
    finished_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT task_assignments_assignment_id_key UNIQUE (assignment_id),
    CONSTRAINT task_assignments_task_id_rater_id_key UNIQUE (task_id, rater_id),
    CONSTRAINT task_assignments_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id),
    CONSTRAINT task_assignments_rater_id_fkey FOREIGN KEY (rater_id) REFERENCES rater_profiles (rater_id)
);
CREATE INDEX task_assignments_state_expires_at_idx ON task_assignments (state, expires_at);
CREATE INDEX task_assignments_rater_id_state_idx ON task_assignments (rater_id, state);

-- What raters decided; choices are in the stored order, not the shown one.
CREATE TABLE judgments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    judgment_id TEXT NOT NULL,
    assignment_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    rater_id TEXT NOT NULL,
    choice TEXT NOT NULL CHECK (choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    display_order TEXT NOT NULL CHECK (json_valid(display_order)),
    reasons TEXT NOT NULL CHECK (json_valid(reasons)),
    free_text_feedback TEXT,
    confidence DOUBLE NOT NULL,
    rubric_scores TEXT NOT NULL CHECK (json_valid(rubric_scores)),
    time_spent_seconds DOUBLE NOT NULL,
    active_ms BIGINT,
    is_escalated BOOLEAN NOT NULL,
    escalation_reason TEXT,
    matches_golden BOOLEAN,
    expert_reviewed BOOLEAN NOT NULL,
    expert_agrees BOOLEAN,
    expert_feedback TEXT,
    rubric_version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT judgments_judgment_id_key UNIQUE (judgment_id),
    CONSTRAINT judgments_assignment_id_key UNIQUE (assignment_id),
    CONSTRAINT judgments_task_id_rater_id_key UNIQUE (task_id, rater_id),
    CONSTRAINT judgments_assignment_id_fkey FOREIGN KEY (assignment_id) REFERENCES task_assignments (assignment_id),
    CONSTRAINT judgments_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id),
    CONSTRAINT judgments_rater_id_fkey FOREIGN KEY (rater_id) REFERENCES rater_profiles (rater_id),
    CHECK (confidence >= 0 AND confidence <= 1)
);
CREATE INDEX judgments_rater_id_created_at_idx ON judgments (rater_id, created_at);
CREATE INDEX judgments_created_at_idx ON judgments (created_at);

-- Tasks whose answer an expert wrote down.
CREATE TABLE golden_set_items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL,
    expert_id TEXT NOT NULL,
    expert_choice TEXT NOT NULL CHECK (expert_choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    expert_reasons TEXT NOT NULL CHECK (json_valid(expert_reasons)),
    expert_rationale TEXT NOT NULL,
    times_used INTEGER NOT NULL DEFAULT 0,
    rater_correct INTEGER NOT NULL DEFAULT 0,
    rater_accuracy_rate DOUBLE,
    difficulty_level TEXT NOT NULL CHECK (difficulty_level IN ('easy', 'medium', 'hard')),
    edge_case_type TEXT,
    is_active BOOLEAN NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT golden_set_items_task_id_key UNIQUE (task_id),
    CONSTRAINT golden_set_items_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id)
);

-- What the judgments of a task say together, and by which method.
CREATE TABLE task_consensus (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL,
    choice TEXT CHECK (choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    posterior DOUBLE,
    posteriors TEXT NOT NULL CHECK (json_valid(posteriors)),
    method TEXT NOT NULL,
    judgments_count INTEGER NOT NULL,
    agreement DOUBLE,
    is_final BOOLEAN NOT NULL,
    decided_by TEXT,
    rationale TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT task_consensus_task_id_key UNIQUE (task_id),
    CONSTRAINT task_consensus_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id)
);
