//! Counts for the page of exports, which may take longer than somebody waits for a page: they are made beside it, and the page shows how far
//! they are until they are done. Nobody's counting goes on when nobody asks for it any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::scope::Scope;
use serde_json::Value;
use tokio::sync::watch;
use web::problem::Problem;

use super::manifest;
use super::reader::Options;
use crate::state::State;

/// How long a page waits for its counts before it shows how far they are.
const PATIENCE: Duration = Duration::from_millis(700);

/// Counting that nobody has asked about for so long stops; counts that nobody has fetched for so long are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(20);

/// Countings at once in one process. One more is refused with the advice to come back.
const MOST: usize = 8;

/// How far a counting is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The share of everything that was read.
    pub share: f64,
    /// Rows so far.
    pub rows: u64,
    /// The manifest, or what was wrong, once done.
    pub done: Option<Result<Arc<Value>, String>>,
}

#[derive(Debug)]
struct Running {
    progress: watch::Receiver<Progress>,
    asked: Arc<Mutex<Instant>>,
}

/// The countings of this process, by what is counted for whom.
#[derive(Debug, Default)]
pub struct Countings(Mutex<HashMap<String, Running>>);

impl Countings {
    /// The counts of an export when they come soon, else how far they are; asking again goes on where it was.
    ///
    /// # Errors
    /// 503 when too many are counting at once.
    pub async fn ask(&self, state: &State, scope: &Scope, options: &Options) -> Result<Progress, Problem> {
        let key = format!("{}\n{:?}\n{options:?}", scope.actor(), scope.tenant());
        let mut told = self.find_or_begin(&key, state, scope, options)?;
        let is_done = told.wait_for(|progress| progress.done.is_some());
        let done = tokio::time::timeout(PATIENCE, is_done).await.ok().and_then(Result::ok).map(|progress| progress.clone());
        let progress = done.unwrap_or_else(|| told.borrow().clone());
        if progress.done.is_some() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
        Ok(progress)
    }

    fn find_or_begin(&self, key: &str, state: &State, scope: &Scope, options: &Options) -> Result<watch::Receiver<Progress>, Problem> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, running| !is_forgotten(&running.asked));
        if let Some(running) = all.get(key) {
            *running.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return Ok(running.progress.clone());
        }
        if all.len() >= MOST {
            return Err(Problem::unavailable("several exports are being counted, so that yours", 5));
        }
        let (tell, progress) = watch::channel(Progress::default());
        let asked = Arc::new(Mutex::new(Instant::now()));
        all.insert(key.to_owned(), Running { progress: progress.clone(), asked: asked.clone() });
        let (storage, scope, options) = (state.storage.scoped(scope), scope.clone(), options.clone());
        tokio::spawn(async move {
            let note = |share, rows| {
                if is_forgotten(&asked) {
                    return Err(Problem::unavailable("counting for nobody", 5));
                }
                tell.send_modify(|progress| (progress.share, progress.rows) = (share, rows));
                Ok(())
            };
            let done = manifest::manifest(&storage, &scope, &options, note).await;
            tell.send_modify(|progress| progress.done = Some(done.map(Arc::new).map_err(|problem| said(&problem))));
        });
        Ok(progress)
    }
}

/// What was wrong, for the page.
fn said(problem: &Problem) -> String {
    problem.errors().first().map_or_else(|| problem.detail().to_owned(), |error| error.message.clone())
}

fn is_forgotten(asked: &Mutex<Instant>) -> bool {
    asked.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > FORGOTTEN
}
