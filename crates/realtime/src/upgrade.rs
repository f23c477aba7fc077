//! How a connection leaves the HTTP server and becomes a socket of ours. Each new connection is duplicated; when an upgrade has been answered the
//! server lets go of its own, and the socket is read and written without it: no second task, no queue and no buffers between us and the system.

use std::any::Any;
use std::cell::Cell;
use std::convert::Infallible;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpRequest;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Extensions, Payload};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::sync::oneshot;

/// The second handle of a connection, until an upgrade takes it.
struct Duplicate(Cell<Option<TcpStream>>);

/// Keeps what an upgrade needs; belongs into `HttpServer::on_connect` of every server that serves [`crate::http::configure`].
pub fn keep(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() else { return };
    // Without it, when the process may open no more files, only an upgrade is refused.
    if let Ok(duplicate) = stream.as_fd().try_clone_to_owned() {
        extensions.insert(Duplicate(Cell::new(Some(duplicate.into()))));
    }
}

/// A connection that is on its way to us.
pub(crate) struct Handed {
    stream: TcpStream,
    over: oneshot::Receiver<BytesMut>,
}

/// Takes the connection of a request. The body must be that of the answer, or the connection stays where it is.
pub(crate) fn take(request: &HttpRequest, payload: Payload) -> Option<(LastBody, Handed)> {
    let stream = request.conn_data::<Duplicate>()?.0.take()?;
    let (told, over) = oneshot::channel();
    Some((LastBody { told: Some(told), payload: Box::pin(payload), read: BytesMut::new(), polls: 0 }, Handed { stream, over }))
}

impl Handed {
    /// The socket when the server has let go of it, with the bytes that the server had already read.
    pub(crate) async fn arrive(self) -> Option<(tokio::net::TcpStream, BytesMut)> {
        let read = self.over.await.ok()?;
        // What comes next is small and wanted at once.
        self.stream.set_nodelay(true).ok()?;
        Some((tokio::net::TcpStream::from_std(self.stream).ok()?, read))
    }
}

/// The body of the answer to an upgrade. It promises a byte, which is announced nowhere since an upgrade has no length, and ends without it: a
/// server must then drop the connection as it is, without a goodbye that would reach the other handle as well.
///
/// It also empties the payload of the request. The server reads up to 128 KiB from the connection each time before it asks for this body, and
/// moves what it has read into the payload, unless 32 KiB wait there already; what it has not moved when it drops the connection is lost. So the
/// payload is emptied twice: when the server asks again nothing waits in it, all that was read is moved, and nothing more is read until the end.
pub(crate) struct LastBody {
    told: Option<oneshot::Sender<BytesMut>>,
    payload: Pin<Box<Payload>>,
    read: BytesMut,
    polls: u8,
}

impl MessageBody for LastBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(1)
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.polls = self.polls.saturating_add(1);
        while let Poll::Ready(Some(Ok(chunk))) = self.payload.as_mut().poll_next(context) {
            self.read.extend_from_slice(&chunk);
        }
        if self.polls == 1 {
            // While the body waits the server sends the head.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(None)
    }
}

impl Drop for LastBody {
    fn drop(&mut self) {
        if let Some(told) = self.told.take().filter(|_| self.polls > 1) {
            // Nobody waits any more when the process stops.
            let _ = told.send(std::mem::take(&mut self.read));
        }
    }
}
