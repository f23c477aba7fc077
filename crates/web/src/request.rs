//! What is known about the request being answered, everywhere below its handler: its id and its trace, to be passed on to peers.

use actix_web::http::header::HeaderMap;
use peers::trace;
use tracing::Span;
use uuid::Uuid;

/// Header with the id of a request, accepted and returned.
pub const REQUEST_ID: &str = "x-request-id";

/// Longest id accepted from outside.
const MAX_ID_LENGTH: usize = 100;

/// Id and trace of one request.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The caller's `x-request-id`, or a new one.
    pub id: String,
    /// W3C `traceparent`: that of the exported span; where none is exported the caller's when well formed, or a new one.
    pub traceparent: String,
    /// Whether the caller sent one.
    has_trace: bool,
}

tokio::task_local! {
    static CURRENT: RequestContext;
}

impl RequestContext {
    /// From the headers of a request.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let id = text(REQUEST_ID).filter(|id| is_acceptable_id(id)).map_or_else(|| Uuid::now_v7().simple().to_string(), str::to_owned);
        let given = text("traceparent").filter(|t| is_traceparent(t));
        Self { id, traceparent: given.map_or_else(new_traceparent, str::to_owned), has_trace: given.is_some() }
    }

    /// Makes the span of the request part of the caller's trace, and what is passed on part of the span.
    pub(crate) fn trace(&mut self, span: &Span) {
        if self.has_trace {
            trace::join(span, &self.traceparent);
        }
        self.traceparent = trace::traceparent_of(span).unwrap_or_else(|| std::mem::take(&mut self.traceparent));
        span.record("traceparent", &self.traceparent);
    }

    /// Runs `work` with this as the current request.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }
}

/// Notes in the span of the request by whom, and for which tenant, it is made; neither is personal data.
pub(crate) fn enter_caller(caller: &str, tenant: Option<&str>) {
    let span = tracing::Span::current();
    span.record("caller", caller);
    if let Some(tenant) = tenant {
        span.record("tenant", tenant);
    }
}

/// The current request, for clients of other services; `None` outside of a request.
#[must_use]
pub fn current() -> Option<RequestContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Id of the current request.
#[must_use]
pub fn current_id() -> Option<String> {
    CURRENT.try_with(|context| context.id.clone()).ok()
}

fn is_acceptable_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID_LENGTH && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, W3C Trace Context.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str, n: usize| part.len() == n && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match parts.as_slice() {
        ["00", trace, span, flags] => {
            is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2) && trace.contains(|c| c != '0') && span.contains(|c| c != '0')
        }
        _ => false,
    }
}

fn new_traceparent() -> String {
    let span = Uuid::new_v4().simple().to_string();
    format!("00-{}-{}-01", Uuid::new_v4().simple(), span.get(..16).unwrap_or("00f067aa0ba902b7"))
}
