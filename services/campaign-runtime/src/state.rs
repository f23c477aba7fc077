//! What handlers share in one process.

use std::sync::Arc;

use domain::invalid::Invalid;
use domain::scope::Scope;
use domain::time::Clock;
use peers::rater_app::RaterApp;
use peers::rlhf_backend::RlhfBackend;
use peers::settings::PeerSettings;
use storage::share::FairShare;
use storage::store::Storage;
use supabase::auth::keys::fetcher_of;
use web::access::Access;
use web::database::{KeyStore, limiter};
use web::issuer::Issuer;
use web::problem::Problem;
use web::settings::{ServiceName, Settings};

use crate::imports::work::Importer;

/// Budget problems solved at once; others wait a little, then are told to come again.
const SOLVERS: usize = 2;

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
    /// Scores plans.
    pub rlhf_backend: RlhfBackend,
    /// Has people judge plans.
    pub rater_app: RaterApp,
    /// Runs imports.
    pub imports: Arc<Importer>,
    solvers: FairShare,
}

impl State {
    /// Over this storage.
    ///
    /// # Errors
    /// [`Invalid`] naming each setting of a peer that is wrong.
    pub fn new(storage: Storage, settings: Settings, clock: Clock) -> Result<Self, Invalid> {
        let keys = Arc::new(KeyStore::new(storage.clone(), clock.clone()));
        let peer = |name: ServiceName| PeerSettings {
            private_url: settings.service(name).private_url.clone(),
            caller: peers::CAMPAIGN_RUNTIME.to_owned(),
            service_secret: settings.service_secret.clone(),
            timeout: settings.peer_timeout,
        };
        Ok(Self {
            access: Access::new(&settings, ServiceName::CampaignRuntime, clock.clone(), keys)
                .trusting(issuer(&settings, &clock)?)
                .limited_by(limiter(&settings, &storage, &clock)),
            rlhf_backend: RlhfBackend::new(peer(ServiceName::RlhfBackend))?,
            rater_app: RaterApp::new(peer(ServiceName::RaterApp))?,
            storage,
            imports: Arc::new(Importer::new(&settings.imports)),
            settings: Arc::new(settings),
            clock,
            solvers: FairShare::new(SOLVERS),
        })
    }

    /// Runs a computation of the planning maths beside the request threads: a bounded number at once, of which a tenant holds at most half.
    ///
    /// # Errors
    /// 503 when all solvers stay busy for the time that a peer is given; 429 `tenant_busy` when too much of this tenant waits already.
    pub async fn solve<T, F>(&self, scope: &Scope, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let permit = tokio::time::timeout(self.settings.peer_timeout, self.solvers.acquire(scope.tenant()))
            .await
            .map_err(|_| Problem::unavailable("planner", 2))??;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(Problem::internal)
    }
}

/// The keys of the hosted project's tokens, when people sign in there.
fn issuer(settings: &Settings, clock: &Clock) -> Result<Option<Issuer>, Invalid> {
    match (settings.supabase.signs_in, &settings.supabase.url, &settings.supabase.key) {
        (true, Some(url), Some(key)) => Ok(Some(Issuer::new(clock.clone(), fetcher_of(url, key.clone())?))),
        _ => Ok(None),
    }
}
