//! What tests share: databases of their own, and a clock they set. A development dependency only.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot prepare itself must stop at once")]

pub mod clock;
pub mod database;
