//! The bounded queue between the hub and one socket. When it is full the socket is not awaited and
//! the newest message is not squeezed in: the queue is thrown away and the client is told how much
//! it missed, because a client that knows it must read again is better off than a late one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::counter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::authority::Identity;
use crate::frame::{Frame, Version};

/// A second overflow within this time closes the socket.
const PATIENCE: Duration = Duration::from_secs(60);

/// Numbers one join of one room by one socket.
pub(crate) type Membership = u64;

/// One frame on its way to a member.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) membership: Membership,
    pub(crate) sequence: Option<i64>,
    pub(crate) frame: Frame,
}

/// The hub's end of the queue.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) version: Version,
    pub(crate) identity: Arc<Identity>,
    /// Cancelled when the service wants this socket gone.
    pub(crate) evicted: CancellationToken,
    sender: mpsc::Sender<Delivery>,
    lag: Arc<Mutex<Lag>>,
}

#[derive(Debug, Default)]
struct Lag {
    lagging: bool,
    hopeless: bool,
    missed: HashMap<Membership, u64>,
    overflowed_at: Option<Instant>,
}

/// The socket's end of the queue.
#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: mpsc::Receiver<Delivery>,
    lag: Arc<Mutex<Lag>>,
}

/// What the socket finds in its queue.
#[derive(Debug)]
pub(crate) enum Arrival {
    Delivery(Delivery),
    /// The queue overflowed: so many messages were lost per membership.
    Missed(HashMap<Membership, u64>),
    /// It overflowed again too soon; close.
    Hopeless,
}

/// Makes a queue of `capacity` messages for one socket.
pub(crate) fn queue(capacity: usize, version: Version, identity: Arc<Identity>) -> (Arc<Subscriber>, Inbox) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let lag = Arc::<Mutex<Lag>>::default();
    let inbox = Inbox { receiver, lag: Arc::clone(&lag) };
    let subscriber = Subscriber { version, identity, evicted: CancellationToken::new(), sender, lag };
    (Arc::new(subscriber), inbox)
}

impl Subscriber {
    /// Queues a frame and says whether there was room, else counts it as missed. Never waits.
    pub(crate) fn offer(&self, delivery: Delivery) -> bool {
        let mut lag = locked(&self.lag);
        let membership = delivery.membership;
        if !lag.lagging {
            match self.sender.try_send(delivery) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    let now = Instant::now();
                    let soon = |earlier| now.saturating_duration_since(earlier) < PATIENCE;
                    lag.hopeless = lag.overflowed_at.is_some_and(soon);
                    lag.overflowed_at = Some(now);
                    lag.lagging = true;
                }
            }
        }
        lag.miss(membership);
        false
    }
}

/// Locks even after a panic elsewhere: counts stay usable, whatever happened to that thread.
fn locked(lag: &Mutex<Lag>) -> MutexGuard<'_, Lag> {
    lag.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lag {
    fn miss(&mut self, membership: Membership) {
        *self.missed.entry(membership).or_default() += 1;
        counter!("realtime_messages_dropped_total").increment(1);
    }
}

impl Inbox {
    /// Waits for the next arrival; `None` when the hub has let go of the socket. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Option<Arrival> {
        let first = self.receiver.recv().await?;
        let mut lag = locked(&self.lag);
        if !lag.lagging {
            return Some(Arrival::Delivery(first));
        }
        lag.miss(first.membership);
        while let Ok(delivery) = self.receiver.try_recv() {
            lag.miss(delivery.membership);
        }
        lag.lagging = false;
        let missed = std::mem::take(&mut lag.missed);
        Some(if lag.hopeless { Arrival::Hopeless } else { Arrival::Missed(missed) })
    }
}
