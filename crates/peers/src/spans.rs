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
    /// Headers that it asks for, as [`read_headers`] reads them; they may hold a secret.
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

/// Shows the counts of what is lost before anything is: an increase from nothing to something is none to whoever watches. For when the metrics of
/// the process begin, which is after its spans.
pub fn begin_counting() {
    queue::begin_counting();
}

/// Reads `name=value,name=value`, values percent-encoded, as OpenTelemetry defines `OTEL_EXPORTER_OTLP_HEADERS`; spaces around either do not count.
///
/// # Errors
/// [`Invalid`] with which part is wrong and what would be right; it never repeats a value.
pub fn read_headers(text: Option<&SecretString>) -> Result<HeaderMap, Invalid> {
    let mut headers = HeaderMap::new();
    let text = text.map(|text| text.expose_secret()).unwrap_or_default();
    for (i, part) in text.split(',').map(str::trim).filter(|part| !part.is_empty()).enumerate() {
        let wrong = |why: &str| Invalid::one("OTEL_EXPORTER_OTLP_HEADERS", format!("part {} {why}", i + 1));
        let (name, value) = part.split_once('=').ok_or_else(|| wrong("is not NAME=VALUE; a comma within a value is written %2C"))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong("has a name that no header can have"))?;
        let value = decode(value.trim())
            .ok_or_else(|| wrong("has a % that two hexadecimal digits do not follow; a percent sign is written %25"))?;
        let mut value =
            HeaderValue::from_bytes(&value).map_err(|_| wrong("has a value with signs that no header can have, such as a line break"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// What a percent-encoded text says; `None` when a `%` does not begin a byte.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(16 * digit()? + digit()?).ok()?
            }
            other => other,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn headers_are_read_as_opentelemetry_writes_them() {
        let read = read_headers(Some(&"authorization=Basic%20dXNlcjpwYXNz, x-keys = a%2Cb%25=,plain=Bearer abc".into())).unwrap();
        let said = |name: &str| read.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(said("authorization"), "Basic dXNlcjpwYXNz");
        assert_eq!(said("x-keys"), "a,b%=");
        assert_eq!(said("plain"), "Bearer abc", "a space needs no code");
        assert!(read.values().all(HeaderValue::is_sensitive));
        assert!(read_headers(None).unwrap().is_empty() && read_headers(Some(&" ,".into())).unwrap().is_empty());
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_refused_in_words_without_its_value() {
        for (text, why) in [
            ("a=b,hunter2", "part 2 is not NAME=VALUE; a comma within a value is written %2C"),
            ("a b=hunter2", "part 1 has a name that no header can have"),
            ("a=hunter2%", "part 1 has a % that two hexadecimal digits do not follow"),
            ("a=hunter2%zz", "part 1 has a % that two hexadecimal digits do not follow"),
            ("a=hunter2%é", "part 1 has a % that two hexadecimal digits do not follow"),
            ("a=hunter2%0A", "part 1 has a value with signs that no header can have"),
        ] {
            let said = read_headers(Some(&text.into())).unwrap_err().to_string();
            assert!(said.contains(why) && !said.contains("hunter2"), "{text}: {said}");
        }
    }
}
