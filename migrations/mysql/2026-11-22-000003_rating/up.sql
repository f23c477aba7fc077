-- Things to judge: two or three candidates for a prompt.
CREATE TABLE rating_tasks (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    task_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100),
    task_type VARCHAR(30) NOT NULL CHECK (task_type IN ('tool_call_qa', 'schema_mapping', 'policy_compliance', 'plan_quality', 'tagging_normalization', 'edge_case_red_team')),
    status VARCHAR(20) NOT NULL CHECK (status IN ('pending', 'in_progress', 'completed', 'escalated', 'expert_review', 'validated')),
    retailer_id VARCHAR(100),
    adapter_id VARCHAR(100),
    title VARCHAR(300) NOT NULL,
    prompt LONGTEXT NOT NULL,
    context_snippets JSON NOT NULL,
    candidate_a JSON NOT NULL,
    candidate_b JSON NOT NULL,
    candidate_c JSON,
    auto_checks JSON NOT NULL,
    rubric_checklist JSON NOT NULL,
    reason_codes JSON NOT NULL,
    is_golden BOOLEAN NOT NULL,
    golden_choice VARCHAR(20) CHECK (golden_choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    golden_reasons JSON,
    priority INTEGER NOT NULL,
    uncertainty_score DOUBLE,
    required_judgments INTEGER NOT NULL,
    judgments_count INTEGER NOT NULL DEFAULT 0,
    source VARCHAR(100),
    content_hash VARCHAR(64) NOT NULL,
    assigned_at DATETIME(6),
    completed_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT rating_tasks_task_id_key UNIQUE (task_id),
    CONSTRAINT rating_tasks_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX rating_tasks_tenant_id_idx ON rating_tasks (tenant_id);
CREATE INDEX rating_tasks_retailer_id_idx ON rating_tasks (retailer_id);
CREATE INDEX rating_tasks_source_idx ON rating_tasks (source);
CREATE INDEX rating_tasks_status_is_golden_priority_id_idx ON rating_tasks (status, is_golden, priority, id);
CREATE INDEX rating_tasks_task_type_status_id_idx ON rating_tasks (task_type, status, id);

-- Who holds which task until when, in which blind order.
CREATE TABLE task_assignments (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    assignment_id VARCHAR(100) NOT NULL,
    task_id VARCHAR(100) NOT NULL,
    rater_id VARCHAR(100) NOT NULL,
    state VARCHAR(20) NOT NULL CHECK (state IN ('leased', 'submitted', 'released', 'skipped', 'expired')),
    purpose VARCHAR(20) NOT NULL CHECK (purpose IN ('work', 'calibration', 'golden')),
    display_order JSON NOT NULL,
    leased_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    heartbeat_at DATETIME(6) NOT NULL,
    draft JSON,
    skip_reason VARCHAR(500),
    finished_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT task_assignments_assignment_id_key UNIQUE (assignment_id),
    CONSTRAINT task_assignments_task_id_rater_id_key UNIQUE (task_id, rater_id),
    CONSTRAINT task_assignments_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id),
    CONSTRAINT task_assignments_rater_id_fkey FOREIGN KEY (rater_id) REFERENCES rater_profiles (rater_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX task_assignments_state_expires_at_idx ON task_assignments (state, expires_at);
CREATE INDEX task_assignments_rater_id_state_idx ON task_assignments (rater_id, state);

-- What raters decided; choices are in the stored order, not the shown one.
CREATE TABLE judgments (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    judgment_id VARCHAR(100) NOT NULL,
    assignment_id VARCHAR(100) NOT NULL,
    task_id VARCHAR(100) NOT NULL,
    rater_id VARCHAR(100) NOT NULL,
    choice VARCHAR(20) NOT NULL CHECK (choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    display_order JSON NOT NULL,
    reasons JSON NOT NULL,
    free_text_feedback LONGTEXT,
    confidence DOUBLE NOT NULL,
    rubric_scores JSON NOT NULL,
    time_spent_seconds DOUBLE NOT NULL,
    active_ms BIGINT,
    is_escalated BOOLEAN NOT NULL,
    escalation_reason LONGTEXT,
    matches_golden BOOLEAN,
    expert_reviewed BOOLEAN NOT NULL,
    expert_agrees BOOLEAN,
    expert_feedback LONGTEXT,
    rubric_version INTEGER NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT judgments_judgment_id_key UNIQUE (judgment_id),
    CONSTRAINT judgments_assignment_id_key UNIQUE (assignment_id),
    CONSTRAINT judgments_task_id_rater_id_key UNIQUE (task_id, rater_id),
    CONSTRAINT judgments_assignment_id_fkey FOREIGN KEY (assignment_id) REFERENCES task_assignments (assignment_id),
    CONSTRAINT judgments_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id),
    CONSTRAINT judgments_rater_id_fkey FOREIGN KEY (rater_id) REFERENCES rater_profiles (rater_id),
    CHECK (confidence >= 0 AND confidence <= 1)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX judgments_rater_id_created_at_idx ON judgments (rater_id, created_at);
CREATE INDEX judgments_created_at_idx ON judgments (created_at);

-- Tasks whose answer an expert wrote down.
CREATE TABLE golden_set_items (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    task_id VARCHAR(100) NOT NULL,
    expert_id VARCHAR(100) NOT NULL,
    expert_choice VARCHAR(20) NOT NULL CHECK (expert_choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    expert_reasons JSON NOT NULL,
    expert_rationale LONGTEXT NOT NULL,
    times_used INTEGER NOT NULL DEFAULT 0,
    rater_correct INTEGER NOT NULL DEFAULT 0,
    rater_accuracy_rate DOUBLE,
    difficulty_level VARCHAR(10) NOT NULL CHECK (difficulty_level IN ('easy', 'medium', 'hard')),
    edge_case_type VARCHAR(100),
    is_active BOOLEAN NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT golden_set_items_task_id_key UNIQUE (task_id),
    CONSTRAINT golden_set_items_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What the judgments of a task say together, and by which method.
CREATE TABLE task_consensus (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    task_id VARCHAR(100) NOT NULL,
    choice VARCHAR(20) CHECK (choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'tie', 'both_bad', 'unsure')),
    posterior DOUBLE,
    posteriors JSON NOT NULL,
    method VARCHAR(30) NOT NULL,
    judgments_count INTEGER NOT NULL,
    agreement DOUBLE,
    is_final BOOLEAN NOT NULL,
    decided_by VARCHAR(100),
    rationale LONGTEXT,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT task_consensus_task_id_key UNIQUE (task_id),
    CONSTRAINT task_consensus_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
