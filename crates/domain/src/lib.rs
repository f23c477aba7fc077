//! What things are: identifiers, money, words with a fixed set of values, rules and rubrics.
//!
//! No I/O, no async, no SQL: every other room may import this one, and this one imports none of ours.

pub mod adapter;
pub mod address;
pub mod artifact;
pub mod attribution;
pub mod campaign;
pub mod catalog;
pub mod checks;
pub mod creative;
pub mod day;
pub mod email;
pub mod feedback;
pub mod id;
pub mod invalid;
pub mod money;
pub mod pii;
pub mod policy;
pub mod role;
pub mod rubric;
pub mod scope;
mod script;
pub mod task;
pub mod time;
