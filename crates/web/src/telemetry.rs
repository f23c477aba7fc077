//! Log lines for people or for machines, on standard error, and spans for a collector where one is configured.

mod quiet;

use peers::spans::{SpanSettings, Spans};
use tokio::runtime::Handle;
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::settings::{LogFormat, Settings};
use quiet::Quiet;

/// Starts logging for the process on its runtime, and the export of spans when there is a collector for them; a second call changes nothing.
/// A log filter that cannot be read falls back to `info` and says so.
pub(crate) fn start(settings: &Settings, service: &'static str, version: &'static str, runtime: &Handle) -> Option<Spans> {
    let Some(endpoint) = settings.telemetry.endpoint.as_ref() else {
        start_with(settings, None, runtime);
        return None;
    };
    let wanted = SpanSettings {
        headers: settings.telemetry.headers.clone(),
        share: settings.telemetry.share,
        ..SpanSettings::new(endpoint, service, version)
    };
    match Spans::open(&wanted, runtime) {
        Ok(spans) => {
            start_with(settings, Some(&spans), runtime);
            tracing::info!(%endpoint, share = wanted.share, "spans are exported");
            Some(spans)
        }
        // Nobody is to be without the service because nobody can watch it.
        Err(invalid) => {
            start_with(settings, None, runtime);
            tracing::warn!(%invalid, "no spans are exported");
            None
        }
    }
}

fn start_with(settings: &Settings, spans: Option<&Spans>, runtime: &Handle) {
    let parsed = EnvFilter::try_new(&settings.log_filter);
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer::<Registry>().with_writer(std::io::stderr);
    let lines = match settings.log_format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let quiet = Quiet::new();
    let layers = Registry::default().with(lines.with_filter(filter.and(quiet.clone())));
    let is_set = match spans {
        Some(spans) => layers.with(spans.layer()).try_init(),
        None => layers.try_init(),
    };
    if is_set.is_ok() {
        runtime.spawn(quiet.tell_always());
    }
    if let (Ok(()), Some(problem)) = (is_set, problem) {
        tracing::warn!(key = "RUST_LOG", %problem, "the log filter cannot be read; using info");
    }
}
