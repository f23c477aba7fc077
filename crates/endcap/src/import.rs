//! `endcap import TABLE FILE`: a file into a table, without a running system.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use domain::scope::Scope;
use indicatif::{ProgressBar, ProgressStyle};
use storage::connection::{Access, Connection};
use storage::imports::mapping::Mapping;
use storage::imports::run::{self, Watch};
use storage::imports::{self, OnError, Table, formats};
use storage::{migrate, retailers};

/// Arguments of `import`.
#[derive(Args)]
pub struct Arguments {
    /// retailers, brands, skus, audience-segments, campaigns, campaign-skus or performance
    table: String,
    /// CSV or NDJSON, plain, .gz or .zst; or .parquet
    file: PathBuf,
    /// Check everything and keep nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave wrong rows out instead of keeping nothing
    #[arg(long)]
    skip_errors: bool,
    /// Read the columns through the mapping of this retailer
    #[arg(long, value_name = "ID")]
    retailer: Option<String>,
    /// Leave the retailer's mapping aside
    #[arg(long, requires = "retailer")]
    no_mapping: bool,
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
    let Some((format, compression)) = formats::by_ending(&arguments.file) else {
        bail!(
            "{}: name the format by the ending: .csv, .ndjson or .jsonl, with .gz or .zst when packed, or .parquet",
            arguments.file.display()
        );
    };
    let url = crate::database::resolve_url(arguments.database_url.as_deref())?;
    let mut conn = Connection::open(&url, Access::Write)?;
    migrate::require_current(&mut conn)?;
    let mapping = match (&arguments.retailer, arguments.no_mapping) {
        (Some(id), false) => {
            let config = retailers::find(&mut conn, id)?.mapping_config;
            Mapping::parse(&config).with_context(|| format!("the mapping of retailer {id} is wrong"))?.table(table).cloned()
        }
        (Some(id), true) => {
            retailers::find(&mut conn, id)?;
            None
        }
        (None, _) => None,
    };
    let request = imports::Request {
        on_error: if arguments.skip_errors { OnError::Skip } else { OnError::Abort },
        is_dry_run: arguments.dry_run,
        retailer_id: arguments.retailer.clone(),
        mapping,
        ..imports::Request::new(table, &arguments.file, format, compression)
    };
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template("  {pos} rows {elapsed}")?);
    let scope = Scope::system("command line");
    let advance = |outcome: &imports::Outcome| bar.set_position(outcome.received);
    let prepared = run::prepare(&mut conn, &scope, &request, "running", domain::time::now())?;
    if prepared.resumes_after() > 0 {
        crate::say(&format!("an earlier attempt settled {} rows; going on after them", prepared.resumes_after()))?;
    }
    let watch = Watch { progress: &advance, url: Some(&url), ..Watch::quiet(&domain::time::now) };
    let outcome = run::run(&mut conn, &scope, &request, prepared, &watch)
        .with_context(|| format!("{} cannot be loaded; endcap import again goes on where it stopped", arguments.file.display()))?;
    bar.finish_and_clear();
    crate::say(&serde_json::to_string_pretty(&outcome)?)?;
    if outcome.rejected > 0 && !arguments.skip_errors {
        bail!("{} rows are wrong; nothing was kept. Mend them, or leave them out with --skip-errors", outcome.rejected);
    }
    Ok(())
}
