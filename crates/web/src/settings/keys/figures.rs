//! Keys of the key figures and of what judging costs.

use super::super::key::DefaultValue::{Absent, Value};
use super::super::key::Kind::{self, Number, Text, Whole};
use super::super::key::{Key, key};

const COST: Kind = Number { min: 0.0, max: 1_000_000.0 };

pub(super) const MINUTES: Key = key(
    "ENDCAP_KEY_FIGURES_MINUTES",
    Whole { min: 0, max: 1_440 },
    Value("60"),
    "60",
    "How often the key figures of today and yesterday are computed, in minutes; 0 for only when somebody asks.",
);

pub(super) const CATCH_UP_DAYS: Key = key(
    "ENDCAP_KEY_FIGURES_CATCH_UP_DAYS",
    Whole { min: 1, max: 366 },
    Value("14"),
    "31",
    "How many days back key figures are made up that were missed while no process ran.",
);

pub(super) const COST_PER_JUDGMENT: Key = key(
    "ENDCAP_COST_PER_JUDGMENT",
    COST,
    Absent,
    "0.25",
    "What one judgment costs whatever it takes (pay by the piece, platform), in ENDCAP_COST_CURRENCY. Without any of the three costs the cost of a judgment is not computed.",
);

pub(super) const COST_PER_RATER_HOUR: Key =
    key("ENDCAP_COST_PER_RATER_HOUR", COST, Absent, "18.50", "What an hour of a rater's work costs, in ENDCAP_COST_CURRENCY.");

pub(super) const COST_PER_EXPERT_HOUR: Key =
    key("ENDCAP_COST_PER_EXPERT_HOUR", COST, Absent, "75", "What an hour of an expert's work costs, in ENDCAP_COST_CURRENCY.");

pub(super) const COST_CURRENCY: Key =
    key("ENDCAP_COST_CURRENCY", Text, Value("USD"), "EUR", "Currency of the three costs: an ISO 4217 code of three capital letters.");
