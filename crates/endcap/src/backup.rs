//! `endcap backup` and `endcap restore`: one file with everything that is in the database, made by the database's own tool while the system
//! works, and a note beside it by which restoring tells a whole file from a damaged one.

mod tools;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use clap::Args;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use storage::audit::{self, Chain};
use storage::connection::{Access, Connection};
use storage::url::DatabaseUrl;
use storage::{backup, migrate};

/// Arguments of `backup`.
#[derive(Args)]
pub struct BackupArguments {
    /// File to write; it must not exist
    file: PathBuf,
    /// Where from (default: DATABASE_URL)
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

/// Arguments of `restore`.
#[derive(Args)]
pub struct RestoreArguments {
    /// File that `endcap backup` wrote
    file: PathBuf,
    /// Where to: a database without tables; for SQLite a file that does not exist (default: DATABASE_URL)
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

/// What stands beside a backup, in `FILE.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// Kind of database.
    database: String,
    /// Version of the program that made it.
    endcap: String,
    /// When.
    made_at: DateTime<Utc>,
    /// The newest migration applied.
    schema: String,
    /// Bytes of the file.
    bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    sha256: String,
}

/// Writes the backup, and says what is in it.
pub fn back_up(arguments: &BackupArguments) -> Result<()> {
    let url = crate::database::resolve_url(arguments.database_url.as_deref())?;
    let file = &arguments.file;
    ensure!(!file.exists(), "{} exists; a backup overwrites nothing", file.display());
    let mut conn = crate::database::open_existing(&url)?;
    migrate::require_whole(&mut conn).with_context(|| format!("{url} is not backed up: what came back of it would pass for whole"))?;
    let schema = schema_of(&mut conn)?.context("the database has no schema of Endcap; there is nothing to back up")?;
    let (unfinished, note_place) = (beside(file, ".part"), beside(file, ".json"));
    require_ours(&note_place)?;
    for place in [&unfinished, &note_place] {
        for_us_only(place)?;
    }
    let written = match &url {
        DatabaseUrl::Sqlite(_) => backup::copy_sqlite(&mut conn, &unfinished).map_err(anyhow::Error::from),
        DatabaseUrl::Postgres(text) => tools::dump_postgres(text, &unfinished),
        DatabaseUrl::Mysql(text) => tools::dump_mysql(text, &unfinished),
    };
    if let Err(error) = written {
        // Half a dump must not be taken for a backup; when it cannot be removed its name still says what it is.
        let _ = std::fs::remove_file(&unfinished);
        let _ = std::fs::remove_file(&note_place);
        return Err(error);
    }
    File::open(&unfinished)?.sync_all()?;
    let (bytes, sha256) = digest(&unfinished)?;
    let note =
        Note { database: url.kind().to_owned(), endcap: env!("CARGO_PKG_VERSION").to_owned(), made_at: Utc::now(), schema, bytes, sha256 };
    std::fs::write(&note_place, serde_json::to_string_pretty(&note)?)?;
    std::fs::rename(&unfinished, file).with_context(|| format!("{} cannot be named {}", unfinished.display(), file.display()))?;
    println!("{}: {bytes} bytes of {url}, schema {}, SHA-256 {}", file.display(), note.schema, note.sha256);
    println!("Files of artifacts are not in it: copy the folder or bucket afterwards (docs/backup.md).");
    Ok(())
}

/// Restores into an empty database, then checks what came out.
pub fn restore(arguments: &RestoreArguments) -> Result<()> {
    let url = crate::database::resolve_url(arguments.database_url.as_deref())?;
    let file = &arguments.file;
    let note = read_note(file)?;
    ensure!(
        note.database == url.kind(),
        "{} is a backup of a {} database and cannot be restored into {url}",
        file.display(),
        note.database
    );
    let (bytes, sha256) = digest(file)?;
    ensure!(
        (bytes, &sha256) == (note.bytes, &note.sha256),
        "{} is damaged: it has {bytes} bytes with SHA-256 {sha256}, and had {} with {} when it was made; nothing was restored",
        file.display(),
        note.bytes,
        note.sha256
    );
    match &url {
        DatabaseUrl::Sqlite(path) => {
            // A log that lies beside belongs to another file: SQLite would play it into this one, and both would be lost.
            for ending in ["", "-wal", "-shm", "-journal"] {
                let taken = beside(path, ending);
                ensure!(
                    !taken.exists(),
                    "{} exists; restore into a new folder, stop the services, and put the restored file in the place of the old one and its -wal and -shm together",
                    taken.display()
                );
            }
            let unfinished = beside(path, ".part");
            std::fs::copy(file, &unfinished).with_context(|| format!("{} cannot be written", unfinished.display()))?;
            File::open(&unfinished)?.sync_all()?;
            std::fs::rename(&unfinished, path)?;
        }
        DatabaseUrl::Postgres(text) => {
            backup::prepare_roles(&mut into_empty(&url)?).context("the role of tenants cannot be made (docs/deployment.md)")?;
            tools::restore_postgres(text, file)?;
        }
        DatabaseUrl::Mysql(text) => {
            backup::begin_restore(&mut into_empty(&url)?)?;
            // A connection of its own: the one before may have been closed for waiting too long.
            if let Err(error) = tools::restore_mysql(text, file) {
                let undone = Connection::open(&url, Access::Write).map_err(anyhow::Error::from);
                let undone = undone.and_then(|mut conn| Ok(backup::undo_restore(&mut conn)?));
                return Err(match undone {
                    Ok(_) => error.context("nothing was restored: the database is as empty as before"),
                    Err(why) => error.context(format!("half of the backup is in {url} and could not be removed ({why}); empty it by hand")),
                });
            }
            backup::end_restore(&mut Connection::open(&url, Access::Write)?)?;
        }
    }
    verify(&url, &note)
}

/// A connection to a database in which there is nothing that a restore could overwrite.
fn into_empty(url: &DatabaseUrl) -> Result<Connection> {
    let mut conn = Connection::open(url, Access::Write)?;
    let tables = backup::tables(&mut conn)?;
    ensure!(
        !tables.iter().any(|name| name == backup::UNFINISHED),
        "a restore into {url} was cut off, and half of a backup is in it; drop the database, make it anew, and restore again"
    );
    ensure!(tables.is_empty(), "{url} has {} tables, {} among them; restore into an empty database", tables.len(), tables.join(", "));
    Ok(conn)
}

/// Looks whether what was restored is whole.
fn verify(url: &DatabaseUrl, note: &Note) -> Result<()> {
    let mut conn = Connection::open(url, Access::Write)?;
    backup::check_sqlite(&mut conn)?;
    let schema = schema_of(&mut conn)?.unwrap_or_default();
    ensure!(schema == note.schema, "the restored database has schema {schema:?} and not {}", note.schema);
    let counts = backup::count_rows(&mut conn)?;
    let rows: i64 = counts.iter().map(|(_, rows)| rows).sum();
    println!("{url}: {} tables, {rows} rows, schema {schema}", counts.len());
    if migrate::require_current(&mut conn).is_err() {
        println!("The schema is not that of this program; run: endcap migrate up");
        return Ok(());
    }
    match audit::verify(&mut conn)? {
        Chain::Whole { .. } => println!("The audit log's chain is whole."),
        Chain::Broken { number, why } => bail!("the audit log is not as it was written, from entry {number} on: {why}"),
    }
    Ok(())
}

fn schema_of(conn: &mut Connection) -> Result<Option<String>> {
    if backup::tables(conn)?.is_empty() {
        return Ok(None);
    }
    Ok(migrate::status(conn)?.into_iter().rfind(|state| state.applied).map(|state| state.name))
}

/// A note without its backup is left by a backup that was cut off or taken elsewhere, and a new one takes its place; any other file of that name
/// is somebody's.
fn require_ours(place: &Path) -> Result<()> {
    let text = match std::fs::read_to_string(place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        text => text.with_context(|| format!("{} cannot be read", place.display()))?,
    };
    let is_ours = text.is_empty() || serde_json::from_str::<Note>(&text).is_ok();
    ensure!(is_ours, "{} exists and is not the note of a backup; a backup overwrites nothing", place.display());
    Ok(())
}

/// Makes an empty file that only its owner may read: what is in a database is in its backup, password hashes and all. The tools that write it
/// keep its mode.
fn for_us_only(place: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(place);
    made.map(drop).with_context(|| format!("{} cannot be written", place.display()))
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn read_note(file: &Path) -> Result<Note> {
    ensure!(file.is_file(), "there is no file {}", file.display());
    let place = beside(file, ".json");
    let text = std::fs::read_to_string(&place)
        .with_context(|| format!("{} is missing; it is written beside each backup and says how to tell a whole one", place.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not the note of a backup", place.display()))
}

fn digest(file: &Path) -> Result<(u64, String)> {
    let mut reader = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0_u64, vec![0_u8; 1 << 20]);
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}
