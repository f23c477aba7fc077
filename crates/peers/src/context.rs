//! What one request carries through all services, so that its log lines and spans can be found together.

use uuid::Uuid;

/// Identity of the request on whose behalf a peer is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    /// Passed on as `x-request-id`.
    pub request_id: String,
    /// W3C trace context, passed on as `traceparent`; `None` when the caller is not traced.
    pub traceparent: Option<String>,
}

impl RequestContext {
    /// For work that no request asked for (outbox, schedules): a new request id, no trace.
    #[must_use]
    pub fn for_background_work() -> Self {
        Self { request_id: Uuid::now_v7().to_string(), traceparent: None }
    }
}
