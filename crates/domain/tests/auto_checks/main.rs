//! What the auto-checks find: good candidates pass everything, and each of many bad ones fails the check that is made for it, with the rule it breaks
//! and the place where. Inputs are written to get past the checks.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ads;
mod answers;
mod calls;
mod documented;
mod good;
mod mappings;
mod plans;
mod queries;
mod snapshot;
mod table;
mod tags;
