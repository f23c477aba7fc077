//! `endcap up`: from nothing to a running system on one machine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use storage::connection::{Access, Connection};
use storage::migrate;
use storage::url::DatabaseUrl;
use web::settings::{ServiceName, Settings};

use crate::demo;
use crate::stack::{self, Stack};

/// Arguments of `up`.
#[derive(Args)]
pub struct Arguments {
    /// Use this database instead of a SQLite file in the data folder
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// Folder of database, secrets and logs
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// Begin with an empty database: what was in it is lost
    #[arg(long)]
    pub fresh: bool,
    /// Do not load the sample data
    #[arg(long)]
    pub no_sample_data: bool,
    /// Folder of the sample data
    #[arg(long, value_name = "DIR")]
    pub sample_data_dir: Option<PathBuf>,
}

/// A system that is prepared: settings, and the variables its services are started with.
pub struct Prepared {
    /// What the services will read.
    pub settings: Settings,
    /// Environment of the services, beside ours.
    pub variables: Vec<(String, String)>,
    /// Where logs go.
    pub log_folder: PathBuf,
}

/// Starts everything and stays until a signal comes or a service has ended too often.
pub fn run(arguments: Arguments) -> Result<()> {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        // Listening from the first moment, so that a signal during the import is not lost.
        let stop = tokio::spawn(wait_for_signal());
        let prepared = {
            let work = tokio::task::spawn_blocking(move || prepare(&arguments, Vec::new()));
            tokio::pin!(work);
            loop {
                if stop.is_finished() {
                    // The import runs in one transaction per file: ending here leaves nothing half-written.
                    println!("stopped before the system was ready");
                    std::process::exit(130);
                }
                if let Ok(done) = tokio::time::timeout(Duration::from_millis(100), &mut work).await {
                    break done.context("preparing stopped")??;
                }
            }
        };
        let mut stack = Stack::start(&prepared.settings, &prepared.variables, &prepared.log_folder).await?;
        print_table(&prepared);
        println!("endcap is ready ({:.1} s)", started.elapsed().as_secs_f64());
        let ended = tokio::select! {
            _ = stop => None,
            reason = stack.keep() => Some(reason),
        };
        println!("stopping");
        stack.stop().await;
        match ended {
            None => {
                println!("stopped");
                Ok(())
            }
            Some(reason) => bail!("{reason}"),
        }
    })
}

/// Checks ports and folders, makes secrets, brings the schema up to date and loads the sample data.
///
/// # Errors
/// With what is wrong and what to do; nothing is half-written.
pub fn prepare(arguments: &Arguments, mut variables: Vec<(String, String)>) -> Result<Prepared> {
    let folder = &arguments.data_dir;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create the data folder {}", folder.display()))?;
    check_writable(folder)?;
    // The database holds password hashes, and logs may hold addresses: for their owner only.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot close the data folder {} to others", folder.display()))?;
    let folder = folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))?;
    variables.extend(stack::secrets::prepare(&folder.join("secrets"))?);
    let url = match &arguments.database_url {
        Some(url) => url.clone(),
        None => format!("sqlite://{}", folder.join("endcap.db").display()),
    };
    let parsed = DatabaseUrl::parse(&url).context("--database-url cannot be used")?;
    variables.push(("DATABASE_URL".to_owned(), url));
    // Beside the database, unless somebody wants them elsewhere.
    if std::env::var_os("ENDCAP_ARTIFACT_DIRECTORY").is_none() {
        variables.push(("ENDCAP_ARTIFACT_DIRECTORY".to_owned(), folder.join("artifacts").display().to_string()));
    }
    let settings = Settings::load_with(&variables)?;
    stack::check_free(&settings)?;
    if arguments.fresh {
        begin_anew(&parsed)?;
    }
    let mut conn = Connection::open(&parsed, Access::Write)?;
    let applied = migrate::up(&mut conn)?;
    if !applied.is_empty() {
        println!("{parsed}: {} migrations applied", applied.len());
    }
    if !arguments.no_sample_data {
        let samples = demo::folder(arguments.sample_data_dir.as_deref())?;
        demo::load(&mut conn, &samples)?;
    }
    demo::accounts(&mut conn)?;
    Ok(Prepared { settings, variables, log_folder: folder.join("logs") })
}

fn check_writable(folder: &Path) -> Result<()> {
    let probe = folder.join(".write-test");
    std::fs::write(&probe, b"")
        .with_context(|| format!("cannot write into the data folder {}; give another one with --data-dir", folder.display()))?;
    std::fs::remove_file(&probe)?;
    Ok(())
}

fn begin_anew(url: &DatabaseUrl) -> Result<()> {
    match url {
        DatabaseUrl::Sqlite(path) => {
            for suffix in ["", "-wal", "-shm"] {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                match std::fs::remove_file(&name) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error).with_context(|| format!("cannot delete {}", PathBuf::from(name).display()));
                    }
                    _ => {}
                }
            }
        }
        DatabaseUrl::Postgres(_) | DatabaseUrl::Mysql(_) => {
            let mut conn = Connection::open(url, Access::Write)?;
            let count = migrate::status(&mut conn)?.len();
            migrate::down(&mut conn, count)?;
        }
    }
    println!("{url}: begun anew");
    Ok(())
}

fn print_table(prepared: &Prepared) {
    let settings = &prepared.settings;
    println!();
    for (service, what, path) in [
        (ServiceName::RaterApp, "judge tasks, leaderboard, review", "/"),
        (ServiceName::RlhfBackend, "feedback, dashboard, reward models, exports", "/dashboard"),
        (ServiceName::CampaignRuntime, "campaigns, plans, analytics; API at /docs", "/"),
    ] {
        println!("  {:<44} {}{path}", what, settings.service(service).public_url);
    }
    println!();
    for account in demo::ACCOUNTS {
        println!("  sign in as {:<10} {:<28} {}", account.title, account.email, account.password);
    }
    println!("\n  logs: {}", prepared.log_folder.display());
}

async fn wait_for_signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
