//! The three services as child processes of this one: started together, watched, stopped together.

mod child;
mod ports;
pub mod secrets;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use web::settings::{ServiceName, Settings};

use child::Child;
pub use ports::check_free;
pub use ports::choose_free;

/// Longest wait for a service to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Running services; dropping it kills what is left of them.
pub struct Stack {
    children: Vec<Child>,
    stop_within: Duration,
}

impl Stack {
    /// Starts the three services with these environment variables and waits until each says that it is ready.
    ///
    /// # Errors
    /// When a binary is missing, a service ends at its start (with the end of its log) or is not ready in time.
    pub async fn start(settings: &Settings, variables: &[(String, String)], log_folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(log_folder).with_context(|| format!("cannot create {}", log_folder.display()))?;
        let mut children = Vec::new();
        for service in ServiceName::ALL {
            children.push(Child::start(service, &binary(service)?, variables, log_folder)?);
        }
        // Drain, then stop, then a little for the operating system.
        let stop_within = settings.limits.drain + settings.limits.shutdown_timeout + Duration::from_secs(2);
        let mut stack = Self { children, stop_within };
        if let Err(error) = stack.wait_until_ready(settings).await {
            stack.stop().await;
            return Err(error);
        }
        Ok(stack)
    }

    /// Keeps the services running until one of them has ended too often; which one and why.
    pub async fn keep(&mut self) -> String {
        loop {
            if let Some(reason) = self.children.iter_mut().find_map(|child| child.look_after(Instant::now())) {
                return reason;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Asks every service to stop, waits, and kills what does not.
    pub async fn stop(&mut self) {
        for child in &mut self.children {
            child.ask_to_stop();
        }
        let until = Instant::now() + self.stop_within;
        for child in &mut self.children {
            child.wait_until(until).await;
        }
    }

    async fn wait_until_ready(&mut self, settings: &Settings) -> Result<()> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        let until = Instant::now() + READY_WITHIN;
        let mut waiting: Vec<ServiceName> = ServiceName::ALL.to_vec();
        let mut last_answer = String::new();
        while !waiting.is_empty() {
            if let Some(reason) = self.children.iter_mut().find_map(Child::ended) {
                bail!("{reason}");
            }
            if Instant::now() > until {
                let names: Vec<&str> = waiting.iter().map(|s| s.as_str()).collect();
                bail!("{} not ready after {} s; last answer: {last_answer}", names.join(", "), READY_WITHIN.as_secs());
            }
            let mut still = Vec::new();
            for service in waiting {
                let url = format!("http://{}/health/ready", settings.public_socket(service));
                match client.get(&url).send().await {
                    Ok(answer) if answer.status().is_success() => {}
                    Ok(answer) => {
                        last_answer = answer.text().await.unwrap_or_else(|e| e.to_string());
                        still.push(service);
                    }
                    Err(error) => {
                        last_answer = error.to_string();
                        still.push(service);
                    }
                }
            }
            waiting = still;
            if !waiting.is_empty() {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
        Ok(())
    }
}

/// The service's binary, which lies beside this one.
fn binary(service: ServiceName) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let path = own.with_file_name(service.as_str());
    if !path.is_file() {
        bail!("{} is missing; build it with: cargo build --release --bin {}", path.display(), service.as_str());
    }
    Ok(path)
}
