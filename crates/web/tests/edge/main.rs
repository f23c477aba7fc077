//! The edge as its users meet it: configuration mistakes, callers, bodies, pages of lists, and two running listeners.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod callers;
mod documents;
mod hardening;
mod inputs;
mod json_fuzz;
mod limits;
mod log_lines;
mod serving;
mod settings;
mod spans;
