//! One of our services as a child of a test or a benchmark: a real process on ports that the system chose, which can be killed at any moment.

use std::collections::VecDeque;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Longest wait for a service to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(60);

/// Lines of its log that are kept to be shown.
const LINES_KEPT: usize = 200;

/// A running service; killed when dropped.
pub struct Service {
    child: Child,
    /// Where its public listener answers.
    pub address: SocketAddr,
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Service {
    /// Starts a binary with these variables and nothing of the configuration of whoever runs the test, and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started or does not listen, with the end of its log.
    pub fn start(binary: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(binary);
        for (key, _) in std::env::vars() {
            if ["ENDCAP_", "SUPABASE_", "DATABASE_URL"].iter().any(|prefix| key.starts_with(prefix)) {
                command.env_remove(key);
            }
        }
        for service in ["CAMPAIGN_RUNTIME", "RLHF_BACKEND", "RATER_APP"] {
            command.env(format!("ENDCAP_{service}_PORT"), "0").env(format!("ENDCAP_{service}_PRIVATE_PORT"), "0");
        }
        command.env("ENDCAP_LOG_FORMAT", "json").envs(variables.iter().copied());
        // Its standard input closes when we end, however we end, and so it never outlives us.
        command.arg("--exit-with-parent").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let (tell, told) = mpsc::channel();
        let errors = child.stderr.take().context("its standard error")?;
        let kept = lines.clone();
        std::thread::spawn(move || read_log(BufReader::new(errors), &kept, &tell));
        let mut service = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), lines };
        match told.recv_timeout(LISTENS_WITHIN) {
            Ok(address) => service.address = address,
            Err(_) => bail!("{} does not listen:\n{}", binary.display(), service.log()),
        }
        Ok(service)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of its log.
    #[must_use]
    pub fn log(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }

    /// Ends it with SIGKILL, in the middle of whatever it does.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("it ended by itself ({status}):\n{}", self.log());
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn read_log(log: impl std::io::BufRead, kept: &Mutex<VecDeque<String>>, tell: &mpsc::Sender<SocketAddr>) {
    for line in log.lines().map_while(Result::ok) {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if event["message"] == "listening"
            && let Some(address) = event["public"].as_str().and_then(|text| text.parse().ok())
        {
            // Nobody waits any more after the deadline.
            tell.send(address).ok();
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(line);
        if kept.len() > LINES_KEPT {
            kept.pop_front();
        }
    }
}
