//! A server as a process of its own: ours, or a peer; killed when dropped.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;

use crate::bench::cpu;

/// With this variable the benchmark is the server, on the port that it names.
pub const SERVE: &str = "ENDCAP_BENCH_SERVE";

/// Who serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Endcap,
    /// uWebSockets, driven from Python.
    Uws(PathBuf),
    /// `ws` on Node.
    Ws(PathBuf),
    /// nchan in nginx: the server's file and the module's.
    Nchan(PathBuf, PathBuf),
    /// NATS over its own WebSocket listener: the server's file.
    Nats(PathBuf),
    /// Ourselves as we were: this benchmark's program of an earlier build.
    Earlier(PathBuf),
}

impl Kind {
    /// Ourselves, and the peers that are named by the environment.
    pub fn present() -> Vec<Self> {
        let path = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let mut kinds = vec![Self::Endcap];
        kinds.extend(path("ENDCAP_PEER_UWS").map(|folder| Self::Uws(folder.into())));
        kinds.extend(path("ENDCAP_PEER_WS").map(|folder| Self::Ws(folder.into())));
        kinds.extend(path("ENDCAP_PEER_NATS").map(|server| Self::Nats(server.into())));
        kinds.extend(path("ENDCAP_PEER_EARLIER").map(|program| Self::Earlier(program.into())));
        let nchan = path("ENDCAP_PEER_NCHAN");
        kinds
            .extend(nchan.iter().filter_map(|both| both.split_once(':')).map(|(server, module)| Self::Nchan(server.into(), module.into())));
        kinds
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Endcap => "endcap",
            Self::Uws(_) => "uWebSockets",
            Self::Ws(_) => "Node ws",
            Self::Nchan(..) => "nchan",
            Self::Nats(_) => "NATS",
            Self::Earlier(_) => "endcap, earlier",
        }
    }

    /// Whether it speaks our protocol.
    pub fn is_endcap(&self) -> bool {
        matches!(self, Self::Endcap | Self::Earlier(_))
    }
}

/// A running server.
pub struct Process {
    pub kind: Kind,
    pub port: u16,
    child: Child,
    folder: tempfile::TempDir,
}

impl Process {
    pub async fn start(kind: &Kind) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        let scripts = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/peers"));
        let mut command = match kind {
            Kind::Endcap => Command::new(std::env::current_exe()?),
            Kind::Earlier(program) => Command::new(program),
            Kind::Nats(server) => {
                let file = folder.path().join("nats.conf");
                // It listens for its own clients too; nobody is told where.
                let text = format!("host: 127.0.0.1\nport: -1\nwebsocket {{ host: 127.0.0.1, port: {port}, no_tls: true }}\n");
                std::fs::write(&file, text)?;
                let mut command = Command::new(server);
                command.arg("-c").arg(file);
                command
            }
            Kind::Uws(python) => {
                let mut command = Command::new(python.join("bin/python"));
                command.arg(scripts.join("fanout_uws.py")).arg(port.to_string());
                command
            }
            Kind::Ws(modules) => {
                // Node looks for modules beside the script.
                std::os::unix::fs::symlink(modules.join("node_modules"), folder.path().join("node_modules"))?;
                let script = folder.path().join("fanout_ws.mjs");
                std::fs::copy(scripts.join("fanout_ws.mjs"), &script)?;
                let mut command = Command::new("node");
                command.arg(script).arg(port.to_string());
                command
            }
            Kind::Nchan(server, module) => {
                let file = folder.path().join("nginx.conf");
                std::fs::write(&file, nginx(port, module, folder.path()))?;
                let mut command = Command::new(server);
                command.arg("-p").arg(folder.path()).arg("-c").arg(file);
                command
            }
        };
        // As it is deployed: huge pages would hold the unused halves of every socket's buffers.
        command.env("MIMALLOC_ALLOW_THP", "0");
        command.env(SERVE, port.to_string()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let child = command.spawn().with_context(|| format!("cannot start {}", kind.name()))?;
        let mut process = Self { kind: kind.clone(), port, child, folder };
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(process);
            }
            if let Some(status) = process.child.try_wait()? {
                bail!("{} ended at its start: {status}", kind.name());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("{} does not listen ({})", kind.name(), process.folder.path().display())
    }

    /// CPU time of the server so far.
    pub fn cpu(&self) -> Duration {
        cpu::of_tree(self.child.id())
    }

    /// Memory that is the server's own, in KiB.
    pub fn memory_kib(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).unwrap_or_default();
        let own = text.lines().filter(|line| line.starts_with("Private_Clean:") || line.starts_with("Private_Dirty:"));
        own.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One worker, so that the master's child is not left behind: without a master the process itself serves.
fn nginx(port: u16, module: &std::path::Path, folder: &std::path::Path) -> String {
    let (module, folder) = (module.display(), folder.display());
    format!(
        "load_module {module}; daemon off; master_process off; user root; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port};
    location = / {{ nchan_subscriber websocket; nchan_channel_id room; nchan_subscriber_first_message newest; }}
    location = /pub {{ nchan_publisher websocket; nchan_channel_id room; nchan_message_buffer_length 64; }}
  }}
}}
"
    )
}
