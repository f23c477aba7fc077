//! What every HTTP edge of the three services shares: settings, problems, callers, paging, the server itself and the look of its pages.
//!
//! No SQL here; only [`database`] knows `storage`. A service brings its own state and its own routes.

pub mod access;
pub mod caller;
pub mod chart;
pub mod client_address;
pub mod database;
pub mod issuer;
pub mod json;
pub mod layout;
pub mod limiter;
pub mod paging;
pub mod password;
pub mod privacy;
mod probe;
pub mod problem;
pub mod request;
pub mod scopes;
pub mod sealing;
pub mod server;
pub mod settings;
pub mod start;
pub mod tabular;
mod telemetry;
pub mod token;
