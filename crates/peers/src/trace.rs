//! Where a request stands in its trace (W3C Trace Context): taken from whoever asked, and passed on to whom we ask.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes a span that has not been entered yet a child of what `traceparent` names; without effect when spans are not exported.
pub fn join(span: &Span, traceparent: &str) {
    let Some(parent) = read(traceparent) else { return };
    // Refused only where spans are not exported, or have begun already; then they stay as they are.
    drop(span.set_parent(Context::new().with_remote_span_context(parent)));
}

/// What is passed on as `traceparent` by work inside of this span; `None` when spans are not exported.
#[must_use]
pub fn traceparent_of(span: &Span) -> Option<String> {
    let context = span.context();
    let of_span = context.span();
    let place = of_span.span_context();
    place.is_valid().then(|| format!("00-{}-{}-{:02x}", place.trace_id(), place.span_id(), place.trace_flags().to_u8()))
}

/// Whether this span is exported when it is over.
#[must_use]
pub fn is_exported(span: &Span) -> bool {
    span.context().span().span_context().is_sampled()
}

/// Notes something about the request that the log line says elsewhere: for the exported span only.
pub fn note(span: &Span, name: String, value: String) {
    span.set_attribute(name, value);
}

/// Marks the span of a request that failed by our fault.
pub fn fail(span: &Span) {
    span.set_status(opentelemetry::trace::Status::error(""));
}

fn read(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    Some(SpanContext::new(trace, span, TraceFlags::new(flags), true, TraceState::default())).filter(SpanContext::is_valid)
}
