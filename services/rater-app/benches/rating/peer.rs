//! Label Studio on the same machine and database server: its next task and its annotation, behind gunicorn as its makers advise.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use storage::connection::{Access, Connection, execute};
use storage::url::DatabaseUrl;
use tempfile::TempDir;
use testkit::bench::cpu;
use testkit::http::Client;
use tokio::task::JoinSet;

use crate::stage::Stage;

const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";
/// Tasks in its project: more make its next task slower.
const TASKS: usize = 2_000;
/// Its first start makes its schema, which takes minutes.
const STARTS_WITHIN: Duration = Duration::from_secs(600);
const CONFIG: &str =
    r#"<View><Header value="$prompt"/><Pairwise name="pw" toName="a,b"/><Text name="a" value="$a"/><Text name="b" value="$b"/></View>"#;

/// What it did.
pub struct Figures {
    /// Tasks taken and annotated each second.
    pub per_second: f64,
    /// CPU milliseconds for each, application and database.
    pub cpu_ms: f64,
}

/// A process that is asked to end when dropped, so that its own children end too.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        Command::new("kill").arg(self.0.id().to_string()).status().ok();
        for _ in 0..100 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Its database on the server of the tests; dropped with it.
struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    fn make() -> Result<Self> {
        let made = Self { server: std::env::var("TEST_POSTGRES_URL")?, name: format!("endcap_peer_{}", std::process::id()) };
        made.run(&format!("CREATE DATABASE {}", made.name))?;
        Ok(made)
    }

    fn run(&self, statement: &str) -> Result<()> {
        let mut conn = Connection::open(&DatabaseUrl::parse(&self.server)?, Access::Write)?;
        Ok(execute(&mut conn, statement)?)
    }

    fn variables(&self) -> Result<[(&'static str, String); 12]> {
        let socket = self.server.split_once("host=").context("TEST_POSTGRES_URL names no socket folder (host=)")?.1;
        let text = str::to_owned;
        Ok([
            ("DJANGO_DB", text("default")),
            ("POSTGRE_NAME", self.name.clone()),
            ("POSTGRE_USER", text("postgres")),
            ("POSTGRE_PASSWORD", String::new()),
            ("POSTGRE_HOST", socket.split('&').next().unwrap_or_default().to_owned()),
            ("POSTGRE_PORT", text("5432")),
            // Otherwise it waits for the network.
            ("COLLECT_ANALYTICS", text("False")),
            ("LATEST_VERSION_CHECK", text("False")),
            ("SENTRY_DSN", String::new()),
            ("FRONTEND_SENTRY_DSN", String::new()),
            ("LOG_LEVEL", text("ERROR")),
            ("DJANGO_SETTINGS_MODULE", text("core.settings.label_studio")),
        ])
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        if let Err(error) = self.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name)) {
            eprintln!("could not drop {}: {error:#}", self.name);
        }
    }
}

/// Runs it for `time` on so many connections; `None` when `ENDCAP_PEER_LABEL_STUDIO` names no environment.
pub async fn label_studio(stage: &Stage, connections: usize, time: Duration) -> Result<Option<Figures>> {
    let Some(environment) = std::env::var_os("ENDCAP_PEER_LABEL_STUDIO").map(PathBuf::from) else {
        println!("Label Studio does not run beside: ENDCAP_PEER_LABEL_STUDIO names no Python environment with it");
        return Ok(None);
    };
    let (database, folder) = (OwnDatabase::make()?, TempDir::new()?);
    let variables = database.variables()?;
    let address = free_address()?;
    drop(first_start(&environment, folder.path(), &variables, address).await?);
    let server = gunicorn(&environment, folder.path(), &variables, address)?;
    until_it_answers(address).await?;
    let project = project(address).await?;
    let used = || cpu::of_tree(server.0.id()).as_secs_f64() + stage.used().database;
    let (before, begun) = (used(), Instant::now());
    let pairs = annotate(address, project, connections, time).await?;
    let wall = begun.elapsed().as_secs_f64();
    ensure!(pairs > 0, "Label Studio took no annotation in {time:?}");
    Ok(Some(Figures { per_second: pairs as f64 / wall, cpu_ms: (used() - before) * 1e3 / pairs as f64 }))
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn command(program: &Path, folder: &Path, variables: &[(&str, String)]) -> Command {
    let mut command = Command::new(program);
    command.envs(variables.iter().map(|(key, value)| (key, value))).env("LABEL_STUDIO_BASE_DATA_DIR", folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Its own server, which makes the schema and the account.
async fn first_start(environment: &Path, folder: &Path, variables: &[(&str, String)], address: SocketAddr) -> Result<Program> {
    let (port, folder_text) = (address.port().to_string(), folder.to_string_lossy());
    let arguments = ["start", "--no-browser", "--data-dir", &folder_text, "--internal-host", "127.0.0.1", "--port", &port];
    let account = ["--username", "bench@example.com", "--password", "label-studio-1", "--user-token", TOKEN, "--enable-legacy-api-token"];
    let program = environment.join("bin/label-studio");
    let child = command(&program, folder, variables).args(arguments).args(account).spawn();
    let running = Program(child.with_context(|| format!("cannot start {}", program.display()))?);
    until_it_answers(address).await?;
    Ok(running)
}

fn gunicorn(environment: &Path, folder: &Path, variables: &[(&str, String)], address: SocketAddr) -> Result<Program> {
    let find = "import importlib.util; print(importlib.util.find_spec('label_studio').submodule_search_locations[0])";
    let output = Command::new(environment.join("bin/python")).args(["-c", find]).output()?;
    let home = String::from_utf8(output.stdout)?;
    let arguments = ["--bind", &address.to_string(), "--workers", "2", "--threads", "4", "core.wsgi:application"];
    let program = environment.join("bin/gunicorn");
    let child = command(&program, folder, variables).current_dir(home.trim()).args(arguments).spawn();
    Ok(Program(child.with_context(|| format!("cannot start {}", program.display()))?))
}

async fn until_it_answers(address: SocketAddr) -> Result<()> {
    let begun = Instant::now();
    loop {
        if let Ok(answer) = ask(&mut Client::new(address), "GET", "/api/version", None).await
            && answer.is_object()
        {
            return Ok(());
        }
        ensure!(begun.elapsed() < STARTS_WITHIN, "Label Studio does not answer within {STARTS_WITHIN:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn project(address: SocketAddr) -> Result<i64> {
    let mut client = Client::new(address);
    let new = json!({"title": "pairs", "label_config": CONFIG, "maximum_annotations": 3});
    let project = ask(&mut client, "POST", "/api/projects", Some(&new)).await?["id"].as_i64().context("a project id")?;
    let text =
        |name: &str| format!("{name} plan: it keeps the floor of every placement and moves the rest to where it returns most. ").repeat(4);
    let task = |n: usize| json!({"data": {"prompt": format!("Plan {n}"), "a": text("first"), "b": text("second")}});
    let tasks: Vec<Value> = (0..TASKS).map(task).collect();
    ask(&mut client, "POST", &format!("/api/projects/{project}/import"), Some(&json!(tasks))).await?;
    Ok(project)
}

/// Takes a task and annotates it, again and again; how many.
async fn annotate(address: SocketAddr, project: i64, connections: usize, time: Duration) -> Result<usize> {
    let end = Instant::now() + time;
    let mut raters = JoinSet::new();
    for _ in 0..connections {
        raters.spawn(async move {
            let (mut client, mut done) = (Client::new(address), 0);
            let body =
                json!({"result": [{"from_name": "pw", "to_name": "a", "type": "pairwise", "value": {"selected": "left"}}], "lead_time": 9.0});
            while Instant::now() < end {
                let task = ask(&mut client, "GET", &format!("/api/projects/{project}/next"), None).await?;
                let id = task["id"].as_i64().context("a task id")?;
                ask(&mut client, "POST", &format!("/api/tasks/{id}/annotations/"), Some(&body)).await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut pairs = 0;
    while let Some(done) = raters.join_next().await {
        pairs += done??;
    }
    Ok(pairs)
}

async fn ask(client: &mut Client, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let (authorization, body) = (format!("Token {TOKEN}"), body.map(Value::to_string));
    let answer = client.send(method, path, &[("Authorization", &authorization)], body.as_ref().map(String::as_bytes)).await?;
    if !(200..300).contains(&answer.status) {
        bail!("{method} {path} answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    Ok(answer.json())
}
