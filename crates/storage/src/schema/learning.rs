//! Feedback, reward models, jobs, key figures, artifacts and the adapters among them.

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// What users of model outputs said about them.
    feedback (id) {
        id -> BigInt,
        feedback_id -> Text,
        tenant_id -> Text,
        brand_id -> Nullable<Text>,
        user_id -> Text,
        task_type -> Text,
        prompt -> Text,
        model_output -> Text,
        feedback_type -> Text,
        rating -> Nullable<Integer>,
        preferred_output -> Nullable<Text>,
        rejected_output -> Nullable<Text>,
        metadata -> Document,
        session_id -> Nullable<Text>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    /// Feedback counted as it comes in, by day and for ever.
    feedback_counters (id) {
        id -> BigInt,
        tenant_id -> Text,
        brand_id -> Text,
        task_type -> Text,
        feedback_type -> Text,
        day -> Date,
        n -> Integer,
        stars -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Trained reward models; active_slot is unique so that one is active per task type and retailer.
    reward_models (id) {
        id -> BigInt,
        model_id -> Text,
        base_model -> Text,
        retailer_id -> Nullable<Text>,
        task_type -> Text,
        training_judgments_count -> Integer,
        training_feedback_count -> Integer,
        training_pairs_count -> Integer,
        training_date -> Instant,
        model_path -> Text,
        config -> Document,
        metrics -> Document,
        parameters -> Document,
        validation_accuracy -> Nullable<Double>,
        inter_rater_agreement -> Nullable<Double>,
        auto_check_correlation -> Nullable<Double>,
        is_active -> Bool,
        active_slot -> Nullable<Text>,
        deployed_at -> Nullable<Instant>,
        version -> Integer,
        parent_model_id -> Nullable<Text>,
        dataset_hash -> Text,
        seed -> BigInt,
        created_at -> Instant,
        updated_at -> Instant,
        shadow_slot -> Nullable<Text>,
        shadow_since -> Nullable<Instant>,
        former_model_id -> Nullable<Text>,
        drift_found_at -> Nullable<Instant>,
        first_deployed_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// What models said of tasks that people decided later.
    model_predictions (id) {
        id -> BigInt,
        model_id -> Text,
        task_id -> Text,
        pair -> Integer,
        retailer_id -> Nullable<Text>,
        prompt_key -> Text,
        difference -> Double,
        predicted_a -> Double,
        predicted_tie -> Double,
        predicted_b -> Double,
        said_a -> Double,
        said_tie -> Double,
        said_b -> Double,
        longer -> Double,
        decided_at -> Instant,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Work done in the background, with progress.
    jobs (id) {
        id -> BigInt,
        job_id -> Text,
        kind -> Text,
        state -> Text,
        tenant_id -> Nullable<Text>,
        progress -> Double,
        message -> Text,
        input -> Document,
        result -> Nullable<Document>,
        error -> Nullable<Text>,
        attempts -> Integer,
        created_by -> Text,
        lease_until -> Nullable<Instant>,
        started_at -> Nullable<Instant>,
        finished_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        slot -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Key figures per day and retailer; each figure with n and definition.
    rlhf_metrics (id) {
        id -> BigInt,
        date -> Date,
        retailer_scope -> Text,
        retailer_id -> Nullable<Text>,
        tool_call_exact_match_rate -> Nullable<Double>,
        tool_call_compile_pass_rate -> Nullable<Double>,
        schema_mapping_f1 -> Nullable<Double>,
        policy_pass_rate_first_submit -> Nullable<Double>,
        time_to_onboard_days -> Nullable<Double>,
        inter_rater_reliability -> Nullable<Double>,
        golden_set_accuracy -> Nullable<Double>,
        percent_tasks_escalated -> Nullable<Double>,
        cost_per_accepted_judgment_micros -> Nullable<BigInt>,
        latency_per_rl_iteration_hours -> Nullable<Double>,
        incremental_roas -> Nullable<Double>,
        incremental_revenue_micros -> Nullable<BigInt>,
        expert_hours_saved -> Nullable<Double>,
        total_judgments -> Integer,
        active_raters -> Integer,
        tasks_completed -> Integer,
        definitions -> Document,
        created_at -> Instant,
        updated_at -> Instant,
        cost_currency -> Nullable<Text>,
        revenue_currency -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// When feedback on a brand's outputs becomes a rating task.
    feedback_rules (id) {
        id -> BigInt,
        brand_id -> Text,
        tenant_id -> Text,
        is_on -> Bool,
        max_rating -> Nullable<Integer>,
        thumbs_down -> Bool,
        corrections -> Bool,
        preferences -> Bool,
        daily_limit -> Integer,
        updated_by -> Text,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// Feedback that met its brand's rule, and the rating task it became or why it became none.
    feedback_tasks (id) {
        id -> BigInt,
        feedback_id -> Text,
        tenant_id -> Text,
        brand_id -> Text,
        state -> Text,
        reason -> Nullable<Text>,
        task_id -> Nullable<Text>,
        pair_hash -> Nullable<Text>,
        asked_on -> Nullable<Date>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// Files in buckets; slot is unique and only a ready one has it.
    artifacts (id) {
        id -> BigInt,
        artifact_id -> Text,
        tenant_id -> Text,
        bucket -> Text,
        path -> Text,
        slot -> Nullable<Text>,
        state -> Text,
        store -> Text,
        content_type -> Text,
        size_bytes -> BigInt,
        sha256 -> Text,
        created_by -> Text,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Versions of LoRA adapters, each of two artifacts.
    adapter_versions (id) {
        id -> BigInt,
        tenant_id -> Text,
        adapter_id -> Text,
        version -> Integer,
        path -> Text,
        base_model -> Text,
        lora_rank -> Integer,
        lora_alpha -> Double,
        parameters_count -> BigInt,
        details -> Document,
        config_artifact_id -> Text,
        weights_artifact_id -> Text,
        note -> Nullable<Text>,
        created_by -> Text,
        created_at -> Instant,
    }
}
