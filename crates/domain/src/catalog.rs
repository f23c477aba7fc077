//! Words of the catalogue: audiences and how an impression was counted.

use serde::{Deserialize, Serialize};

/// How an audience segment is defined.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::AsRefStr,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SegmentType {
    /// By what is known of the household.
    Demographic,
    /// By what people did.
    Behavioral,
    /// By similarity to other people.
    Lookalike,
    /// By what is on the page or shelf.
    Contextual,
}
