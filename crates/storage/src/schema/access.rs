//! Who signs in, and with what.

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
        is_exempt -> Bool,
        shows_name -> Bool,
        calibration_date -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        golden_rate_factor -> Double,
        paused_reason -> Nullable<Text>,
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
        auth_user_id -> Nullable<Text>,
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
