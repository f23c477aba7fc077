//! Log lines for people or for machines, on standard error.

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, Settings};

/// Starts logging for the process; a second call changes nothing. A filter that cannot be read falls back to `info` and says so.
pub fn start(settings: &Settings) {
    let parsed = EnvFilter::try_new(&settings.log_filter);
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let is_set = match settings.log_format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
    };
    if let (Ok(()), Some(problem)) = (is_set, problem) {
        tracing::warn!(key = "RUST_LOG", %problem, "the log filter cannot be read; using info");
    }
}
