//! The rater app as its users meet it, on a real router and a migrated database.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[macro_use]
mod house;

mod access_ends;
mod bad_input;
mod bridge;
mod calibration;
mod checks;
mod consensus;
mod crossing;
mod delivery;
mod golden_unseen;
mod history;
mod hosted_sign_in;
mod integrity;
mod judging;
mod live;
mod recovery;
mod remote_checks;
mod replicas;
mod reviews;
mod rooms;
mod sessions;
mod sign_in;
mod sign_up;
mod soak;
mod socket_edge;
mod statistics;
mod tasks;
mod visitors;
mod walk;
