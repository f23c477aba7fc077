//! Experiments, what was seen in them, and what they taught the response curves.

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Experiments: what is compared, with whom, for how long; the definition is frozen once it runs.
    experiments (id) {
        id -> BigInt,
        experiment_id -> Text,
        tenant_id -> Text,
        campaign -> Nullable<BigInt>,
        name -> Text,
        hypothesis -> Nullable<Text>,
        design -> Text,
        status -> Text,
        salt -> Text,
        definition -> Document,
        definition_hash -> Nullable<Text>,
        started_at -> Nullable<Instant>,
        concluded_at -> Nullable<Instant>,
        result -> Nullable<Document>,
        inputs_hash -> Nullable<Text>,
        status_reason -> Nullable<Text>,
        version -> Integer,
        created_by -> Text,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// What was seen: sums over n units for one unit or arm, day and hour.
    experiment_observations (id) {
        id -> BigInt,
        experiment -> BigInt,
        tenant_id -> Text,
        unit -> Text,
        arm -> Text,
        date -> Date,
        hour -> Integer,
        n -> BigInt,
        value_sum -> Double,
        value_sum_squares -> Nullable<Double>,
        covariate_sum -> Nullable<Double>,
        covariate_sum_squares -> Nullable<Double>,
        cross_sum -> Nullable<Double>,
        spend_micros -> Nullable<BigInt>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Instant;

    /// What experiments found about the incremental return of a line of a campaign.
    response_calibrations (id) {
        id -> BigInt,
        calibration_id -> Text,
        tenant_id -> Text,
        campaign -> BigInt,
        placement_type -> Text,
        audience_segment -> Text,
        iroas -> Double,
        standard_error -> Double,
        spend_micros -> BigInt,
        currency -> Text,
        days -> Integer,
        n -> BigInt,
        control_definition -> Text,
        experiment -> BigInt,
        created_at -> Instant,
    }
}
