//! Artifacts, adapters, feedback, jobs and reward models on every database that is configured.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod artifacts;
mod feedback;
mod jobs;
mod reward_models;
mod webhook_attempts;
mod webhook_bounds;
mod webhooks;

use chrono::{DateTime, Utc};
use domain::role::Role;
use domain::scope::Scope;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn analyst(tenant: &str) -> Scope {
    Scope::for_caller("acc_1", Role::Analyst, Some(tenant))
}
