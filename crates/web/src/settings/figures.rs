//! Settings of the key figures: when they are computed, and what judging costs.

use std::time::Duration;

/// When key figures are computed, and from which costs.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyFigures {
    /// How often; `None` for only when somebody asks.
    pub every: Option<Duration>,
    /// How many days back missed ones are made up.
    pub catch_up_days: u32,
    /// What judging costs; `None` when nothing is configured.
    pub costs: Option<UnitCosts>,
}

/// What judging costs, in micros of one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitCosts {
    /// Of one judgment, whatever it takes.
    pub per_judgment_micros: i64,
    /// Of an hour of a rater.
    pub per_rater_hour_micros: i64,
    /// Of an hour of an expert.
    pub per_expert_hour_micros: i64,
    /// ISO 4217 code.
    pub currency: String,
}
