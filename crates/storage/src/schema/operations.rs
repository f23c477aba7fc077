//! Events, webhooks, kept answers, imported files.

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
        tenant_id -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// Token buckets of callers and tenants.
    rate_limit_buckets (id) {
        id -> BigInt,
        bucket -> Text,
        tokens -> Double,
        refilled_at -> Instant,
        created_at -> Instant,
        updated_at -> Instant,
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
        tenant_id -> Nullable<Text>,
        created_by -> Text,
        retailer_id -> Nullable<Text>,
        on_error -> Text,
        is_dry_run -> Bool,
        attempts -> Integer,
        ignored_columns -> Document,
        message -> Nullable<Text>,
        finished_at -> Nullable<Instant>,
    }
}

diesel::table! {
    /// Rows of imported files that were not taken.
    import_errors (id) {
        id -> BigInt,
        import -> BigInt,
        tenant_id -> Nullable<Text>,
        line -> BigInt,
        field -> Text,
        source_column -> Text,
        message -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// How far events were carried to a hosted project, and by whom.
    realtime_bridges (id) {
        id -> BigInt,
        bridge -> Text,
        carried -> BigInt,
        holder -> Text,
        held_until -> Instant,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// Processes with sockets that live.
    realtime_processes (id) {
        id -> BigInt,
        process_id -> Text,
        beats -> BigInt,
        seen_at -> Instant,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// What clients of one process say and show to those of the others.
    realtime_messages (id) {
        id -> BigInt,
        process_id -> Text,
        number -> BigInt,
        head -> Text,
        body -> Binary,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// Who decided what; each row holds the hash of itself and of the row before it.
    audit_log (id) {
        id -> BigInt,
        number -> BigInt,
        tenant_id -> Nullable<Text>,
        actor -> Text,
        action -> Text,
        subject -> Text,
        detail -> Text,
        previous_hash -> Text,
        hash -> Text,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// The end of the audit log's chain.
    audit_chain (id) {
        id -> BigInt,
        number -> BigInt,
        hash -> Text,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

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
    use crate::types::Document;
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
        history -> Nullable<Document>,
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
