//! `endcap supabase sync`: what this installation has is brought to a Supabase project, people's accounts to Auth and files to Storage. Each account and
//! each file is one step that is noted when it is done, so that a run can be killed at any moment and repeated until nothing is left.

mod files;
mod people;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use domain::role::Role;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::ExposeSecret as _;
use storage::connection::{Access, Connection};
use storage::migrate;
use storage::url::DatabaseUrl;
use supabase::project::Project;
use web::settings::Settings;

/// Arguments of `supabase`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring accounts of raters and experts to Auth and files to Storage; safe to repeat
    Sync(Sync),
}

/// Arguments of `supabase sync`.
#[derive(Args)]
struct Sync {
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Only this part
    #[arg(long, value_enum)]
    only: Option<What>,
    /// Whose accounts are brought
    #[arg(long, value_name = "ROLES", value_delimiter = ',', default_value = "rater,expert", value_parser = parse_role)]
    roles: Vec<Role>,
    /// Have the project send each person a mail; without it users have no password until they ask for a new one
    #[arg(long)]
    invite: bool,
    /// Link accounts with users of the project who have the same e-mail address already; only when the project confirms addresses
    #[arg(long)]
    link_existing: bool,
    /// Where the data is (default: DATABASE_URL)
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Accounts
    People,
    /// Artifacts of the local folder
    Files,
}

/// What became of the steps of a part.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    left: Vec<String>,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Command::Sync(sync) = &arguments.command;
    let settings = Settings::load()?;
    let hosted = &settings.supabase;
    let (Some(url), Some(key)) = (&hosted.url, &hosted.service_key) else {
        bail!("SUPABASE_URL and SUPABASE_SERVICE_KEY are needed: copy both from the project's settings");
    };
    let project = Project::for_service(url, key.clone())?;
    let database = sync.database_url.clone().unwrap_or_else(|| settings.database_url.expose_secret().to_owned());
    let mut conn = Connection::open(&DatabaseUrl::parse(&database)?, Access::Write)?;
    migrate::require_current(&mut conn)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut left = 0;
    if sync.only != Some(What::Files) {
        let tally =
            runtime.block_on(people::bring(&project, &mut conn, sync)).context("accounts could not all be brought; run it again")?;
        left += tell("accounts", "linked with users of the project", &tally, sync.dry_run)?;
    }
    if sync.only != Some(What::People) {
        let folder = &settings.artifacts.directory;
        let tally = runtime
            .block_on(files::bring(&project, &mut conn, folder, sync.dry_run))
            .context("files could not all be brought; run it again")?;
        left += tell("files", "in Storage of the project", &tally, sync.dry_run)?;
    }
    if left == 0 { Ok(()) } else { bail!("{left} left where they are; see above") }
}

fn tell(what: &str, done: &str, tally: &Tally, dry_run: bool) -> Result<usize> {
    let would = if dry_run { " (nothing was done: --dry-run)" } else { "" };
    crate::say(&format!("{what}: {} {done}, {} left{would}", tally.done, tally.left.len()))?;
    for line in &tally.left {
        crate::say(&format!("  left  {line}"))?;
    }
    Ok(tally.left.len())
}

fn parse_role(word: &str) -> Result<Role, String> {
    word.parse().map_err(|_| format!("{word:?} is no role; for example rater,expert"))
}

fn bar(n: usize, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(n as u64).with_style(style).with_message(what.to_owned())
}
