//! The same warning again and again, as when a database is down, is written once in a while with a count, so that the line which says something
//! else is seen. Errors and what is below warnings always pass.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};

/// How long a warning is not written again in the same words.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

/// Different warnings that are remembered; beyond them everything passes.
const MOST: usize = 256;

/// Longest text by which a warning is told when it was left out, in bytes.
const MAX_SAID: usize = 300;

/// The filter. Clones share what they remember.
#[derive(Clone)]
pub(crate) struct Quiet {
    every: Duration,
    now: Arc<dyn Fn() -> Instant + Send + Sync>,
    known: Arc<Mutex<HashMap<(Identifier, String), Known>>>,
}

struct Known {
    written: Instant,
    left_out: u64,
}

impl Quiet {
    pub(crate) fn new() -> Self {
        Self::with_clock(EVERY, Arc::new(Instant::now))
    }

    fn with_clock(every: Duration, now: Arc<dyn Fn() -> Instant + Send + Sync>) -> Self {
        Self { every, now, known: Arc::default() }
    }

    /// What was left out since the last time this was asked, and how often.
    pub(crate) fn left_out(&self) -> Vec<(String, u64)> {
        let now = (self.now)();
        let mut known = self.known();
        let told = known.iter_mut().filter(|(_, one)| one.left_out > 0);
        let told = told.map(|((_, said), one)| (said.clone(), std::mem::take(&mut one.left_out))).collect();
        known.retain(|_, one| now.duration_since(one.written) < self.every);
        told
    }

    /// Tells what was left out, as long as the process runs.
    pub(crate) async fn tell_always(self) {
        loop {
            tokio::time::sleep(self.every).await;
            for (warning, times) in self.left_out() {
                tracing::warn!(times, warning, "the same warning came again and was left out");
            }
        }
    }

    fn passes(&self, site: Identifier, said: String) -> bool {
        let now = (self.now)();
        let mut known = self.known();
        if let Some(one) = known.get_mut(&(site.clone(), said.clone())) {
            if now.duration_since(one.written) < self.every {
                one.left_out += 1;
                return false;
            }
            one.written = now;
            return true;
        }
        if known.len() < MOST {
            known.insert((site, said), Known { written: now, left_out: 0 });
        }
        true
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(Identifier, String), Known>> {
        // Counts are whole after each change.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Filter<S> for Quiet {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // What the filter beside it lets through.
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() != Level::WARN || metadata.target() == module_path!() {
            return true;
        }
        let mut said = Said(String::new());
        event.record(&mut said);
        self.passes(metadata.callsite(), said.0)
    }
}

/// The words and fields of a warning.
struct Said(String);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.0.len() > MAX_SAID {
            return;
        }
        let before = if self.0.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{before}{value:?}"),
            name => write!(self.0, "{before}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io;

    use tracing_subscriber::filter::FilterExt as _;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{EnvFilter, Layer as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn warn(error: &str) {
        tracing::warn!(error, "no database connection");
    }

    #[test]
    fn a_warning_that_repeats_is_written_once_and_counted() {
        let (lines, ahead) = (Lines::default(), Arc::new(Mutex::new(Duration::ZERO)));
        let (begun, later) = (Instant::now(), ahead.clone());
        let quiet = Quiet::with_clock(Duration::from_secs(5), Arc::new(move || begun + *later.lock().unwrap()));
        let writer = lines.clone();
        let layer =
            tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).with_filter(EnvFilter::new("info").and(quiet.clone()));
        let _held = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        for _ in 0..100 {
            warn("refused");
            tracing::error!("request failed");
        }
        warn("no such host");
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let count = |word: &str| text.lines().filter(|line| line.contains(word)).count();
        assert_eq!((count("refused"), count("no such host"), count("request failed")), (1, 1, 100), "{text}");
        let left_out = quiet.left_out();
        assert!(left_out.len() == 1 && left_out[0].1 == 99 && left_out[0].0.contains("no database connection"), "{left_out:?}");
        assert!(quiet.left_out().is_empty(), "told once");
        *ahead.lock().unwrap() = Duration::from_secs(6);
        warn("refused");
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains("refused")).count(), 2, "{text}");
        // Ever new words are no reason to remember ever more.
        for n in 0..1_000 {
            warn(&n.to_string());
        }
        assert!(quiet.known().len() <= MOST);
    }
}
