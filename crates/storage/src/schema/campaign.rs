//! Campaigns, their performance, plans and reflections.

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
    use crate::types::Document;
    use crate::types::Instant;

    /// What became of a campaign, change by change.
    campaign_history (id) {
        id -> BigInt,
        campaign -> BigInt,
        tenant_id -> Text,
        version -> Integer,
        actor -> Text,
        role -> Text,
        action -> Text,
        reason -> Nullable<Text>,
        changes -> Document,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// What a campaign's ads say and show.
    campaign_creatives (id) {
        id -> BigInt,
        creative_id -> Text,
        campaign -> BigInt,
        tenant_id -> Text,
        name -> Text,
        content -> Document,
        findings -> Document,
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
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// What a performance row said before it was corrected.
    performance_revisions (id) {
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
        version -> Integer,
        valid_from -> Instant,
        replaced_at -> Instant,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// Sums of performance, kept in the transaction that writes it.
    performance_rollups (campaign, grain, dimension, period_start, value, currency, measured) {
        campaign -> BigInt,
        tenant_id -> Text,
        grain -> Text,
        period_start -> Date,
        dimension -> Text,
        value -> Text,
        currency -> Text,
        measured -> SmallInt,
        n -> BigInt,
        impressions -> BigInt,
        clicks -> BigInt,
        conversions -> BigInt,
        spend_micros -> BigInt,
        revenue_micros -> BigInt,
        units_sold -> BigInt,
        new_to_brand_conversions -> BigInt,
        created_at -> Instant,
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
    use crate::types::Instant;

    /// One row: since when performance is kept.
    performance_retention (id) {
        id -> SmallInt,
        kept_from -> Date,
        created_at -> Instant,
        updated_at -> Instant,
    }
}
