//! What the three binaries do alike before and after serving: arguments, settings, logging, signals, exit code.

use std::error::Error;
use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::probe;
use crate::settings::{ServiceName, Settings};
use crate::telemetry;

/// The commit that the programs were built from, when the build says so.
pub const GIT_COMMIT: &str = match option_env!("ENDCAP_GIT_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Longest time in which the last spans are sent when a service stops.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// A binary, as its `main` describes it.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Which service.
    pub service: ServiceName,
    /// One sentence for `--help`.
    pub about: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// What is wanted of the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Help,
    Version,
    CheckConfig,
    CheckHealth,
    Serve { exits_with_parent: bool },
}

/// Runs a service: reads arguments and settings, starts logging and the runtime, and cancels the token at SIGTERM, SIGINT or,
/// with `--exit-with-parent`, at the end of standard input.
///
/// ```no_run
/// use web::settings::ServiceName;
/// use web::start::{Program, run};
///
/// fn main() -> std::process::ExitCode {
///     let program = Program { service: ServiceName::RaterApp, about: "Raters judge tasks.", version: env!("CARGO_PKG_VERSION") };
///     run(program, |settings, shutdown| async move {
///         let _ = settings; // open storage, then web::server::serve(..)
///         shutdown.cancelled().await;
///         Ok(())
///     })
/// }
/// ```
pub fn run<F, Fut>(program: Program, serve: F) -> ExitCode
where
    F: FnOnce(Settings, CancellationToken) -> Fut,
    Fut: Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
{
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let exits_with_parent = match parse(&arguments) {
        Ok(Wish::Help) => return say(&help(program)),
        Ok(Wish::Version) => return say(&format!("{} {} ({})", program.service.as_str(), program.version, GIT_COMMIT)),
        Ok(Wish::CheckConfig) => return check_config(program),
        Ok(Wish::CheckHealth) => return check_health(program),
        Ok(Wish::Serve { exits_with_parent }) => exits_with_parent,
        Err(problem) => return fail(program, 2, &format!("{problem}\nTry --help.")),
    };
    let settings = match Settings::load() {
        Ok(settings) => settings,
        Err(error) => return fail(program, 2, &error.to_string()),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(settings.limits.workers.min(4)).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(program, 1, &format!("the runtime cannot start: {error}")),
    };
    let spans = telemetry::start(&settings, program.service.as_str(), program.version, runtime.handle());
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let stop_within = settings.limits.shutdown_timeout;
    let shutdown = CancellationToken::new();
    let outcome = runtime.block_on(async {
        let signals = tokio::spawn(wait_for_signal(shutdown.clone()));
        if exits_with_parent {
            watch_standard_input(shutdown.clone());
        }
        let outcome = serve(settings, shutdown.clone()).await;
        shutdown.cancel();
        signals.abort();
        if let Some(spans) = &spans {
            spans.close(LAST_SPANS).await;
        }
        outcome
    });
    runtime.shutdown_timeout(stop_within);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(program, 1, &chain(error.as_ref())),
    }
}

fn parse(arguments: &[String]) -> Result<Wish, String> {
    let mut wish = Wish::Serve { exits_with_parent: false };
    for argument in arguments {
        match argument.as_str() {
            "-h" | "--help" => return Ok(Wish::Help),
            "-V" | "--version" => return Ok(Wish::Version),
            "--check-config" => wish = Wish::CheckConfig,
            "--check-health" => wish = Wish::CheckHealth,
            "--exit-with-parent" if matches!(wish, Wish::Serve { .. }) => wish = Wish::Serve { exits_with_parent: true },
            "--exit-with-parent" => {}
            other => return Err(format!("unknown argument {other:?}")),
        }
    }
    Ok(wish)
}

fn help(program: Program) -> String {
    format!(
        "{about}\n\nUsage: {name} [OPTIONS]\n\nOptions:\n  \
         --check-config       check the configuration, print what is wrong, and exit\n  \
         --check-health       ask the service that runs here whether it is ready, and exit\n  \
         --exit-with-parent   stop when standard input reaches its end\n  \
         -V, --version        print the version\n  \
         -h, --help           print this help\n\n\
         Configuration comes from the environment; docs/configuration.md lists all keys. Port: {port}.",
        about = program.about,
        name = program.service.as_str(),
        port = program.service.port_key(),
    )
}

fn check_config(program: Program) -> ExitCode {
    match Settings::load() {
        Ok(settings) => {
            for warning in &settings.warnings {
                eprintln!("warning: {warning}");
            }
            let address = settings.service(program.service);
            say(&format!(
                "the configuration is good: {} on {}, reached at {}",
                program.service.as_str(),
                settings.public_socket(program.service),
                address.public_url
            ))
        }
        Err(error) => fail(program, 2, &error.to_string()),
    }
}

fn check_health(program: Program) -> ExitCode {
    let checked = Settings::load().map_err(|error| error.to_string()).and_then(|settings| probe::check(&settings, program.service));
    match checked {
        Ok(text) => say(&text),
        Err(text) => fail(program, 1, &text),
    }
}

async fn wait_for_signal(shutdown: CancellationToken) {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        _ = interrupt => {}
        () = terminate => {}
    }
    tracing::info!("signal received: stopping");
    shutdown.cancel();
}

/// A thread of its own, because a blocked read of standard input cannot be cancelled and would hold the runtime up.
fn watch_standard_input(shutdown: CancellationToken) {
    std::thread::spawn(move || {
        let mut buffer = [0_u8; 256];
        while matches!(std::io::stdin().read(&mut buffer), Ok(n) if n > 0) {}
        shutdown.cancel();
    });
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut lines = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        lines.push(cause.to_string());
        next = cause.source();
    }
    lines.join("\n  because: ")
}

fn say(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

fn fail(program: Program, code: u8, text: &str) -> ExitCode {
    eprintln!("{}: {text}", program.service.as_str());
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(text: &str) -> Result<Wish, String> {
        parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_understood_or_named() {
        assert_eq!(wish(""), Ok(Wish::Serve { exits_with_parent: false }));
        assert_eq!(wish("--exit-with-parent"), Ok(Wish::Serve { exits_with_parent: true }));
        assert_eq!(wish("--check-config"), Ok(Wish::CheckConfig));
        assert_eq!(wish("--check-health --exit-with-parent"), Ok(Wish::CheckHealth));
        assert_eq!(wish("--help"), Ok(Wish::Help));
        assert_eq!(wish("--prot"), Err("unknown argument \"--prot\"".to_owned()));
    }
}
