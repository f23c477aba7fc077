//! Webhooks, their deliveries, and how far events were read for them.

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Addresses that are told of events.
    webhooks (id) {
        id -> BigInt,
        webhook_id -> Text,
        tenant_id -> Nullable<Text>,
        url -> Text,
        description -> Text,
        event_types -> Document,
        secret_sealed -> Text,
        previous_secret_sealed -> Nullable<Text>,
        previous_secret_until -> Nullable<Instant>,
        is_enabled -> Bool,
        disabled_reason -> Nullable<Text>,
        failing_since -> Nullable<Instant>,
        created_by -> Text,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// What was or is to be sent to a webhook: one row for an event.
    webhook_deliveries (id) {
        id -> BigInt,
        delivery_id -> Text,
        webhook_id -> Text,
        tenant_id -> Nullable<Text>,
        event_id -> Text,
        event_type -> Text,
        payload -> Text,
        status -> Text,
        attempts -> Integer,
        replays -> Integer,
        next_attempt_at -> Nullable<Instant>,
        last_attempt_at -> Nullable<Instant>,
        last_http_status -> Nullable<Integer>,
        last_error -> Nullable<Text>,
        duration_ms -> Nullable<Integer>,
        delivered_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// How far events were made into deliveries.
    webhook_readings (id) {
        id -> BigInt,
        reader -> Text,
        carried -> BigInt,
        missing -> Document,
        created_at -> Instant,
        updated_at -> Instant,
    }
}
