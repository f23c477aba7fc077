//! What all handlers and jobs share.

use std::sync::Arc;

use domain::invalid::Invalid;
use domain::scope::Scope;
use domain::time::Clock;
use peers::rlhf_backend::RlhfBackend;
use peers::settings::PeerSettings;
use realtime::hub::Hub;
use realtime::limits::Limits;
use storage::store::Storage;
use supabase::auth::keys::fetcher;
use supabase::project::Project;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use web::access::Access;
use web::database::{KeyStore, limiter};
use web::issuer::Issuer;
use web::settings::{ServiceName, Settings};

use crate::attempts::Attempts;
use crate::dispatch::gather::Gather;
use crate::evidence::Known;
use crate::hashing::Hashing;
use crate::live::KnownKeys;
use crate::live::ended::Ended;
use crate::live::listeners::Listeners;
use crate::queue::Served;
use crate::remote_checks::RemoteChecks;

/// State of the service; cheap to clone.
#[derive(Clone)]
pub struct State {
    /// All settings.
    pub settings: Arc<Settings>,
    /// The database.
    pub storage: Storage,
    /// The time.
    pub clock: Clock,
    /// Who calls.
    pub access: Access,
    /// Where decided tasks are told.
    pub rlhf_backend: RlhfBackend,
    /// Who listens.
    pub hub: Hub,
    /// API keys that sockets came with.
    pub known_keys: KnownKeys,
    /// Access that has ended while tokens of it are out.
    pub ended: Ended,
    /// The hosted project in which people sign in, when it is used for that.
    pub hosted: Option<Project>,
    /// The Edge Function that checks candidates, when there is one.
    pub remote_checks: Option<RemoteChecks>,
    /// Who has tried too often.
    pub attempts: Arc<Attempts>,
    /// Turns at hashing passwords.
    pub hashing: Arc<Hashing>,
    /// Told after a commit that wrote realtime events.
    pub committed: Arc<Notify>,
    /// Told after a commit that decided a task.
    pub decided: Arc<Notify>,
    /// What earlier decisions say about raters.
    pub known: Known,
    /// Which retailers' tasks were given out lately.
    pub served: Served,
    /// Answers those who ask for the next task at the same moment.
    pub gather: Gather,
}

impl State {
    /// Makes the state; nothing is connected yet.
    ///
    /// # Errors
    /// [`Invalid`] when the address or secret for the RLHF backend, or a setting of the hosted project, is wrong.
    pub fn new(storage: Storage, settings: Settings, clock: Clock, shutdown: CancellationToken) -> Result<Self, Invalid> {
        let keys = Arc::new(KeyStore::new(storage.clone(), clock.clone()));
        let hosted = hosted(&settings)?;
        let remote_checks = remote_checks(&settings)?;
        let issuer = hosted.as_ref().map(|project| Issuer::new(clock.clone(), fetcher(project.clone())));
        let access = Access::new(&settings, ServiceName::RaterApp, clock.clone(), keys)
            .trusting(issuer)
            .limited_by(limiter(&settings, &storage, &clock));
        let rlhf_backend = RlhfBackend::new(PeerSettings {
            private_url: settings.rlhf_backend.private_url.clone(),
            caller: peers::RATER_APP.to_owned(),
            service_secret: settings.service_secret.clone(),
            timeout: settings.peer_timeout,
        })?;
        let known_keys = KnownKeys::new(clock.clone());
        let ended = Ended::default();
        let listeners = Listeners::new(access.clone(), known_keys.clone(), ended.clone(), &settings);
        let hub = Hub::new(Arc::new(listeners), Limits::default(), shutdown);
        let gather = Gather::new(storage.clone(), clock.clone(), crate::assignments::rules(&settings));
        Ok(Self {
            settings: Arc::new(settings),
            storage,
            clock,
            access,
            rlhf_backend,
            hub,
            known_keys,
            ended,
            remote_checks,
            hosted,
            attempts: Arc::new(Attempts::default()),
            hashing: Arc::default(),
            committed: Arc::new(Notify::new()),
            decided: Arc::new(Notify::new()),
            known: Known::default(),
            served: Served::default(),
            gather,
        })
    }

    /// The database with the eyes of whoever asks. Reviewers and raters work for every tenant: what they may see is decided by the tasks
    /// they hold, so row-level security, which knows tenants only, is for the others.
    #[must_use]
    pub fn storage_of(&self, scope: &Scope) -> Storage {
        if storage::tasks::visible_tenant(scope).is_some() { self.storage.scoped(scope) } else { self.storage.clone() }
    }

    /// Wakes what follows a commit that wrote realtime events: the pump for sockets.
    pub fn after_commit(&self) {
        self.committed.notify_one();
    }

    /// Wakes the delivery to the RLHF backend after a commit that decided a task.
    pub fn after_decision(&self) {
        self.decided.notify_one();
    }
}

/// The project in which people sign in.
fn hosted(settings: &Settings) -> Result<Option<Project>, Invalid> {
    let supabase = &settings.supabase;
    match (supabase.signs_in, &supabase.url, &supabase.key) {
        (true, Some(url), Some(key)) => {
            let project = Project::from_settings(url, key.clone(), supabase.service_key.clone(), supabase.jwt_secret.clone())?;
            if supabase.service_key.is_none() {
                return Err(Invalid::one(
                    "SUPABASE_SERVICE_KEY",
                    "is needed by the rater app when ENDCAP_SIGN_IN is supabase: it writes roles and rater profiles of users",
                ));
            }
            Ok(Some(project))
        }
        _ => Ok(None),
    }
}

/// The function that checks candidates.
fn remote_checks(settings: &Settings) -> Result<Option<RemoteChecks>, Invalid> {
    let supabase = &settings.supabase;
    let (Some(function), Some(url)) = (&supabase.checks_function, &supabase.url) else { return Ok(None) };
    let project = match (&supabase.key, &supabase.service_key) {
        (Some(key), service_key) => Project::from_settings(url, key.clone(), service_key.clone(), None)?,
        (None, Some(service_key)) => Project::for_service(url, service_key.clone())?,
        (None, None) => return Ok(None),
    };
    Ok(Some(RemoteChecks::new(project, function)))
}
