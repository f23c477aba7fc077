//! How our services talk to each other: wire types shared by both ends, and one typed client per peer.
//!
//! Each peer answers on its private listener only. A service holds one client per peer it calls; every method's
//! documentation states what the caller does when the peer does not answer.

pub mod circuit;
pub mod context;
pub mod error;
mod exchange;
pub mod feedback;
pub mod judgments;
pub mod outbound;
pub mod rater_app;
pub mod rlhf_backend;
pub mod score;
pub mod service_token;
pub mod settings;
pub mod spans;
pub mod tasks;
pub mod trace;

#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
mod test_server;

/// Issuer and audience name of the campaign runtime.
pub const CAMPAIGN_RUNTIME: &str = "campaign-runtime";

/// Issuer and audience name of the RLHF backend.
pub const RLHF_BACKEND: &str = "rlhf-backend";

/// Issuer and audience name of the rater app.
pub const RATER_APP: &str = "rater-app";
