//! The bounded queue of spans that are over. Whoever ends a span never waits: when the queue is full, the span is dropped and counted.

use std::time::Duration;

use metrics::counter;
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::words;

/// The entrance of the queue.
#[derive(Debug)]
pub(super) struct Queue(Sender<SpanData>);

impl Queue {
    /// A queue that holds so many spans.
    pub(super) fn new(most: usize) -> (Self, Receiver<SpanData>) {
        let (sender, receiver) = channel(most.max(1));
        (Self(sender), receiver)
    }
}

/// Shows the counts of both reasons.
pub(super) fn begin_counting() {
    for reason in ["queue_full", "collector"] {
        count_dropped(0, reason);
    }
}

/// Counts spans that are lost.
pub(super) fn count_dropped(spans: usize, reason: &'static str) {
    counter!("endcap_spans_dropped_total", "reason" => reason).increment(spans as u64);
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        let is_wanted = span.span_context.is_sampled() && words::translate(&mut span);
        if is_wanted && self.0.try_send(span).is_err() {
            count_dropped(1, "queue_full");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
