//! One request to a peer and its answer: token, headers, deadline, retries, circuit, and a bound on the answer's size.
//!
//! Everything here assumes that repeating is safe, which holds for all operations: they store nothing, or act once per id.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::invalid::Invalid;
use metrics::{counter, gauge};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use crate::circuit::Circuit;
use crate::context::RequestContext;
use crate::error::{PeerError, PeerErrorKind};
use crate::service_token::{self, ServiceClaims};
use crate::settings::PeerSettings;
use crate::trace;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);

/// Shorter than the five seconds after which our servers close an idle connection, so that a closed one is not picked.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Largest answer taken, in bytes.
pub(crate) const MAX_RESPONSE_BYTES: usize = 8 * 1024 * 1024;

/// Most repetitions of a call.
const MAX_RETRIES: u32 = 2;

/// Upper end of the wait before the first retry; doubles with each.
const RETRY_WAIT: Duration = Duration::from_millis(50);

/// Longest detail of a refusal kept, in characters.
const MAX_DETAIL_CHARS: usize = 1000;

/// Reads the time for the circuit.
pub(crate) type ReadInstant = Arc<dyn Fn() -> Instant + Send + Sync>;

/// What can be asked of a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    /// Verb, for people and metrics.
    pub name: &'static str,
    /// Path on the private listener.
    pub path: &'static str,
}

/// The way to one peer. Clones share connections and circuit.
#[derive(Clone)]
pub(crate) struct Exchange {
    peer: &'static str,
    base_url: String,
    caller: String,
    service_secret: SecretString,
    timeout: Duration,
    client: Client,
    circuit: Arc<Circuit>,
    read_instant: ReadInstant,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("peer", &self.peer).field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl Exchange {
    pub(crate) fn new(peer: &'static str, settings: PeerSettings) -> Result<Self, Invalid> {
        Self::with_clock(peer, settings, Arc::new(Instant::now))
    }

    pub(crate) fn with_clock(peer: &'static str, settings: PeerSettings, read_instant: ReadInstant) -> Result<Self, Invalid> {
        let url = settings.base_url()?;
        let client = build_client(&url, CONNECT_TIMEOUT)
            .map_err(|reason| Invalid::one("private_url", format!("no HTTP client for {url}: {reason}")))?;
        let exchange = Self {
            peer,
            base_url: url.as_str().trim_end_matches('/').to_owned(),
            caller: settings.caller,
            service_secret: settings.service_secret,
            timeout: settings.timeout,
            client,
            circuit: Arc::default(),
            read_instant,
        };
        exchange.export_circuit();
        Ok(exchange)
    }

    /// Sends `body` and reads the answer; at most two retries, all within the timeout.
    pub(crate) async fn post<B: Serialize + Sync, A: DeserializeOwned>(
        &self,
        operation: Operation,
        context: &RequestContext,
        tenant_id: Option<&str>,
        body: &B,
    ) -> Result<A, PeerError> {
        if !self.circuit.admits((self.read_instant)()) {
            let error = self.error(operation, PeerErrorKind::CircuitOpen, None);
            self.count(operation, &error.kind.to_string());
            return Err(error);
        }
        // For the export of spans only: log lines are about the request.
        let span = tracing::debug_span!("peer_call", peer = self.peer, operation = operation.name, outcome = tracing::field::Empty);
        if let (None, Some(traceparent)) = (trace::traceparent_of(&tracing::Span::current()), &context.traceparent) {
            trace::join(&span, traceparent);
        }
        let result = self.post_with_retries(operation, context, tenant_id, body).instrument(span.clone()).await;
        let outcome = result.as_ref().err().map_or_else(|| "ok".to_owned(), |error| error.kind.to_string());
        span.record("outcome", &outcome);
        if result.as_ref().is_err_and(PeerError::is_failure_of_the_peer) {
            trace::fail(&span);
        }
        match &result {
            Err(error) if error.is_failure_of_the_peer() => self.circuit.record_failure((self.read_instant)()),
            _ => self.circuit.record_success(),
        }
        self.export_circuit();
        self.count(operation, &outcome);
        result
    }

    pub(crate) fn is_circuit_open(&self) -> bool {
        self.circuit.is_open()
    }

    async fn post_with_retries<B: Serialize + Sync, A: DeserializeOwned>(
        &self,
        operation: Operation,
        context: &RequestContext,
        tenant_id: Option<&str>,
        body: &B,
    ) -> Result<A, PeerError> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        let mut retried = 0;
        loop {
            let remaining = deadline.saturating_duration_since(tokio::time::Instant::now());
            let attempt = self.attempt(operation, context, tenant_id, body, remaining);
            let mut error = match tokio::time::timeout_at(deadline, attempt).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => self.error(operation, PeerErrorKind::TimedOut, None),
            };
            error.retried = retried;
            let wait = retry_wait(retried, random());
            let wait_ends = tokio::time::Instant::now() + wait;
            if retried == MAX_RETRIES || !is_worth_retrying(&error.kind) || wait_ends >= deadline {
                return Err(error);
            }
            tracing::debug!(peer = self.peer, operation = operation.name, error = %error, "calling the peer again");
            tokio::time::sleep_until(wait_ends).await;
            retried += 1;
        }
    }

    async fn attempt<B: Serialize + Sync, A: DeserializeOwned>(
        &self,
        operation: Operation,
        context: &RequestContext,
        tenant_id: Option<&str>,
        body: &B,
        remaining: Duration,
    ) -> Result<A, PeerError> {
        let claims = ServiceClaims::new(&self.caller, self.peer, tenant_id, domain::time::now());
        let token = service_token::mint(&self.service_secret, &claims)
            .map_err(|reason| self.broken(operation, format!("no service token could be signed: {reason}"), None))?;
        let response = self
            .client
            .post(format!("{}{}", self.base_url, operation.path))
            .bearer_auth(token)
            .headers(headers(context, remaining))
            .json(body)
            .send()
            .await
            .map_err(|source| self.transport_error(operation, source))?;
        let status = response.status();
        let bytes = self.read_bounded(operation, response).await?;
        if !status.is_success() {
            return Err(self.error(operation, refusal(status.as_u16(), &bytes), None));
        }
        serde_json::from_slice(&bytes).map_err(|reason| self.broken(operation, format!("not the agreed JSON: {reason}"), None))
    }

    async fn read_bounded(&self, operation: Operation, mut response: Response) -> Result<Vec<u8>, PeerError> {
        let too_large = || self.broken(operation, format!("larger than {MAX_RESPONSE_BYTES} bytes"), None);
        if response.content_length().is_some_and(|length| length > MAX_RESPONSE_BYTES as u64) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| self.transport_error(operation, source))? {
            if bytes.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn transport_error(&self, operation: Operation, source: reqwest::Error) -> PeerError {
        // A connection that timed out is both; the peer has not seen the request, so it counts as unreachable.
        if source.is_connect() {
            self.error(operation, PeerErrorKind::Unreachable, Some(source))
        } else if source.is_timeout() {
            self.error(operation, PeerErrorKind::TimedOut, Some(source))
        } else if source.is_builder() {
            self.broken(operation, "the request could not be written as HTTP".to_owned(), Some(source))
        } else {
            self.broken(operation, "the connection broke off".to_owned(), Some(source))
        }
    }

    fn broken(&self, operation: Operation, reason: String, source: Option<reqwest::Error>) -> PeerError {
        self.error(operation, PeerErrorKind::Broken { reason }, source)
    }

    fn error(&self, operation: Operation, kind: PeerErrorKind, source: Option<reqwest::Error>) -> PeerError {
        PeerError { peer: self.peer, operation: operation.name, kind, retried: 0, source }
    }

    fn count(&self, operation: Operation, outcome: &str) {
        counter!("endcap_peer_calls_total", "peer" => self.peer, "operation" => operation.name, "outcome" => outcome.to_owned())
            .increment(1);
    }

    fn export_circuit(&self) {
        gauge!("endcap_peer_circuit_open", "peer" => self.peer).set(if self.circuit.is_open() { 1.0 } else { 0.0 });
    }
}

/// A client that talks to this address directly, no proxy and no redirects, and waits so long for a connection at most.
pub(crate) fn build_client(url: &Url, connect_timeout: Duration) -> reqwest::Result<Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Without one the HTTP client panics, for http:// too. When another thread was faster, its provider serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = Client::builder()
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    // Plain HTTP needs no certificates, and must work on machines that have none.
    let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    builder.build()
}

fn headers(context: &RequestContext, remaining: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-deadline-ms", HeaderValue::from(u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX)));
    let own = trace::traceparent_of(&tracing::Span::current());
    let passed_on = [("x-request-id", Some(&context.request_id)), ("traceparent", own.as_ref().or(context.traceparent.as_ref()))];
    for (name, value) in passed_on {
        // A value that is no header value came from outside and helps nobody; the call matters more.
        if let Some(Ok(value)) = value.map(|value| HeaderValue::from_str(value)) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn is_worth_retrying(kind: &PeerErrorKind) -> bool {
    matches!(kind, PeerErrorKind::Unreachable | PeerErrorKind::Refused { status: 502..=504, .. })
}

/// Full jitter: anything from zero to the doubled wait (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
fn retry_wait(retried: u32, random: u32) -> Duration {
    (RETRY_WAIT * 2_u32.saturating_pow(retried)).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// The random tail of a version 4 UUID.
fn random() -> u32 {
    let [.., a, b, c, d] = uuid::Uuid::new_v4().into_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The parts of a problem document (RFC 9457, with our extensions) that a caller can use.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ProblemBody {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    errors: Vec<domain::invalid::FieldError>,
}

fn refusal(status: u16, bytes: &[u8]) -> PeerErrorKind {
    let problem: ProblemBody = serde_json::from_slice(bytes).unwrap_or_default();
    let mut detail = problem.detail.or(problem.title).unwrap_or_else(|| "no explanation given".to_owned());
    if !problem.errors.is_empty() {
        detail = format!("{detail} ({})", Invalid { fields: problem.errors });
    }
    PeerErrorKind::Refused { status, code: problem.code, detail: detail.chars().take(MAX_DETAIL_CHARS).collect() }
}
