//! Requests for the next task that come at the same moment are answered together. Nobody waits for others to come: while some are answered,
//! those who come meanwhile are the next to be answered together. So a busy service does less for each of them, and an idle one answers at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use domain::time::Clock;
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
type Answer = oneshot::Sender<Option<Next>>;

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
    pub async fn next(&self, request: &Request) -> Option<Next> {
        if !matches!(self.storage.url(), DatabaseUrl::Postgres(_)) {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        let is_worker_wanted = {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            if line.waiting.len() >= WAITING {
                return None;
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
        answer.await.ok().flatten()
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
            let answers = answered.unwrap_or_else(|error| {
                tracing::debug!(%error, "requests for the next task are answered one by one");
                Vec::new()
            });
            let all = answers.into_iter().chain(std::iter::repeat_with(|| None));
            for (sender, answer) in senders.into_iter().zip(all) {
                // Whoever has gone away finds the lease at the next request.
                let _ = sender.send(answer);
            }
        }
    }

    /// Those who are next; `None` when nobody waits, which ends the work before anybody else can come.
    fn take(&mut self) -> Option<(Vec<Request>, Vec<Answer>)> {
        let mut line = self.gather.line.lock().unwrap_or_else(PoisonError::into_inner);
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
