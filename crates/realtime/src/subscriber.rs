//! The bounded queue between the hub and one socket. When it is full the socket is not awaited and
//! the newest message is not squeezed in: the queue is thrown away and the client is told how much
//! it missed, because a client that knows it must read again is better off than a late one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use metrics::counter;
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
    queue: Arc<Mutex<Queue>>,
}

/// An empty queue holds no memory: most sockets are idle.
#[derive(Debug)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    capacity: usize,
    waiting: Option<Waker>,
    is_closed: bool,
    lagging: bool,
    hopeless: bool,
    missed: HashMap<Membership, u64>,
    overflowed_at: Option<Instant>,
}

/// The socket's end of the queue.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Arc<Mutex<Queue>>,
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
    let queue = Arc::new(Mutex::new(Queue {
        deliveries: VecDeque::new(),
        capacity: capacity.max(1),
        waiting: None,
        is_closed: false,
        lagging: false,
        hopeless: false,
        missed: HashMap::new(),
        overflowed_at: None,
    }));
    let inbox = Inbox { queue: Arc::clone(&queue) };
    let subscriber = Subscriber { version, identity, evicted: CancellationToken::new(), queue };
    (Arc::new(subscriber), inbox)
}

impl Subscriber {
    /// Queues a frame and says whether there was room, else counts it as missed. Never waits.
    pub(crate) fn offer(&self, delivery: Delivery) -> bool {
        let mut queue = locked(&self.queue);
        if queue.is_closed {
            return false;
        }
        if !queue.lagging && queue.deliveries.len() < queue.capacity {
            queue.deliveries.push_back(delivery);
            let waiting = queue.waiting.take();
            drop(queue);
            if let Some(waker) = waiting {
                waker.wake();
            }
            return true;
        }
        if !queue.lagging {
            let now = Instant::now();
            let soon = |earlier| now.saturating_duration_since(earlier) < PATIENCE;
            queue.hopeless = queue.overflowed_at.is_some_and(soon);
            queue.overflowed_at = Some(now);
            queue.lagging = true;
        }
        queue.miss(delivery.membership);
        false
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

    /// What is there; after an overflow everything in the queue counts as missed.
    fn take(&mut self) -> Option<Arrival> {
        let first = self.deliveries.pop_front()?;
        if !self.lagging {
            if self.deliveries.is_empty() {
                self.deliveries = VecDeque::new();
            }
            return Some(Arrival::Delivery(first));
        }
        self.miss(first.membership);
        for delivery in std::mem::take(&mut self.deliveries) {
            self.miss(delivery.membership);
        }
        self.lagging = false;
        let missed = std::mem::take(&mut self.missed);
        Some(if self.hopeless { Arrival::Hopeless } else { Arrival::Missed(missed) })
    }
}

impl Inbox {
    /// Waits for the next arrival. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Arrival {
        std::future::poll_fn(|context| {
            let mut queue = locked(&self.queue);
            if let Some(arrival) = queue.take() {
                return Poll::Ready(arrival);
            }
            if queue.waiting.as_ref().is_none_or(|known| !known.will_wake(context.waker())) {
                queue.waiting = Some(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// The next arrival, if there is one.
    pub(crate) fn next_now(&mut self) -> Option<Arrival> {
        locked(&self.queue).take()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let mut queue = locked(&self.queue);
        queue.is_closed = true;
        queue.deliveries = VecDeque::new();
        queue.waiting = None;
    }
}
