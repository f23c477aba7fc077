//! The task that sends spans: what waits goes in batches; a batch that fails is tried again after a growing pause and then given up.

use std::sync::Arc;
use std::time::Duration;

use domain::invalid::Invalid;
use metrics::counter;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Url};
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::queue::count_dropped;

/// Most spans of one request.
const BATCH: usize = 512;

/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// Longest wait for the collector.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Times a batch is sent.
const TRIES: u32 = 4;

/// The collector.
pub(super) struct Collector {
    client: Client,
    url: Url,
    headers: HeaderMap,
    resource: ResourceAttributesWithSchema,
    pause: Duration,
    is_failing: bool,
}

impl Collector {
    pub(super) fn new(endpoint: &str, headers: HeaderMap, resource: &Resource, pause: Duration) -> Result<Self, Invalid> {
        let wrong = |why: String| Invalid::one("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{why}, for example http://127.0.0.1:4318"));
        let url = Url::parse(&format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .map_err(|reason| wrong(format!("{endpoint:?} is not a URL ({reason})")))?;
        // Collectors may be far away and behind TLS: the bound of a whole batch is the only one, unlike for peers next door.
        let client =
            crate::exchange::build_client(&url, TIMEOUT).map_err(|reason| wrong(format!("no HTTP client for {endpoint}: {reason}")))?;
        Ok(Self { client, url, headers, resource: resource.into(), pause, is_failing: false })
    }

    /// Sends a batch, again and again within bounds.
    async fn deliver(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len();
        let request =
            ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(batch, &self.resource) }.encode_to_vec();
        for attempt in 0..TRIES {
            match self.send(request.clone()).await {
                Ok(()) => {
                    counter!("endcap_spans_sent_total").increment(spans as u64);
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!("the collector of spans takes them again");
                    }
                    return;
                }
                Err(reason) => {
                    // Once for each outage: the counter says how much is lost.
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::warn!(%reason, "spans cannot be sent; they are dropped and counted until the collector takes them");
                    }
                    if attempt + 1 < TRIES {
                        tokio::time::sleep(self.pause * 2_u32.saturating_pow(attempt)).await;
                    }
                }
            }
        }
        count_dropped(spans, "collector");
    }

    async fn send(&self, body: Vec<u8>) -> Result<(), String> {
        let request = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .timeout(TIMEOUT);
        let response = request.body(body).send().await.map_err(|error| innermost(&error.without_url()))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("it answered {status}")),
        }
    }
}

/// What is behind an error: "connection refused" rather than "error sending request".
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Sends until told to close, and then what still waits.
pub(super) async fn send_all(mut collector: Collector, mut waiting: Receiver<SpanData>, closing: Arc<Notify>) {
    let mut is_closing = false;
    let mut batch = Vec::new();
    while !is_closing {
        tokio::select! {
            first = waiting.recv() => match first {
                Some(span) => batch.push(span),
                None => return,
            },
            () = closing.notified() => is_closing = true,
        }
        if !is_closing {
            tokio::select! {
                () = gather(&mut waiting, &mut batch) => {}
                () = tokio::time::sleep(GATHER) => {}
                () = closing.notified() => is_closing = true,
            }
        }
        if !is_closing && !batch.is_empty() {
            collector.deliver(std::mem::take(&mut batch)).await;
        }
    }
    loop {
        let is_empty = loop {
            match waiting.try_recv() {
                Ok(span) if batch.len() + 1 < BATCH => batch.push(span),
                Ok(span) => {
                    batch.push(span);
                    break false;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break true,
            }
        };
        if !batch.is_empty() {
            collector.deliver(std::mem::take(&mut batch)).await;
        }
        if is_empty {
            return;
        }
    }
}

/// Adds what comes until the batch is full.
async fn gather(waiting: &mut Receiver<SpanData>, batch: &mut Vec<SpanData>) {
    while batch.len() < BATCH {
        match waiting.recv().await {
            Some(span) => batch.push(span),
            None => return,
        }
    }
}
