//! `endcap up` as a child of the test, on free ports.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// Longest wait for a debug build to load the whole bundle and be ready.
const READY_WITHIN: Duration = Duration::from_secs(240);

/// Six free ports by configuration key. All are held until all are known, so that none comes twice.
pub fn free_ports() -> Vec<(String, u16)> {
    let names = ["CAMPAIGN_RUNTIME", "RLHF_BACKEND", "RATER_APP"];
    let keys = names.iter().flat_map(|name| [format!("ENDCAP_{name}_PORT"), format!("ENDCAP_{name}_PRIVATE_PORT")]);
    let held: Vec<(String, TcpListener)> = keys.map(|key| (key, TcpListener::bind("127.0.0.1:0").unwrap())).collect();
    held.iter().map(|(key, listener)| (key.clone(), listener.local_addr().unwrap().port())).collect()
}

/// `endcap` with these ports and nothing of the configuration of whoever runs the test.
pub fn program(ports: &[(String, u16)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_endcap"));
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("ENDCAP_") || key == "DATABASE_URL") {
        command.env_remove(key);
    }
    command.envs(ports.iter().map(|(key, port)| (key, port.to_string())));
    // Webhooks may call this machine, where the receiver of their test listens.
    command.envs([("ENDCAP_WEBHOOK_HTTP", "allowed"), ("ENDCAP_WEBHOOK_PORTS", "*"), ("ENDCAP_WEBHOOK_NETWORKS", "127.0.0.0/8")]);
    // The sample data are found from the project's root.
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command
}

/// A running system; killed with everything below it when dropped.
pub struct Running {
    child: Option<Child>,
    pid: u32,
    lines: Arc<Mutex<String>>,
}

impl Running {
    /// Starts it and waits until it says that it is ready.
    pub fn start(folder: &Path, ports: &[(String, u16)]) -> Self {
        Self::start_with(folder, ports, &[])
    }

    /// As [`Running::start`], with more arguments.
    pub fn start_with(folder: &Path, ports: &[(String, u16)], more: &[&str]) -> Self {
        let mut command = program(ports);
        command.args(["up", "--data-dir"]).arg(folder).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(String::new()));
        let (ready, is_ready) = mpsc::channel();
        let (out, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        for stream in [Box::new(out) as Box<dyn std::io::Read + Send>, Box::new(errors)] {
            let (lines, ready) = (lines.clone(), ready.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let is_last = line.starts_with("endcap is ready");
                    lines.lock().unwrap().push_str(&(line + "\n"));
                    if is_last {
                        ready.send(()).ok();
                    }
                }
            });
        }
        drop(ready);
        let running = Self { pid: child.id(), child: Some(child), lines };
        is_ready.recv_timeout(READY_WITHIN).unwrap_or_else(|_| panic!("not ready:\n{}", running.output()));
        running
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        self.lines.lock().unwrap().clone()
    }

    /// Process id of a service that it started, while it runs.
    pub fn service(&self, name: &str) -> Option<u32> {
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        processes.into_iter().find(|process| {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
            let mut words = after.split(' ');
            let is_alive = words.next().is_some_and(|state| state != "Z");
            is_alive && words.next() == Some(self.pid.to_string().as_str()) && stat.contains(&format!("({name}"))
        })
    }

    /// Sends SIGTERM.
    pub fn terminate(&mut self) {
        let sent = Command::new("kill").arg(self.pid.to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let mut child = self.child.take().expect("waited for once");
        let (ended, has_ended) = mpsc::channel();
        std::thread::spawn(move || {
            // Nobody listens any more after the deadline.
            ended.send(child.wait()).ok();
        });
        match has_ended.recv_timeout(within) {
            Ok(status) => status.unwrap(),
            Err(_) => {
                Command::new("kill").args(["-9", &self.pid.to_string()]).status().unwrap();
                panic!("still running after {within:?}:\n{}", self.output())
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ending it closes the pipes by which the services know that they are to stop.
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
