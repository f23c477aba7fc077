//! Whether a handler waits for the body of its request: an answer that is late because the request is, is the caller's to mend.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;

/// What is known of the arrival of a body.
#[derive(Clone, Default)]
pub(super) struct Arrival(Arc<AtomicBool>);

impl Arrival {
    /// Watches the body of a request, if it has one.
    pub(super) fn watch(request: &mut ServiceRequest) -> Self {
        let arrival = Self::default();
        match request.take_payload() {
            Payload::None => {}
            payload => {
                let watched = Watched { payload, is_awaited: Arc::clone(&arrival.0) };
                request.set_payload(Payload::Stream { payload: Box::pin(watched) });
            }
        }
        arrival
    }

    /// Whether the last thing that was asked of the body has not come.
    pub(super) fn is_awaited(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct Watched {
    payload: Payload,
    is_awaited: Arc<AtomicBool>,
}

impl Stream for Watched {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.payload).poll_next(context);
        self.is_awaited.store(polled.is_pending(), Ordering::Relaxed);
        polled
    }
}
