//! Tasks, assignments, judgments, consensus.

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Things to judge: two or three candidates for a prompt.
    rating_tasks (id) {
        id -> BigInt,
        task_id -> Text,
        tenant_id -> Nullable<Text>,
        task_type -> Text,
        status -> Text,
        retailer_id -> Nullable<Text>,
        adapter_id -> Nullable<Text>,
        title -> Text,
        prompt -> Text,
        context_snippets -> Document,
        candidate_a -> Document,
        candidate_b -> Document,
        candidate_c -> Nullable<Document>,
        auto_checks -> Document,
        rubric_checklist -> Document,
        reason_codes -> Document,
        is_golden -> Bool,
        golden_choice -> Nullable<Text>,
        golden_reasons -> Nullable<Document>,
        priority -> Integer,
        uncertainty_score -> Nullable<Double>,
        required_judgments -> Integer,
        judgments_count -> Integer,
        source -> Nullable<Text>,
        content_hash -> Text,
        assigned_at -> Nullable<Instant>,
        completed_at -> Nullable<Instant>,
        escalated_at -> Nullable<Instant>,
        review_due_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Who holds which task until when, in which blind order.
    task_assignments (id) {
        id -> BigInt,
        assignment_id -> Text,
        task_id -> Text,
        rater_id -> Text,
        state -> Text,
        purpose -> Text,
        display_order -> Document,
        leased_at -> Instant,
        expires_at -> Instant,
        heartbeat_at -> Instant,
        draft -> Nullable<Document>,
        warned_at -> Nullable<Instant>,
        skip_reason -> Nullable<Text>,
        finished_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        stands_for -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// What raters decided; choices are in the stored order, not the shown one.
    judgments (id) {
        id -> BigInt,
        judgment_id -> Text,
        assignment_id -> Text,
        task_id -> Text,
        rater_id -> Text,
        choice -> Text,
        display_order -> Document,
        reasons -> Document,
        free_text_feedback -> Nullable<Text>,
        confidence -> Double,
        rubric_scores -> Document,
        time_spent_seconds -> Double,
        active_ms -> Nullable<BigInt>,
        is_escalated -> Bool,
        escalation_reason -> Nullable<Text>,
        matches_golden -> Nullable<Bool>,
        expert_reviewed -> Bool,
        expert_agrees -> Nullable<Bool>,
        expert_feedback -> Nullable<Text>,
        answered_at -> Nullable<Instant>,
        rubric_version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
        voided_at -> Nullable<Instant>,
        voided_by_action -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Tasks whose answer an expert wrote down.
    golden_set_items (id) {
        id -> BigInt,
        task_id -> Text,
        expert_id -> Text,
        expert_choice -> Text,
        expert_reasons -> Document,
        expert_rationale -> Text,
        times_used -> Integer,
        rater_correct -> Integer,
        rater_accuracy_rate -> Nullable<Double>,
        difficulty_level -> Text,
        edge_case_type -> Nullable<Text>,
        is_active -> Bool,
        state -> Text,
        retired_at -> Nullable<Instant>,
        retire_reason -> Nullable<Text>,
        max_exposures -> Nullable<Integer>,
        created_at -> Instant,
        updated_at -> Instant,
        questions_seen_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// What the judgments of a task say together, and by which method.
    task_consensus (id) {
        id -> BigInt,
        task_id -> Text,
        choice -> Nullable<Text>,
        posterior -> Nullable<Double>,
        posteriors -> Document,
        method -> Text,
        judgments_count -> Integer,
        agreement -> Nullable<Double>,
        is_final -> Bool,
        decided_by -> Nullable<Text>,
        rationale -> Nullable<Text>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// Tasks that wait for judgments, in the order in which they are given out; gone when decided.
    task_queue (id) {
        id -> BigInt,
        task_id -> Text,
        task_type -> Text,
        retailer_id -> Nullable<Text>,
        priority -> Integer,
        uncertainty_score -> Nullable<Double>,
        leading_posterior -> Nullable<Double>,
        judgments -> Integer,
        required -> Integer,
        max_judgments -> Integer,
        open_leases -> Integer,
        position -> Double,
        is_open -> Bool,
        created_at -> Instant,
        updated_at -> Instant,
        selection -> Double,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// What the RLHF backend would have judged next, and how each task was chosen.
    task_selections (id) {
        id -> BigInt,
        task_id -> Text,
        task_type -> Text,
        round_id -> Text,
        model_id -> Text,
        arm -> Text,
        worth -> Double,
        information -> Double,
        uncertainty -> Double,
        is_applied -> Bool,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// The sequential test of a rater for a task type.
    rater_qualifications (id) {
        id -> BigInt,
        rater_id -> Text,
        task_type -> Text,
        state -> Text,
        correct -> Integer,
        total -> Integer,
        attempt -> Integer,
        drift -> Double,
        reason -> Nullable<Text>,
        decided_at -> Nullable<Instant>,
        retry_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// What was done about a rater whose judgments look dishonest, why, and whether it was taken back.
    rater_actions (id) {
        id -> BigInt,
        action_id -> Text,
        rater_id -> Text,
        kind -> Text,
        signals -> Document,
        reason -> Text,
        actor -> Text,
        voided_judgments -> Integer,
        created_at -> Instant,
        finished_at -> Nullable<Instant>,
        reversed_at -> Nullable<Instant>,
        reversed_by -> Nullable<Text>,
        reverse_reason -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Where a rater stands: the step that holds, and what the last look at the judgments found.
    rater_standings (id) {
        id -> BigInt,
        rater_id -> Text,
        rung -> Text,
        since -> Nullable<Instant>,
        looks -> Integer,
        looked_judgments -> Integer,
        signals -> Document,
        attention -> Double,
        looked_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// What experts thought before and after they saw the raters' judgments.
    expert_reviews (id) {
        id -> BigInt,
        review_id -> Text,
        task_id -> Text,
        tenant_id -> Nullable<Text>,
        task_type -> Text,
        expert_id -> Text,
        kind -> Text,
        state -> Text,
        blind_choice -> Nullable<Text>,
        blind_reasons -> Nullable<Document>,
        blind_confidence -> Nullable<Double>,
        blind_at -> Nullable<Instant>,
        choice -> Nullable<Text>,
        error_class -> Nullable<Text>,
        reasons -> Nullable<Document>,
        rationale -> Nullable<Text>,
        note_to_raters -> Nullable<Text>,
        majority_choice -> Nullable<Text>,
        changed_after_reveal -> Nullable<Bool>,
        rubric_version -> Nullable<Integer>,
        seconds -> Nullable<Double>,
        due_at -> Nullable<Instant>,
        opened_at -> Instant,
        seen_at -> Nullable<Instant>,
        decided_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}
