//! One service as a child process. It stops when its standard input closes, so it never outlives this process, however that ends.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::process::{Child as Process, ChildStdin, Command};
use web::settings::ServiceName;

/// How much of a log is shown when a service ends by itself.
const LOG_TAIL_BYTES: u64 = 2_000;

/// Times a service that ends by itself is started again before it is given up.
const MOST_RESTARTS: u32 = 5;

/// Pause before the first of them; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A service that ran for so long was well: what happened before counts no more.
const STEADY: Duration = Duration::from_secs(60);

/// How a service is started.
struct Start {
    binary: PathBuf,
    variables: Vec<(String, String)>,
}

/// A running service.
pub struct Child {
    service: ServiceName,
    start: Start,
    process: Process,
    stdin: Option<ChildStdin>,
    log: PathBuf,
    started: Instant,
    restarts: u32,
    /// When it is started again, while it does not run.
    restart_at: Option<Instant>,
}

impl Start {
    /// Starts the process; its lines go to the end of `log`.
    fn begin(&self, log: &Path) -> Result<(Process, Option<ChildStdin>)> {
        let output = File::options().create(true).append(true).open(log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone()?;
        let mut process = Command::new(&self.binary)
            .arg("--exit-with-parent")
            // Huge pages would hold the unused halves of every socket's buffers in memory.
            .env("MIMALLOC_ALLOW_THP", "0")
            .envs(self.variables.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            .stdin(Stdio::piped())
            .stdout(Stdio::from(output))
            .stderr(Stdio::from(errors))
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        let stdin = process.stdin.take();
        Ok((process, stdin))
    }
}

impl Child {
    /// Starts the binary with its log at the end of `log_folder/NAME.log`: what was written before a crash is what is looked for after it.
    pub fn start(service: ServiceName, binary: &Path, variables: &[(String, String)], log_folder: &Path) -> Result<Self> {
        let log = log_folder.join(format!("{}.log", service.as_str()));
        let start = Start { binary: binary.to_owned(), variables: variables.to_vec() };
        let (process, stdin) = start.begin(&log)?;
        Ok(Self { service, start, process, stdin, log, started: Instant::now(), restarts: 0, restart_at: None })
    }

    /// Starts a service that has ended by itself again, after a growing pause, and says so; why it is given up, when it ended too often.
    pub fn look_after(&mut self, now: Instant) -> Option<String> {
        if let Some(at) = self.restart_at {
            if now >= at {
                self.restart_at = None;
                match self.start.begin(&self.log) {
                    Ok((process, stdin)) => (self.process, self.stdin, self.started) = (process, stdin, now),
                    Err(error) => return Some(format!("{} cannot be started again: {error:#}", self.service.as_str())),
                }
            }
            return None;
        }
        let reason = self.ended()?;
        if now.saturating_duration_since(self.started) >= STEADY {
            self.restarts = 0;
        }
        let name = self.service.as_str();
        if self.restarts == MOST_RESTARTS {
            return Some(format!("{reason}\n{name} was started again {MOST_RESTARTS} times and ended each time: it is given up"));
        }
        let pause = FIRST_PAUSE * 2_u32.pow(self.restarts);
        self.restarts += 1;
        self.restart_at = Some(now + pause);
        eprintln!("{reason}\n{name} is started again in {} s ({} of {MOST_RESTARTS})", pause.as_secs(), self.restarts);
        None
    }

    /// Why the service ended, if it did.
    pub fn ended(&mut self) -> Option<String> {
        match self.process.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("{} ended by itself ({status}). {}", self.service.as_str(), self.log_tail())),
            Err(error) => Some(format!("{} cannot be watched: {error}", self.service.as_str())),
        }
    }

    /// Closes its standard input, at which it stops gracefully.
    pub fn ask_to_stop(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end and kills it at the deadline.
    pub async fn wait_until(&mut self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        if tokio::time::timeout(left, self.process.wait()).await.is_err() {
            eprintln!("{} did not stop in time and is killed", self.service.as_str());
            if let Err(error) = self.process.kill().await {
                eprintln!("{} cannot be killed: {error}", self.service.as_str());
            }
        }
    }

    fn log_tail(&self) -> String {
        let tail = File::open(&self.log).and_then(|mut file| {
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        });
        match tail {
            Ok(text) if text.trim().is_empty() => format!("Its log {} is empty", self.log.display()),
            Ok(text) => format!("The end of {}:\n{}", self.log.display(), text.trim_end()),
            Err(error) => format!("Its log {} cannot be read: {error}", self.log.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Looks until the service has ended.
    async fn outcome(child: &mut Child, now: Instant) -> Option<String> {
        let by = Instant::now() + Duration::from_secs(20);
        loop {
            let given_up = child.look_after(now);
            if given_up.is_some() || child.restart_at.is_some() {
                return given_up;
            }
            assert!(Instant::now() < by, "it goes on running");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_service_that_ends_again_and_again_is_given_up_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Child::start(ServiceName::RaterApp, Path::new("/bin/false"), &[], folder.path()).unwrap();
        std::fs::write(folder.path().join("rater-app.log"), "the disk is full\n").unwrap();
        let mut now = child.started;
        for pause in [1, 2, 4, 8, 16] {
            assert_eq!(outcome(&mut child, now).await, None);
            assert_eq!(child.restart_at, Some(now + Duration::from_secs(pause)));
            assert_eq!(child.look_after(now + Duration::from_millis(1)), None);
            assert!(child.restart_at.is_some(), "not before its pause is over");
            now += Duration::from_secs(pause);
            assert_eq!(child.look_after(now), None);
            assert!(child.restart_at.is_none(), "it runs again");
        }
        let why = outcome(&mut child, now).await.unwrap();
        assert!(why.contains("started again 5 times") && why.contains("the disk is full") && why.contains("exit status: 1"), "{why}");
        // What has run for long begins anew.
        assert_eq!(outcome(&mut child, now + STEADY).await, None);
        assert_eq!(child.restarts, 1);
    }
}
