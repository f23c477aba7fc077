//! One service as a child process. It stops when its standard input closes, so it never outlives this process, however that ends.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result};
use tokio::process::{Child as Process, ChildStdin, Command};
use web::settings::ServiceName;

/// How much of a log is shown when a service ends by itself.
const LOG_TAIL_BYTES: u64 = 2_000;

/// A running service.
pub struct Child {
    service: ServiceName,
    process: Process,
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

impl Child {
    /// Starts the binary with its log at the end of `log_folder/NAME.log`: what was written before a crash is what is looked for after it.
    pub fn start(service: ServiceName, binary: &Path, variables: &[(String, String)], log_folder: &Path) -> Result<Self> {
        let log = log_folder.join(format!("{}.log", service.as_str()));
        let output = File::options().create(true).append(true).open(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone()?;
        let mut process = Command::new(binary)
            .arg("--exit-with-parent")
            // Huge pages would hold the unused halves of every socket's buffers in memory.
            .env("MIMALLOC_ALLOW_THP", "0")
            .envs(variables.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            .stdin(Stdio::piped())
            .stdout(Stdio::from(output))
            .stderr(Stdio::from(errors))
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stdin = process.stdin.take();
        Ok(Self { service, process, stdin, log })
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
