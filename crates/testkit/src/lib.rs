//! What tests and benchmarks share: databases of their own, a clock they set, figures beside their peers. A development dependency only.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot prepare itself must stop at once")]

pub mod bench;
pub mod clock;
pub mod database;
pub mod fuzz;
pub mod http;
pub mod service;
pub mod supabase;
pub mod walk;
