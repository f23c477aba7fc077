//! Passwords are hashed a few at a time, away from the threads that answer requests: each takes 19 MiB and most of a core, and anybody may ask for
//! one. Whoever waits too long for a turn is told to come back, and an account has one new password hashed at a time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use web::password;
use web::problem::Problem;

use crate::auth_refusal::AuthRefusal;

/// Passwords hashed at once.
const TURNS: usize = 2;

/// Longest wait for a turn.
const WAIT: Duration = Duration::from_secs(5);

/// The turns of one process.
#[derive(Debug)]
pub struct Hashing {
    turns: Arc<Semaphore>,
    wait: Duration,
    waiting: AtomicUsize,
    /// Accounts whose new passwords are being hashed, or wait for it.
    setting: Arc<Mutex<HashSet<String>>>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self::new(WAIT)
    }
}

impl Hashing {
    /// With this longest wait for a turn.
    #[must_use]
    pub fn new(wait: Duration) -> Self {
        Self { turns: Arc::new(Semaphore::new(TURNS)), wait, waiting: AtomicUsize::new(0), setting: Arc::default() }
    }

    /// How many wait for a turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// A turn, which lasts as long as the value.
    ///
    /// # Errors
    /// 429 when none came in time.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, AuthRefusal> {
        let _waits = Waits::begin(&self.waiting);
        let turn = tokio::time::timeout(self.wait, Arc::clone(&self.turns).acquire_owned()).await;
        turn.map_err(|_| AuthRefusal::hashing_is_busy(self.wait.as_secs().max(1)))?.map_err(|error| Problem::internal(error).into())
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// 429 when no turn came in time, 500 when the system gives no random salt.
    pub async fn hash(&self, password: String) -> Result<String, AuthRefusal> {
        let hashed = self.run(move || password::hash(&password)).await?;
        hashed.map_err(|error| Problem::internal(error).into())
    }

    /// Hashes a new password of an account, which may be asked for by its owner as often as they like, but not at the same time.
    ///
    /// # Errors
    /// 429 when another one of this account is being hashed; else as [`Self::hash`].
    pub async fn hash_for(&self, account_id: &str, password: String) -> Result<String, AuthRefusal> {
        let setting = Setting::begin(&self.setting, account_id).ok_or_else(AuthRefusal::password_is_being_set)?;
        let hashed = self.run(move || {
            let _setting = setting;
            password::hash(&password)
        });
        hashed.await?.map_err(|error| Problem::internal(error).into())
    }

    /// Whether a password is the one that was hashed ([`password::verify`]).
    ///
    /// # Errors
    /// 429 when no turn came in time: it was not looked at.
    pub async fn verify(&self, password: String, hashed: Option<String>) -> Result<bool, AuthRefusal> {
        self.run(move || password::verify(&password, hashed.as_deref())).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, AuthRefusal> {
        let turn = self.turn().await?;
        // With the work and not with the request: that may be given up while the work goes on.
        let work = move || {
            let _turn = turn;
            work()
        };
        actix_web::web::block(work).await.map_err(|error| Problem::internal(error).into())
    }
}

/// One more who waits, as long as the value lasts.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A new password of an account that is under way.
struct Setting {
    all: Arc<Mutex<HashSet<String>>>,
    account_id: String,
}

impl Setting {
    fn begin(all: &Arc<Mutex<HashSet<String>>>, account_id: &str) -> Option<Self> {
        let is_first = all.lock().unwrap_or_else(PoisonError::into_inner).insert(account_id.to_owned());
        is_first.then(|| Self { all: Arc::clone(all), account_id: account_id.to_owned() })
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account_id);
    }
}
