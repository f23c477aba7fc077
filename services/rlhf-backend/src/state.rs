//! What handlers share in one process.

use std::sync::Arc;

use domain::invalid::Invalid;
use domain::time::Clock;
use peers::rater_app::RaterApp;
use peers::settings::PeerSettings;
use storage::store::Storage;
use tokio::sync::Notify;
use web::access::Access;
use web::database::{KeyStore, limiter};
use web::settings::{ServiceName, Settings};

use crate::scoring::ActiveModels;

/// Cheap to clone; made once per process.
#[derive(Clone)]
pub struct State {
    /// The database.
    pub storage: Storage,
    /// How callers are recognised.
    pub access: Access,
    /// The configuration.
    pub settings: Arc<Settings>,
    /// Where the time is read.
    pub clock: Clock,
    /// Loaded models, and which of them is active.
    pub models: Arc<ActiveModels>,
    /// Wakes this process's worker when a job was queued here.
    pub job_queued: Arc<Notify>,
    /// Has people compare what was disliked.
    pub rater_app: RaterApp,
    /// Wakes what puts feedback to raters when some came in here.
    pub feedback_came: Arc<Notify>,
}

impl State {
    /// Over this storage.
    ///
    /// # Errors
    /// [`Invalid`] when the address or secret for the rater app is wrong.
    pub fn new(storage: Storage, settings: Settings, clock: Clock) -> Result<Self, Invalid> {
        let keys = Arc::new(KeyStore::new(storage.clone(), clock.clone()));
        let rater_app = RaterApp::new(PeerSettings {
            private_url: settings.rater_app.private_url.clone(),
            caller: peers::RLHF_BACKEND.to_owned(),
            service_secret: settings.service_secret.clone(),
            timeout: settings.peer_timeout,
        })?;
        Ok(Self {
            access: Access::new(&settings, ServiceName::RlhfBackend, clock.clone(), keys).limited_by(limiter(&settings, &storage, &clock)),
            storage,
            settings: Arc::new(settings),
            clock,
            models: Arc::new(ActiveModels::default()),
            job_queued: Arc::new(Notify::new()),
            rater_app,
            feedback_came: Arc::new(Notify::new()),
        })
    }
}
