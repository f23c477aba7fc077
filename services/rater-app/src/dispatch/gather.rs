//! Requests for the next task that come at the same moment are answered together. Nobody waits for others to come: while some are answered,
//! those who come meanwhile are the next to be answered together. So a busy service does less for each of them, and an idle one answers at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use domain::time::Clock;
use storage::error::StorageError;
use storage::store::Storage;
use storage::url::DatabaseUrl;
use tokio::sync::oneshot;

use super::together::next_of_several;
use super::{Next, Request, Rules};

/// Requests answered together at most: their transaction holds the locks of all of them.
const TOGETHER: usize = 16;
/// Requests that wait at most; whoever comes then is answered alone.
const WAITING: usize = 512;

/// Answers requests together; cheap to clone.
#[derive(Clone)]
pub struct Gather {
    storage: Storage,
    clock: Clock,
    rules: Arc<Rules>,
    workers: usize,
    line: Arc<Mutex<Line>>,
}

/// Where one answer goes.
type Answer = oneshot::Sender<Result<Option<Next>, StorageError>>;

#[derive(Default)]
struct Line {
    waiting: VecDeque<(Request, Answer)>,
    at_work: usize,
}

impl Gather {
    /// Answers by these rules, with as many connections at once as the machine has processors (two to eight).
    #[must_use]
    pub fn new(storage: Storage, clock: Clock, rules: Rules) -> Self {
        let workers = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
        Self { storage, clock, rules: Arc::new(rules), workers, line: Arc::default() }
    }

    /// The next task for a rater; `None` when it has to be looked for alone, in a transaction with the rater's lock.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] and [`StorageError::Busy`], which all who wait are told at once: each alone would wait as long again.
    pub async fn next(&self, request: &Request) -> Result<Option<Next>, StorageError> {
        if !matches!(self.storage.url(), DatabaseUrl::Postgres(_)) || self.rules.daily_judgments > 0 {
            return Ok(None);
        }
        let (sender, answer) = oneshot::channel();
        let is_worker_wanted = {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            if line.waiting.len() >= WAITING {
                return Ok(None);
            }
            line.waiting.push_back((request.clone(), sender));
            let is_wanted = line.at_work < self.workers;
            line.at_work += usize::from(is_wanted);
            is_wanted
        };
        if is_worker_wanted {
            // Not by whoever asks, who may go away: others wait for it too.
            tokio::spawn(Worker { gather: self.clone(), has_ended: false }.work());
        }
        // A sender that is gone is that of a worker that stopped.
        answer.await.unwrap_or(Ok(None))
    }
}

/// One that answers until nobody waits.
struct Worker {
    gather: Gather,
    has_ended: bool,
}

impl Worker {
    async fn work(mut self) {
        while let Some((requests, senders)) = self.take() {
            let gather = &self.gather;
            let (rules, now) = (Arc::clone(&gather.rules), gather.clock.now());
            let answered = gather.storage.read_and_write(move |conn| next_of_several(conn, &requests, &rules, now)).await;
            let answers = match answered {
                Ok(answers) => answers,
                Err(error) => {
                    self.refuse(&error, senders);
                    continue;
                }
            };
            for (sender, answer) in senders.into_iter().zip(answers) {
                // Whoever has gone away finds the lease at the next request.
                let _ = sender.send(Ok(answer));
            }
        }
    }

    /// Answers those whose request failed: alone, where that may help; and at once with all others who wait, where the database does not
    /// answer.
    fn refuse(&self, error: &StorageError, senders: Vec<Answer>) {
        let same: fn(&StorageError) -> Option<StorageError> = |error| match error {
            StorageError::Unavailable(why) => Some(StorageError::Unavailable(why.clone())),
            StorageError::Unready(why) => Some(StorageError::Unready(why.clone())),
            StorageError::Busy(why) => Some(StorageError::Busy(why)),
            _ => None,
        };
        let mut all = senders;
        if same(error).is_some() {
            let mut line = self.gather.line.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(line.waiting.drain(..).map(|(_, sender)| sender));
        } else if error.is_transient() {
            tracing::debug!(%error, "requests for the next task are answered one by one");
        } else {
            tracing::warn!(%error, "requests for the next task could not be answered together; each is answered alone");
        }
        for sender in all {
            // Whoever has gone away needs no answer.
            let _ = sender.send(same(error).map_or(Ok(None), Err));
        }
    }

    /// Those who are next; `None` when nobody waits, which ends the work before anybody else can come.
    fn take(&mut self) -> Option<(Vec<Request>, Vec<Answer>)> {
        let mut line = self.gather.line.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has gone away is given nothing.
        line.waiting.retain(|(_, sender)| !sender.is_closed());
        let some = line.waiting.len().min(TOGETHER);
        if some == 0 {
            line.at_work -= 1;
            drop(line);
            self.has_ended = true;
            return None;
        }
        Some(line.waiting.drain(..some).unzip())
    }
}

impl Drop for Worker {
    /// One that was stopped leaves nobody waiting: all who do are answered alone.
    fn drop(&mut self) {
        if !self.has_ended {
            let mut line = self.gather.line.lock().unwrap_or_else(PoisonError::into_inner);
            line.at_work -= 1;
            line.waiting.clear();
        }
    }
}
