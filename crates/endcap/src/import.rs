//! `endcap import TABLE FILE`: a file into a table, without a running system.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use domain::scope::Scope;
use indicatif::{ProgressBar, ProgressStyle};
use storage::connection::{Access, Connection};
use storage::imports::{self, Format, OnError, Table};
use storage::migrate;
use storage::store::transaction;

/// Arguments of `import`.
#[derive(Args)]
pub struct Arguments {
    /// retailers, brands, skus, audience-segments, campaigns, campaign-skus or performance
    table: String,
    /// CSV or NDJSON, plain or .gz
    file: PathBuf,
    /// Check everything and keep nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave wrong rows out instead of keeping nothing
    #[arg(long)]
    skip_errors: bool,
    /// Where (default: DATABASE_URL)
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

/// Loads the file and prints what became of it.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Some(table) = Table::named(&arguments.table) else {
        let names: Vec<&str> = Table::ALL.iter().map(|(_, name)| *name).collect();
        bail!("{:?} is no table that can be imported; choose one of {}", arguments.table, names.join(", "));
    };
    if !arguments.file.is_file() {
        bail!("{} does not exist or is no file", arguments.file.display());
    }
    let name = arguments.file.to_string_lossy().to_ascii_lowercase();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    let format = match plain.rsplit_once('.').map(|(_, ending)| ending) {
        Some("csv") => Format::Csv,
        Some("ndjson" | "jsonl") => Format::Ndjson,
        _ => bail!("{}: name the format by the ending: .csv, .ndjson or .jsonl, with .gz when compressed", arguments.file.display()),
    };
    let url = crate::database::resolve_url(arguments.database_url.as_deref())?;
    let mut conn = Connection::open(&url, Access::Write)?;
    migrate::require_current(&mut conn)?;
    let request = imports::Request {
        table,
        path: arguments.file.clone(),
        format,
        is_gzip: name.ends_with(".gz"),
        on_error: if arguments.skip_errors { OnError::Skip } else { OnError::Abort },
        is_dry_run: arguments.dry_run,
        skips_known_files: false,
    };
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template("  {pos} rows {elapsed}")?);
    let scope = Scope::system("command line");
    let advance = |read: u64| bar.set_position(read);
    let outcome = transaction(&mut conn, |conn| imports::load(conn, &scope, &request, domain::time::now(), &advance))
        .with_context(|| format!("{} cannot be loaded; nothing of it was kept", arguments.file.display()))?;
    bar.finish_and_clear();
    crate::say(&serde_json::to_string_pretty(&outcome)?)?;
    if outcome.rejected > 0 && !arguments.skip_errors {
        bail!("{} rows are wrong; nothing was kept. Mend them, or leave them out with --skip-errors", outcome.rejected);
    }
    Ok(())
}
