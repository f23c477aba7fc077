//! The bounded queue between the hub and one socket. When it is full the socket is not awaited and
//! the newest message is not squeezed in: the queue is thrown away and the client is told how much
//! it missed, because a client that knows it must read again is better off than a late one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::counter;
use tokio_util::sync::CancellationToken;

use crate::authority::Identity;
use crate::frame::{Frame, Version};
use crate::worker::ReadyList;

/// A second overflow within this time closes the socket.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages for which an empty queue may keep room; one that was never used has none, and most sockets are idle.
const KEPT: usize = 8;

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
    pub(crate) number: u64,
    pub(crate) ready: Arc<ReadyList>,
    queue: Mutex<Queue>,
}

/// What waits for one socket.
#[derive(Debug)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    capacity: usize,
    /// Whether the worker knows that there is something in it.
    is_listed: bool,
    is_closed: bool,
    lagging: bool,
    hopeless: bool,
    missed: HashMap<Membership, u64>,
    overflowed_at: Option<Instant>,
}

/// The socket's end of the queue.
#[derive(Debug)]
pub(crate) struct Inbox {
    subscriber: Arc<Subscriber>,
}

/// What the socket found in its queue.
#[derive(Debug)]
pub(crate) enum Taken {
    /// All that there was.
    All,
    /// There is more.
    Some,
    /// The queue overflowed: so many messages were lost per membership.
    Missed(HashMap<Membership, u64>),
    /// It overflowed again too soon; close.
    Hopeless,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    /// It is in the queue, and the worker must be told.
    First,
    /// It is in the queue, and the worker knows of others in it.
    Queued,
    Missed,
}

/// Makes a queue of `capacity` messages for the socket of this number, which its worker is told of by `ready`.
pub(crate) fn queue(
    capacity: usize,
    version: Version,
    identity: Arc<Identity>,
    number: u64,
    ready: Arc<ReadyList>,
) -> (Arc<Subscriber>, Inbox) {
    let queue = Mutex::new(Queue {
        deliveries: VecDeque::new(),
        capacity: capacity.max(1),
        is_listed: false,
        is_closed: false,
        lagging: false,
        hopeless: false,
        missed: HashMap::new(),
        overflowed_at: None,
    });
    let subscriber = Arc::new(Subscriber { version, identity, evicted: CancellationToken::new(), number, ready, queue });
    (Arc::clone(&subscriber), Inbox { subscriber })
}

impl Subscriber {
    /// Queues a frame, or counts it as missed when there is no room. Never waits; [`crate::worker::FanOut`] tells the worker.
    pub(crate) fn offer(&self, delivery: Delivery) -> Offered {
        let mut queue = locked(&self.queue);
        if queue.is_closed {
            return Offered::Missed;
        }
        if !queue.lagging && queue.deliveries.len() < queue.capacity {
            queue.deliveries.push_back(delivery);
            return if std::mem::replace(&mut queue.is_listed, true) { Offered::Queued } else { Offered::First };
        }
        if !queue.lagging {
            let now = Instant::now();
            let soon = |earlier| now.saturating_duration_since(earlier) < PATIENCE;
            queue.hopeless = queue.overflowed_at.is_some_and(soon);
            queue.overflowed_at = Some(now);
            queue.lagging = true;
        }
        queue.miss(delivery.membership);
        Offered::Missed
    }
}

/// Locks even after a panic elsewhere: counts stay usable, whatever happened to that thread.
fn locked(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    fn miss(&mut self, membership: Membership) {
        *self.missed.entry(membership).or_default() += 1;
        counter!("realtime_messages_dropped_total").increment(1);
    }

    /// After an overflow everything in the queue counts as missed.
    fn give_up(&mut self) -> Taken {
        for delivery in std::mem::take(&mut self.deliveries) {
            self.miss(delivery.membership);
        }
        self.lagging = false;
        let missed = std::mem::take(&mut self.missed);
        if self.hopeless { Taken::Hopeless } else { Taken::Missed(missed) }
    }
}

impl Inbox {
    /// Takes messages until there are none or `wants_more` says so.
    pub(crate) fn take(&mut self, mut wants_more: impl FnMut(Delivery) -> bool) -> Taken {
        let mut queue = locked(&self.subscriber.queue);
        if queue.lagging {
            return queue.give_up();
        }
        while let Some(delivery) = queue.deliveries.pop_front() {
            if !wants_more(delivery) && !queue.deliveries.is_empty() {
                return Taken::Some;
            }
        }
        if queue.deliveries.capacity() > KEPT {
            queue.deliveries = VecDeque::new();
        }
        queue.is_listed = false;
        Taken::All
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let mut queue = locked(&self.subscriber.queue);
        queue.is_closed = true;
        queue.deliveries = VecDeque::new();
    }
}
