//! The writing side of one socket. Frames go straight to the system when it takes them; what it does not take waits here, and while anything
//! waits nothing else is written and nothing is read. All of this happens on the worker that the socket belongs to.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::task::{Context, Poll, Waker, ready};

use actix_http::ws::{CloseReason, Codec, Message};
use bytes::{Buf, BytesMut};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::codec::Encoder;
use tracing::Span;

use crate::end::End;
use crate::frame::Frame;
use crate::protocol::Protocol;
use crate::subscriber::{Inbox, Taken};

/// Deliveries of so many bytes are written together.
const TOGETHER_BYTES: usize = 64 * 1024;
/// A buffer that has grown beyond this is not kept for the next socket.
const KEPT_BYTES: usize = 1024 * 1024;

/// One socket, its conversation and what it still has to write.
pub(crate) struct SocketWriter {
    pub(crate) stream: TcpStream,
    /// What its log lines say of it.
    pub(crate) span: Span,
    state: RefCell<State>,
    /// The socket's task, which waits for news.
    task: Cell<Option<Waker>>,
    /// Set after a panic; beside the state, which may be in any state then.
    has_failed: Cell<bool>,
}

struct State {
    protocol: Protocol,
    inbox: Inbox,
    /// What the system did not take; the next bytes on the wire.
    unsent: BytesMut,
    stuck_since: Option<Instant>,
    /// What the socket's task has not heard yet: that the socket got stuck, or why it ends.
    has_news: bool,
    end: Option<End>,
    is_closing: bool,
}

impl SocketWriter {
    pub(crate) fn new(stream: TcpStream, protocol: Protocol, inbox: Inbox) -> Self {
        let state = State { protocol, inbox, unsent: BytesMut::new(), stuck_since: None, has_news: false, end: None, is_closing: false };
        Self { stream, span: Span::current(), state: RefCell::new(state), task: Cell::default(), has_failed: Cell::default() }
    }

    /// Lets the conversation go on.
    pub(crate) fn with<T>(&self, then: impl FnOnce(&mut Protocol) -> T) -> T {
        then(&mut self.state.borrow_mut().protocol)
    }

    /// Writes these frames before anything that waits in the queue.
    pub(crate) fn send(&self, frames: Vec<Frame>) {
        if frames.is_empty() {
            return;
        }
        let mut bytes = BytesMut::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        self.change(|state| state.write(&self.stream, &bytes));
    }

    pub(crate) fn pong(&self, bytes: bytes::Bytes) {
        self.control(Message::Pong(bytes));
    }

    pub(crate) fn ping(&self) {
        self.control(Message::Ping(bytes::Bytes::new()));
    }

    /// Writes the close frame; after it nothing is written. Leaves all channels.
    pub(crate) fn close(&self, end: &End) {
        {
            let state = &mut *self.state.borrow_mut();
            state.is_closing = true;
            state.protocol.leave_all();
        }
        self.control(Message::Close(Some(CloseReason { code: end.code, description: Some(end.reason.clone()) })));
    }

    /// Writes what waits in the queue, until it is empty or the system takes no more.
    pub(crate) fn deliver(&self, scratch: &mut BytesMut) {
        self.change(|state| state.deliver(&self.stream, scratch));
    }

    /// Ends the socket after a panic in one of its calls. Safe whatever the state is in, and whoever holds it.
    pub(crate) fn fail(&self) {
        self.has_failed.set(true);
        self.wake();
    }

    /// Holds the state, so that all else that needs it panics.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Sized + '_ {
        self.state.borrow_mut()
    }

    /// Since when the system has not taken all that it was given.
    pub(crate) fn stuck_since(&self) -> Option<Instant> {
        self.state.borrow().stuck_since
    }

    /// Waits until there is something that the socket's task must know: that the socket is stuck or free again, or that it ends. Writes what waits
    /// when the system takes it again. Safe to cancel.
    pub(crate) async fn attend(&self) -> Result<(), End> {
        std::future::poll_fn(|context| {
            if self.has_failed.get() {
                return Poll::Ready(Err(End::failed()));
            }
            let known = self.task.take().filter(|known| known.will_wake(context.waker()));
            self.task.set(known.or_else(|| Some(context.waker().clone())));
            self.state.borrow_mut().attend(&self.stream, context)
        })
        .await
    }

    /// Waits until all is written, or cannot be.
    pub(crate) async fn emptied(&self) {
        std::future::poll_fn(|context| self.state.borrow_mut().empty(&self.stream, context)).await;
    }

    fn control(&self, message: Message) {
        let mut bytes = BytesMut::new();
        // A message that is whole and not a continuation can always be encoded.
        if Codec::new().encode(message, &mut bytes).is_ok() {
            self.change(|state| state.write(&self.stream, &bytes));
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let has_news = {
            let mut state = self.state.borrow_mut();
            change(&mut state);
            state.has_news
        };
        if has_news {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

impl State {
    /// Writes whole frames, or keeps for later what the system does not take.
    fn write(&mut self, stream: &TcpStream, bytes: &[u8]) {
        if self.end.is_some() {
            return;
        }
        let taken = if self.unsent.is_empty() { self.offer(stream, bytes) } else { 0 };
        let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) else { return };
        self.unsent.extend_from_slice(rest);
        if self.stuck_since.is_none() {
            self.stuck_since = Some(Instant::now());
            self.has_news = true;
        }
    }

    /// How many of these bytes the system takes now.
    fn offer(&mut self, stream: &TcpStream, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            match stream.try_write(rest) {
                Ok(count) if count > 0 => taken += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => {
                    self.fail(End::lost());
                    return bytes.len();
                }
            }
        }
        taken
    }

    fn deliver(&mut self, stream: &TcpStream, scratch: &mut BytesMut) {
        while self.unsent.is_empty() && self.end.is_none() && !self.is_closing {
            let protocol = &mut self.protocol;
            scratch.clear();
            let taken = self.inbox.take(|delivery| {
                if let Some(frame) = protocol.deliver(delivery) {
                    frame.encode(scratch);
                }
                scratch.len() < TOGETHER_BYTES
            });
            match &taken {
                Taken::Hopeless => self.fail(End::too_slow()),
                Taken::Missed(missed) => self.protocol.missed(missed).into_iter().for_each(|frame| frame.encode(scratch)),
                Taken::All | Taken::Some => {}
            }
            self.write(stream, scratch);
            if scratch.capacity() > KEPT_BYTES {
                *scratch = BytesMut::new();
            }
            if matches!(taken, Taken::All) {
                return;
            }
        }
    }

    fn attend(&mut self, stream: &TcpStream, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        if std::mem::take(&mut self.has_news) {
            return Poll::Ready(self.end.take().map_or(Ok(()), Err));
        }
        if self.stuck_since.is_some() {
            ready!(self.empty(stream, context));
            self.deliver(stream, &mut BytesMut::new());
            self.has_news = false;
            return Poll::Ready(self.end.take().map_or(Ok(()), Err));
        }
        Poll::Pending
    }

    fn empty(&mut self, stream: &TcpStream, context: &mut Context<'_>) -> Poll<()> {
        while !self.unsent.is_empty() && self.end.is_none() {
            if ready!(stream.poll_write_ready(context)).is_err() {
                self.fail(End::lost());
                break;
            }
            let unsent = std::mem::take(&mut self.unsent);
            let taken = self.offer(stream, &unsent);
            self.unsent = unsent;
            self.unsent.advance(taken);
        }
        self.unsent = BytesMut::new();
        self.stuck_since = None;
        Poll::Ready(())
    }

    fn fail(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(end);
            self.has_news = true;
        }
    }
}
