//! `endcap init-database` and `endcap migrate`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use storage::connection::{Access, Connection};
use storage::migrate;
use storage::url::DatabaseUrl;
use web::settings::Settings;

use crate::demo;

/// Arguments of `init-database`.
#[derive(Args)]
pub struct InitArguments {
    /// Where: sqlite://FILE, postgres://.. or mysql://.. (default: DATABASE_URL, else sqlite://./data/endcap.db)
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Load the sample data: the real retail bundle, demo accounts, golden items, open tasks
    #[arg(long)]
    sample_data: bool,
    /// Folder of the sample data
    #[arg(long, value_name = "DIR")]
    sample_data_dir: Option<PathBuf>,
}

/// Arguments of `migrate`.
#[derive(Args)]
pub struct MigrateArguments {
    /// What to do
    #[arg(value_enum, default_value = "status")]
    action: Action,
    /// Where (default: DATABASE_URL)
    #[arg(long, value_name = "URL", global = true)]
    database_url: Option<String>,
    /// How many migrations `down` takes back
    #[arg(long, default_value_t = 1)]
    steps: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Action {
    /// Which migrations are applied
    Status,
    /// Apply what is missing
    Up,
    /// Take back the newest
    Down,
}

/// Creates or upgrades the schema; safe to repeat.
pub fn init(arguments: &InitArguments) -> Result<()> {
    let url = resolve_url(arguments.database_url.as_deref())?;
    let mut conn = Connection::open(&url, Access::Write)?;
    let applied = migrate::up(&mut conn)?;
    match applied.len() {
        0 => println!("{url}: the schema is up to date"),
        n => println!("{url}: {n} migrations applied"),
    }
    if arguments.sample_data {
        let folder = demo::folder(arguments.sample_data_dir.as_deref())?;
        demo::load(&mut conn, &folder)?;
        demo::accounts(&mut conn)?;
    }
    Ok(())
}

/// Shows, applies or takes back migrations.
pub fn migrate(arguments: &MigrateArguments) -> Result<()> {
    let url = resolve_url(arguments.database_url.as_deref())?;
    let mut conn = Connection::open(&url, Access::Write)?;
    match arguments.action {
        Action::Status => {
            crate::say(&url.to_string())?;
            for state in migrate::status(&mut conn)? {
                crate::say(&format!("  {} {}", if state.applied { "applied" } else { "missing" }, state.name))?;
            }
        }
        Action::Up => {
            let applied = migrate::up(&mut conn)?;
            report("applied", &applied);
        }
        Action::Down => {
            let reverted = migrate::down(&mut conn, arguments.steps)?;
            report("taken back", &reverted);
        }
    }
    Ok(())
}

/// A connection to a database that is there: a mistyped SQLite path must not become an empty file.
pub fn open_existing(url: &DatabaseUrl) -> Result<Connection> {
    if let DatabaseUrl::Sqlite(path) = url {
        anyhow::ensure!(
            path.is_file(),
            "the SQLite file {} does not exist; make it with: endcap init-database --database-url {url}",
            path.display()
        );
    }
    Ok(Connection::open(url, Access::Write)?)
}

/// The URL given, else the one configured.
pub fn resolve_url(given: Option<&str>) -> Result<DatabaseUrl> {
    use secrecy::ExposeSecret as _;
    let text = match given {
        Some(text) => crate::sealing::open_url(text)?,
        None => Settings::load()?.database_url.expose_secret().to_owned(),
    };
    DatabaseUrl::parse(&text).context("--database-url or DATABASE_URL cannot be used")
}

fn report(what: &str, names: &[String]) {
    if names.is_empty() {
        println!("nothing to do");
    }
    for name in names {
        println!("{what} {name}");
    }
}
