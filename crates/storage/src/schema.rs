//! The tables, written once: the same columns in all three databases (a test compares them with the migrations).

#![allow(missing_docs)]

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Retailers that sell placements, with their policies and field mapping.
    retailers (id) {
        id -> BigInt,
        retailer_id -> Text,
        name -> Text,
        schema_version -> Text,
        mapping_config -> Document,
        api_endpoint -> Nullable<Text>,
        api_key_encrypted -> Nullable<Text>,
        clean_room_endpoint -> Nullable<Text>,
        policies -> Document,
        creative_specs -> Document,
        country -> Nullable<Text>,
        currency -> Nullable<Text>,
        timezone -> Text,
        is_active -> Bool,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Brands; a brand is a tenant.
    brands (id) {
        id -> BigInt,
        brand_id -> Text,
        tenant_id -> Text,
        retailer_id -> Nullable<Text>,
        name -> Text,
        tone_guidelines -> Document,
        product_categories -> Document,
        budget_constraints -> Document,
        attributes -> Document,
        is_active -> Bool,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Products of a retailer.
    sku_catalog (id) {
        id -> BigInt,
        sku_id -> Text,
        retailer_id -> Text,
        brand_id -> Nullable<Text>,
        tenant_id -> Nullable<Text>,
        upc -> Nullable<Text>,
        ean -> Nullable<Text>,
        gtin -> Nullable<Text>,
        name -> Text,
        category -> Nullable<Text>,
        subcategory -> Nullable<Text>,
        brand_name -> Nullable<Text>,
        price_micros -> Nullable<BigInt>,
        margin -> Nullable<Double>,
        cost_micros -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        attributes -> Document,
        is_in_stock -> Nullable<Bool>,
        stock_level -> Nullable<BigInt>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Audiences that a retailer offers.
    audience_segments (id) {
        id -> BigInt,
        segment_id -> Text,
        retailer_id -> Text,
        name -> Text,
        description -> Nullable<Text>,
        segment_type -> Text,
        criteria -> Document,
        size_estimate -> Nullable<BigInt>,
        reach_estimate -> Nullable<Double>,
        cpm_estimate_micros -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        is_active -> Bool,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Raters and their record.
    rater_profiles (id) {
        id -> BigInt,
        rater_id -> Text,
        name -> Text,
        email -> Nullable<Text>,
        total_judgments -> Integer,
        golden_correct -> Integer,
        golden_total -> Integer,
        golden_set_accuracy -> Nullable<Double>,
        consensus_agreed -> Integer,
        consensus_total -> Integer,
        inter_rater_agreement -> Nullable<Double>,
        avg_confidence -> Nullable<Double>,
        avg_time_per_task_seconds -> Nullable<Double>,
        preferred_task_types -> Document,
        reliability_by_task_type -> Document,
        calibration_correct -> Integer,
        calibration_total -> Integer,
        is_active -> Bool,
        is_calibrated -> Bool,
        is_simulated -> Bool,
        calibration_date -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// People who sign in with a password.
    accounts (id) {
        id -> BigInt,
        account_id -> Text,
        email -> Text,
        password_hash -> Nullable<Text>,
        role -> Text,
        tenant_id -> Nullable<Text>,
        rater_id -> Nullable<Text>,
        display_name -> Text,
        user_metadata -> Document,
        is_active -> Bool,
        last_sign_in_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// One row per refresh token; each is used once.
    refresh_tokens (id) {
        id -> BigInt,
        token_hash -> Text,
        session_id -> Text,
        account_id -> Text,
        expires_at -> Instant,
        used_at -> Nullable<Instant>,
        revoked_at -> Nullable<Instant>,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// API keys, stored as SHA-256.
    api_keys (id) {
        id -> BigInt,
        key_id -> Text,
        name -> Text,
        key_hash -> Text,
        key_prefix -> Text,
        role -> Text,
        tenant_id -> Nullable<Text>,
        scopes -> Document,
        created_by -> Text,
        expires_at -> Nullable<Instant>,
        revoked_at -> Nullable<Instant>,
        last_used_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

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
        skip_reason -> Nullable<Text>,
        finished_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
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
        rubric_version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
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
        created_at -> Instant,
        updated_at -> Instant,
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
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Campaigns; the public id is unique within its tenant.
    campaigns (id) {
        id -> BigInt,
        campaign_id -> Text,
        tenant_id -> Text,
        retailer_id -> Text,
        brand_id -> Nullable<Text>,
        name -> Text,
        objective -> Nullable<Text>,
        start_date -> Nullable<Date>,
        end_date -> Nullable<Date>,
        total_budget_micros -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        allocated_budget -> Nullable<Document>,
        placement_types -> Document,
        target_audiences -> Document,
        target_skus -> Document,
        constraints -> Document,
        attributes -> Document,
        status -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// Daily performance; absent measures are null, never 0.
    performance_metrics (id) {
        id -> BigInt,
        campaign -> BigInt,
        tenant_id -> Text,
        date -> Date,
        placement_type -> Text,
        audience_segment -> Text,
        category -> Text,
        sku_id -> Text,
        impression_kind -> Text,
        impressions -> Nullable<BigInt>,
        clicks -> Nullable<BigInt>,
        conversions -> Nullable<BigInt>,
        spend_micros -> Nullable<BigInt>,
        revenue_micros -> Nullable<BigInt>,
        units_sold -> Nullable<BigInt>,
        new_to_brand_conversions -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        source -> Text,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Candidate plans; those of one request share a plan_set_id.
    campaign_plans (id) {
        id -> BigInt,
        plan_id -> Text,
        plan_set_id -> Text,
        campaign -> BigInt,
        tenant_id -> Text,
        status -> Text,
        strategy -> Text,
        position -> Integer,
        budget_micros -> BigInt,
        currency -> Text,
        horizon_days -> Integer,
        plan -> Document,
        score -> Nullable<Double>,
        win_probability -> Nullable<Double>,
        model_id -> Nullable<Text>,
        task_id -> Nullable<Text>,
        choice_reason -> Nullable<Text>,
        decided_by -> Nullable<Text>,
        decided_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Why the software decided as it did.
    reflection_logs (id) {
        id -> BigInt,
        log_id -> Text,
        tenant_id -> Nullable<Text>,
        campaign -> Nullable<BigInt>,
        session_id -> Text,
        task_type -> Text,
        phase -> Text,
        memory_references -> Document,
        alternate_frames -> Document,
        risk_factors -> Document,
        mitigation_strategies -> Document,
        confidence_value -> Nullable<Double>,
        confidence_rationale -> Nullable<Text>,
        decision_threshold -> Nullable<Double>,
        bias_checkpoint -> Document,
        decision -> Document,
        decision_rationale -> Text,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Events written in the business transaction, delivered after it.
    outbox_events (id) {
        id -> BigInt,
        event_id -> Text,
        destination -> Text,
        topic -> Text,
        event -> Text,
        payload -> Document,
        tenant_id -> Nullable<Text>,
        attempts -> Integer,
        delivered_at -> Nullable<Instant>,
        next_attempt_at -> Nullable<Instant>,
        last_error -> Nullable<Text>,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Answers kept so that a repeated request gets the same one.
    idempotency_keys (id) {
        id -> BigInt,
        caller -> Text,
        idempotency_key -> Text,
        body_hash -> Text,
        status -> Integer,
        response -> Document,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Files that were imported, by content.
    imports (id) {
        id -> BigInt,
        import_id -> Text,
        table_name -> Text,
        content_hash -> Text,
        state -> Text,
        received -> BigInt,
        inserted -> BigInt,
        updated -> BigInt,
        unchanged -> BigInt,
        rejected -> BigInt,
        errors -> Document,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::joinable!(performance_metrics -> campaigns (campaign));
diesel::joinable!(campaign_plans -> campaigns (campaign));
diesel::joinable!(reflection_logs -> campaigns (campaign));

diesel::allow_tables_to_appear_in_same_query!(campaigns, performance_metrics, campaign_plans, reflection_logs);
diesel::allow_tables_to_appear_in_same_query!(rating_tasks, judgments, task_assignments, golden_set_items, task_consensus, rater_profiles,);
diesel::allow_tables_to_appear_in_same_query!(brands, feedback);
diesel::allow_tables_to_appear_in_same_query!(campaign_plans, task_consensus);
