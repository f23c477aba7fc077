//! Everything that can be configured, in one struct for all binaries, read once at the start.
//!
//! [`keys::KEYS`] declares each key; `.env.example` and `docs/configuration.md` are rendered from the same table.

mod artifacts;
mod figures;
mod hosted;
pub mod key;
mod keys;
mod rates;
mod rating;
pub mod render;
mod rooms;
mod sign_in;
mod sources;
mod telemetry;
mod values;
mod webhooks;

use std::net::IpAddr;
use std::time::Duration;

use domain::address::Network;
use secrecy::SecretString;

use crate::sealing::SealKeys;

pub use artifacts::{ArtifactStore, Artifacts, S3};
pub use figures::{KeyFigures, UnitCosts};
pub use hosted::Supabase;
pub use key::{DefaultValue, Key};
pub use keys::KEYS;
pub use rates::{RateLimits, RateRule};
pub use rating::{Calibration, Integrity, Overlap, QueueWeights, Rating, Selection};
pub use render::{render_configuration_table, render_env_example};
pub use rooms::is_of_system;
pub use sign_in::{SignIn, Signup};
pub use sources::Sources;
pub use telemetry::Telemetry;
use values::Values;
pub use webhooks::Webhooks;

/// Why the settings cannot be used: every mistake at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has {} mistake(s):\n{}", mistakes.len(), mistakes.iter().map(|m| format!("  {m}")).collect::<Vec<_>>().join("\n"))]
pub struct SettingsError {
    /// All that is wrong, in the order of the table of keys.
    pub mistakes: Vec<Mistake>,
}

/// One key that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}{}", if example.is_empty() { String::new() } else { format!("; for example {key}={example}") })]
pub struct Mistake {
    /// Name of the key as it was written.
    pub key: String,
    /// What is wrong; never shows the value of a secret.
    pub problem: String,
    /// A value that would be accepted; empty when there is no sensible one.
    pub example: String,
}

/// Where the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// On a person's machine: `.env` is read, missing secrets have built-in values.
    Development,
    /// For others: secrets must be given, cookies are `Secure` when the public address is https.
    Production,
}

/// Shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What happens to personal data in texts that raters may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PiiRule {
    /// They are masked before they are stored.
    Redact,
    /// The text is refused.
    Refuse,
    /// They are let through.
    Off,
}

/// One of the three services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceName {
    /// Campaigns, plans, performance: port 8000.
    CampaignRuntime,
    /// Feedback, exports, reward models: port 8001.
    RlhfBackend,
    /// Raters, tasks, judgments: port 8002.
    RaterApp,
}

impl ServiceName {
    /// All three, in the order of their ports.
    pub const ALL: [Self; 3] = [Self::CampaignRuntime, Self::RlhfBackend, Self::RaterApp];

    /// Name of the binary, the audience of service tokens and the `service` label of logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CampaignRuntime => "campaign-runtime",
            Self::RlhfBackend => "rlhf-backend",
            Self::RaterApp => "rater-app",
        }
    }

    /// The key that sets the public port.
    #[must_use]
    pub fn port_key(self) -> &'static str {
        match self {
            Self::CampaignRuntime => "ENDCAP_CAMPAIGN_RUNTIME_PORT",
            Self::RlhfBackend => "ENDCAP_RLHF_BACKEND_PORT",
            Self::RaterApp => "ENDCAP_RATER_APP_PORT",
        }
    }

    /// The key that sets the private port.
    #[must_use]
    pub fn private_port_key(self) -> &'static str {
        match self {
            Self::CampaignRuntime => "ENDCAP_CAMPAIGN_RUNTIME_PRIVATE_PORT",
            Self::RlhfBackend => "ENDCAP_RLHF_BACKEND_PRIVATE_PORT",
            Self::RaterApp => "ENDCAP_RATER_APP_PRIVATE_PORT",
        }
    }
}

/// Where one service listens and where others find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAddress {
    /// Port for people and programs outside; 0 lets the system choose.
    pub port: u16,
    /// Port for the other services and for metrics.
    pub private_port: u16,
    /// Address in links and cookies, without a trailing slash.
    pub public_url: String,
    /// Address for the other services, without a trailing slash.
    pub private_url: String,
    /// Whether that address was given, rather than made from the port on this machine.
    pub private_url_is_given: bool,
}

/// Pools of database connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Connections kept open.
    pub min: u32,
    /// Most connections open at once.
    pub max: u32,
    /// Reading connections beside the single writer of SQLite.
    pub sqlite_readers: u32,
    /// Longest wait for a free connection.
    pub acquire_timeout: Duration,
}

/// Bounds of the HTTP servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Worker threads of each listener.
    pub workers: usize,
    /// Largest JSON body accepted.
    pub max_body_bytes: usize,
    /// Longest time until an answer begins.
    pub request_timeout: Duration,
    /// How long `/health/ready` answers 503 before the listeners close.
    pub drain: Duration,
    /// Longest time from the signal to the end of the process.
    pub shutdown_timeout: Duration,
}

/// Files to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imports {
    /// Folder in which they wait; absent means the system's temporary folder.
    pub directory: Option<String>,
    /// Largest file, in bytes as sent.
    pub max_bytes: u64,
    /// Most bytes that a packed file may unpack to.
    pub max_unpacked_bytes: u64,
    /// Imports that run at once.
    pub workers: usize,
}

/// All settings of all binaries.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the process runs.
    pub environment: Environment,
    /// Address of the database, with its password.
    pub database_url: SecretString,
    /// Pools of database connections.
    pub pool: Pool,
    /// The optional hosted project.
    pub supabase: Supabase,
    /// Signs access tokens.
    pub jwt_secret: SecretString,
    /// Signs the tokens of calls between services.
    pub service_secret: SecretString,
    /// Under which secrets are sealed at rest; may be empty.
    pub seal_keys: SealKeys,
    /// What happens to personal data in texts that raters may see.
    pub pii: PiiRule,
    /// Interface of the public listeners.
    pub bind_address: IpAddr,
    /// Interface of the private listeners.
    pub private_bind_address: IpAddr,
    /// Addresses of the campaign runtime.
    pub campaign_runtime: ServiceAddress,
    /// Addresses of the RLHF backend.
    pub rlhf_backend: ServiceAddress,
    /// Addresses of the rater app.
    pub rater_app: ServiceAddress,
    /// Bounds of the HTTP servers.
    pub limits: Limits,
    /// How often callers and tenants may ask.
    pub rate_limits: RateLimits,
    /// Shape of log lines.
    pub log_format: LogFormat,
    /// Which log lines are written (`RUST_LOG` syntax).
    pub log_filter: String,
    /// Where spans of requests are sent.
    pub telemetry: Telemetry,
    /// Sign-in.
    pub sign_in: SignIn,
    /// Networks of proxies that are believed when they say from where a request came.
    pub trusted_proxies: Vec<Network>,
    /// How tasks are given out and judged.
    pub rating: Rating,
    /// Longest wait for another service.
    pub peer_timeout: Duration,
    /// How often the database is asked for new events; a fifth as often while it announces them.
    pub realtime_poll: Duration,
    /// Rooms in which people and programs may talk: `{tenant}` stands for the tenant of whoever joins, a star at the end for all that begin so.
    pub realtime_rooms: Vec<String>,
    /// Rooms in which visitors may talk as well.
    pub realtime_visitor_rooms: Vec<String>,
    /// Whole months of performance rows that are kept before the present one; absent keeps all.
    pub performance_retention_months: Option<u32>,
    /// Days that reflection logs are kept; absent keeps all.
    pub reflection_retention_days: Option<u32>,
    /// Where artifacts are kept.
    pub artifacts: Artifacts,
    /// Files to import.
    pub imports: Imports,
    /// When key figures are computed, and from which costs.
    pub key_figures: KeyFigures,
    /// Which addresses of users may be called.
    pub webhooks: Webhooks,
    /// What a person should know and that does not stop the start; logged once by `start`.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Reads defaults, the optional file, `.env` in development and the environment.
    ///
    /// # Errors
    /// [`SettingsError`] with every unknown key and every bad value.
    pub fn load() -> Result<Self, SettingsError> {
        Self::from_sources(&Sources::of_process())
    }

    /// As [`Settings::load`], with these variables over the process environment: for tools that start services.
    ///
    /// # Errors
    /// [`SettingsError`] with every unknown key and every bad value.
    pub fn load_with(variables: &[(String, String)]) -> Result<Self, SettingsError> {
        let mut sources = Sources::of_process();
        sources.variables.extend(variables.iter().cloned());
        Self::from_sources(&sources)
    }

    /// From the given variables only: no process environment, no `.env`. For tests and for tools that start services.
    ///
    /// ```
    /// let settings = web::settings::Settings::from_variables([("ENDCAP_SIGNUP", "closed")]).unwrap();
    /// assert_eq!(settings.rater_app.public_url, "http://localhost:8002");
    /// ```
    ///
    /// # Errors
    /// [`SettingsError`] with every unknown key and every bad value.
    pub fn from_variables<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Result<Self, SettingsError> {
        let variables = variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self::from_sources(&Sources { variables, dotenv: None })
    }

    /// From explicit sources.
    ///
    /// # Errors
    /// [`SettingsError`] with every unknown key and every bad value.
    pub fn from_sources(sources: &Sources) -> Result<Self, SettingsError> {
        let (texts, mistakes) = sources.merge();
        Values::new(texts, mistakes).into_settings()
    }

    /// The addresses of one service.
    #[must_use]
    pub fn service(&self, name: ServiceName) -> &ServiceAddress {
        match name {
            ServiceName::CampaignRuntime => &self.campaign_runtime,
            ServiceName::RlhfBackend => &self.rlhf_backend,
            ServiceName::RaterApp => &self.rater_app,
        }
    }

    /// Whether cookies must be `Secure`: the rater app, which signs people in, is reached by https.
    #[must_use]
    pub fn has_secure_cookies(&self) -> bool {
        self.rater_app.public_url.starts_with("https://")
    }
}
