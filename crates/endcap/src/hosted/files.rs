//! Files of the local folder are copied to Storage, each compared with its checksum on the way, and then the database says where they are. The folder keeps
//! its copies: who downloads at that moment goes on, and an administrator removes it when nothing needs it any more.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use chrono::Utc;
use futures_util::StreamExt as _;
use sha2::{Digest, Sha256};
use storage::artifacts::{self, Artifact};
use storage::connection::Connection;
use supabase::objects::{Hosted, Local, ObjectError, Objects};
use supabase::project::Project;

use super::{Tally, bar};

/// Rows read at once.
const BATCH: i64 = 500;

pub(super) async fn bring(project: &Project, conn: &mut Connection, folder: &str, dry_run: bool) -> Result<Tally> {
    let mut open = Vec::new();
    loop {
        let after = open.last().map_or(0, |artifact: &Artifact| artifact.id);
        let batch = artifacts::in_store(conn, "local", after, BATCH)?;
        let is_last = batch.len() < usize::try_from(BATCH)?;
        open.extend(batch);
        if is_last {
            break;
        }
    }
    let mut tally = Tally::default();
    if dry_run || open.is_empty() {
        tally.done = open.len();
        return Ok(tally);
    }
    let from = Objects::Local(Local::new(folder));
    let to = Objects::Hosted(Hosted::of(project).context("SUPABASE_SERVICE_KEY is not set")?);
    to.prepare().await?;
    let bar = bar(open.len(), "files");
    for artifact in &open {
        match copy(&from, &to, artifact).await {
            Ok(()) if artifacts::moved(conn, artifact, "supabase", Utc::now())? => tally.done += 1,
            // Removed or replaced while it was copied.
            Ok(()) => to.remove(&artifact.bucket, &artifact.key()).await?,
            // The project's trouble is everybody's: the next run goes on here.
            Err(ObjectError::Unavailable(why)) => return Err(ObjectError::Unavailable(why)).with_context(|| name(artifact)),
            Err(error) => tally.left.push(format!("{}: {error}", name(artifact))),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(tally)
}

/// Copies one file. One that a killed run has copied already is compared, and copied anew if it is another.
async fn copy(from: &Objects, to: &Objects, artifact: &Artifact) -> Result<(), ObjectError> {
    match send(from, to, artifact).await {
        Err(ObjectError::Refused(why)) if why.contains("exists") => {
            if digest(to, artifact).await? == artifact.sha256 {
                return Ok(());
            }
            to.remove(&artifact.bucket, &artifact.key()).await?;
            send(from, to, artifact).await
        }
        other => other,
    }
}

async fn send(from: &Objects, to: &Objects, artifact: &Artifact) -> Result<(), ObjectError> {
    let (key, size) = (artifact.key(), u64::try_from(artifact.size_bytes).unwrap_or_default());
    let mut pieces = from.open(&artifact.bucket, &key, 0..size, size).await?;
    let mut upload = to.begin(&artifact.bucket, &key, &artifact.content_type, Some(size)).await?;
    let mut hash = Sha256::new();
    while let Some(piece) = pieces.next().await {
        let written = match piece {
            Ok(piece) => {
                hash.update(&piece);
                upload.write(piece).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            // An object that was there already is not ours to remove.
            if !matches!(&error, ObjectError::Refused(why) if why.contains("exists")) {
                upload.abandon().await;
            }
            return Err(error);
        }
    }
    if hex(hash) != artifact.sha256 {
        upload.abandon().await;
        return Err(ObjectError::Refused("the file in the folder is not the one that was uploaded: its checksum differs".to_owned()));
    }
    upload.finish().await
}

async fn digest(store: &Objects, artifact: &Artifact) -> Result<String, ObjectError> {
    let size = u64::try_from(artifact.size_bytes).unwrap_or_default();
    let mut pieces = store.open(&artifact.bucket, &artifact.key(), 0..size, size).await?;
    let mut hash = Sha256::new();
    while let Some(piece) = pieces.next().await {
        let piece: Bytes = piece?;
        hash.update(&piece);
    }
    Ok(hex(hash))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name(artifact: &Artifact) -> String {
    format!("{}/{} of {}", artifact.bucket, artifact.path, artifact.tenant_id)
}
