//! Spans of requests for a collector, as OTLP over HTTP: off unless an address is set, and never in anybody's way. A span that is over goes
//! into a bounded queue; one task sends what is there. When the queue is full or the collector does not answer, spans are dropped and counted.

mod queue;
mod sending;
mod words;

use std::time::Duration;

use domain::invalid::Invalid;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use queue::Queue;
use sending::Collector;

/// Name of the instrumentation, and the beginning of the attributes that are ours.
const SCOPE: &str = "endcap";

/// Where spans go, and which.
#[derive(Debug, Clone)]
pub struct SpanSettings {
    /// Address of the collector; `/v1/traces` is added to it.
    pub endpoint: String,
    /// Headers that it asks for, as `name=value,name=value`; they may hold a secret.
    pub headers: Option<SecretString>,
    /// Share of the traces that begin here that is exported; those that others began are as they decided.
    pub share: f64,
    /// Name of the service.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Spans that may wait.
    pub queue: usize,
    /// Pause before a failed batch is sent again; doubles with each.
    pub pause: Duration,
}

impl SpanSettings {
    /// To this address, everything, with the bounds of production.
    #[must_use]
    pub fn new(endpoint: &str, service: &'static str, version: &'static str) -> Self {
        let endpoint = endpoint.to_owned();
        Self { endpoint, headers: None, share: 1.0, service, version, queue: 2_048, pause: Duration::from_secs(1) }
    }
}

/// The export of one process.
#[derive(Debug)]
pub struct Spans {
    provider: SdkTracerProvider,
    closing: std::sync::Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Spans {
    /// Begins to export, on this runtime. Nothing is sent before the first span is over.
    ///
    /// # Errors
    /// [`Invalid`] when the address or a header cannot be used.
    pub fn open(settings: &SpanSettings, runtime: &Handle) -> Result<Self, Invalid> {
        let resource = Resource::builder()
            .with_service_name(settings.service)
            .with_attribute(KeyValue::new("service.version", settings.version))
            .build();
        let headers = read_headers(settings.headers.as_ref())?;
        let collector = Collector::new(&settings.endpoint, headers, &resource, settings.pause)?;
        let (queue, waiting) = Queue::new(settings.queue);
        let closing = std::sync::Arc::new(Notify::new());
        let task = runtime.spawn(sending::send_all(collector, waiting, closing.clone()));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.share))))
            .with_resource(resource)
            .build();
        Ok(Self { provider, closing, task: Mutex::new(Some(task)) })
    }

    /// The layer that sees spans begin and end: ours only, never log lines, whose words are for the log.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let is_ours = filter_fn(|metadata| metadata.is_span() && words::is_ours(metadata.name())).with_max_level_hint(LevelFilter::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SCOPE))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_level(false)
            .with_target(false)
            .with_context_activation(false)
            .with_filter(is_ours)
    }

    /// Sends what waits, for so long at most.
    pub async fn close(&self, within: Duration) {
        self.closing.notify_one();
        let Some(mut task) = self.task.lock().await.take() else { return };
        if tokio::time::timeout(within, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Reads `name=value,name=value`; a refusal never repeats a value.
fn read_headers(text: Option<&SecretString>) -> Result<HeaderMap, Invalid> {
    let mut headers = HeaderMap::new();
    let text = text.map(|text| text.expose_secret()).unwrap_or_default();
    for (i, part) in text.split(',').map(str::trim).filter(|part| !part.is_empty()).enumerate() {
        let read = part.split_once('=').and_then(|(name, value)| {
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, value))
        });
        let Some((name, value)) = read else {
            return Err(Invalid::one("OTEL_EXPORTER_OTLP_HEADERS", format!("part {} is not NAME=VALUE", i + 1)));
        };
        headers.insert(name, value);
    }
    Ok(headers)
}
