//! What handlers share in one process.

use std::sync::Arc;

use domain::invalid::Invalid;
use domain::time::Clock;
use peers::rater_app::RaterApp;
use peers::settings::PeerSettings;
use storage::store::Storage;
use supabase::auth::keys::fetcher_of;
use tokio::sync::Notify;
use web::access::Access;
use web::database::{KeyStore, limiter};
use web::issuer::Issuer;
use web::settings::{ServiceName, Settings};

use crate::artifacts::stores::Stores;
use crate::exports::counting::Countings;
use crate::scoring::active::ActiveModels;
use crate::scoring::retailers::KnownRetailers;
use crate::watch::Touched;
use crate::webhooks::Desk;

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
    /// Retailers that scores were asked for.
    pub retailers: Arc<KnownRetailers>,
    /// Models that were seen to predict something new.
    pub touched: Arc<Touched>,
    /// Where artifacts are kept.
    pub artifacts: Arc<Stores>,
    /// Wakes this process's worker when a job was queued here.
    pub job_queued: Arc<Notify>,
    /// Counts of exports that pages wait for.
    pub countings: Arc<Countings>,
    /// Has people compare what was disliked.
    pub rater_app: RaterApp,
    /// Wakes what puts feedback to raters when some came in here.
    pub feedback_came: Arc<Notify>,
    /// Sends events to webhooks.
    pub webhooks: Arc<Desk>,
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
            access: Access::new(&settings, ServiceName::RlhfBackend, clock.clone(), keys)
                .trusting(issuer(&settings, &clock)?)
                .limited_by(limiter(&settings, &storage, &clock)),
            storage,
            artifacts: Arc::new(Stores::new(&settings)),
            webhooks: Arc::new(Desk::new(&settings)?),
            settings: Arc::new(settings),
            clock,
            models: Arc::new(ActiveModels::default()),
            retailers: Arc::new(KnownRetailers::default()),
            touched: Arc::new(Touched::default()),
            job_queued: Arc::new(Notify::new()),
            countings: Arc::new(Countings::default()),
            rater_app,
            feedback_came: Arc::new(Notify::new()),
        })
    }
}

/// The keys of the hosted project's tokens, when people sign in there.
fn issuer(settings: &Settings, clock: &Clock) -> Result<Option<Issuer>, Invalid> {
    match (settings.supabase.signs_in, &settings.supabase.url, &settings.supabase.key) {
        (true, Some(url), Some(key)) => Ok(Some(Issuer::new(clock.clone(), fetcher_of(url, key.clone())?))),
        _ => Ok(None),
    }
}
