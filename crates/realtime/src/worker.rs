//! What one worker has to write. Whoever says something puts it into the queues of the sockets that hear it, and lists these sockets here; the
//! worker then empties the queues, each with one write for all that has come together. So a message costs a socket a place in a queue, and many
//! messages cost it one call of the system.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tracing::error;

use crate::end::said;
use crate::subscriber::{Delivery, Offered, Subscriber};
use crate::writer::SocketWriter;

/// After so many sockets the worker looks after what else it has to do.
const TURN: usize = 64;
/// After it has written to all that were listed the worker rests so many times as long as that took.
const REST: u32 = 8;
pub(crate) const LONGEST_REST: Duration = Duration::from_millis(5);
/// A rest that the timer cannot measure is none.
const SHORTEST_REST: Duration = Duration::from_millis(1);

/// The sockets of a worker that have something in their queues; any thread may list them.
#[derive(Debug, Default)]
pub(crate) struct ReadyList {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    sockets: Vec<u64>,
    worker: Option<Waker>,
}

impl ReadyList {
    fn list(&self, number: u64) {
        self.lock().sockets.push(number);
    }

    fn ring(&self) {
        let worker = self.lock().worker.take();
        if let Some(worker) = worker {
            worker.wake();
        }
    }

    /// Waits for sockets and takes them all, in exchange for the empty list.
    async fn take(&self, list: &mut Vec<u64>) {
        std::future::poll_fn(|context| {
            let mut waiting = self.lock();
            if waiting.sockets.is_empty() {
                waiting.worker = Some(context.waker().clone());
                return Poll::Pending;
            }
            std::mem::swap(&mut waiting.sockets, list);
            Poll::Ready(())
        })
        .await;
    }

    /// Even after a panic elsewhere: every change is complete in itself.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says one thing to many sockets. Their workers are woken when it has been said to all, which is when this is dropped.
#[derive(Default)]
pub(crate) struct FanOut<'a> {
    lists: Vec<&'a Arc<ReadyList>>,
}

impl<'a> FanOut<'a> {
    /// Queues a frame and says whether there was room. Never waits.
    pub(crate) fn offer(&mut self, subscriber: &'a Subscriber, delivery: Delivery) -> bool {
        let offered = subscriber.offer(delivery);
        if offered == Offered::First {
            subscriber.ready.list(subscriber.number);
            if !self.lists.iter().any(|known| Arc::ptr_eq(known, &subscriber.ready)) {
                self.lists.push(&subscriber.ready);
            }
        }
        offered != Offered::Missed
    }
}

impl Drop for FanOut<'_> {
    fn drop(&mut self) {
        self.lists.iter().for_each(|ready| ready.ring());
    }
}

/// A worker's own sockets. It never leaves its thread.
#[derive(Default)]
pub(crate) struct WorkerSockets {
    pub(crate) ready: Arc<ReadyList>,
    writers: RefCell<HashMap<u64, Rc<SocketWriter>, BuildHasherDefault<Numbers>>>,
    is_running: Cell<bool>,
}

/// Hashes our own numbers, which nobody chooses.
#[derive(Default)]
struct Numbers(u64);

impl Hasher for Numbers {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte) ^ self.0));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A socket's registration with its worker, which writes for it until this is dropped.
pub(crate) struct Registration {
    worker: Rc<WorkerSockets>,
    number: u64,
}

impl WorkerSockets {
    /// Writes for this socket from now on, first what is in its queue already.
    pub(crate) fn register(self: &Rc<Self>, number: u64, writer: Rc<SocketWriter>) -> Registration {
        if !self.is_running.replace(true) {
            actix_web::rt::spawn(Rc::clone(self).work());
        }
        self.writers.borrow_mut().insert(number, writer);
        Registration { worker: Rc::clone(self), number }
    }

    async fn work(self: Rc<Self>) {
        let (mut listed, mut scratch) = (Vec::new(), BytesMut::new());
        loop {
            self.ready.take(&mut listed).await;
            let began = Instant::now();
            for (index, number) in listed.drain(..).enumerate() {
                if index % TURN == TURN - 1 {
                    tokio::task::yield_now().await;
                }
                let writer = self.writers.borrow().get(&number).cloned();
                if let Some(writer) = writer {
                    deliver(&writer, &mut scratch);
                }
            }
            // What is said meanwhile goes out with what comes next, and the worker has time for all else. After few sockets there is no rest.
            let rest = (REST * began.elapsed()).min(LONGEST_REST);
            if rest >= SHORTEST_REST {
                tokio::time::sleep(rest).await;
            }
        }
    }
}

/// Writes for one socket. A panic there must not end the worker, which writes for all others; of what was being done only the scratch is used again,
/// and that begins empty each time.
fn deliver(writer: &SocketWriter, scratch: &mut BytesMut) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| writer.deliver(scratch))) {
        writer.span.in_scope(|| error!(panic = said(panic.as_ref()), "writing to a socket failed; it is closed"));
        writer.fail();
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.worker.writers.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
