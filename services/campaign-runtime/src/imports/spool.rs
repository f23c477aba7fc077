//! The body of an import on disk: streamed to a file that its process holds locked, so that files of dead processes are known and removed.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::Payload;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use storage::imports::identity::hexadecimal;
use storage::imports::{Compression, Format};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use web::problem::Problem;

const PREFIX: &str = "endcap-import-";
/// How long a body may bring nothing: it holds a place meanwhile.
const STALL: Duration = Duration::from_secs(60);

/// A received body.
pub struct Spooled {
    /// The file; removed with this value.
    pub file: NamedTempFile,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// Format and packing by Content-Type and Content-Encoding.
///
/// # Errors
/// 415 for others than those accepted.
pub fn declared(request: &HttpRequest) -> Result<(Format, Compression), Problem> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = header(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (format, packed) = match kind.as_str() {
        "text/csv" | "application/csv" => (Format::Csv, Compression::None),
        "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines" => (Format::Ndjson, Compression::None),
        "application/vnd.apache.parquet" | "application/x-parquet" | "application/parquet" => (Format::Parquet, Compression::None),
        "application/gzip" | "application/x-gzip" => (Format::Csv, Compression::Gzip),
        "application/zstd" => (Format::Csv, Compression::Zstd),
        _ => {
            let accepted =
                "text/csv, application/x-ndjson, application/vnd.apache.parquet, or application/gzip or application/zstd (a CSV file)";
            return Err(Problem::unsupported_media_type(accepted));
        }
    };
    let encoding = match header(CONTENT_ENCODING).trim().to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok((format, packed)),
        "gzip" | "x-gzip" => Compression::Gzip,
        "zstd" => Compression::Zstd,
        _ => return Err(Problem::unsupported_media_type("plain or with Content-Encoding gzip or zstd")),
    };
    match packed {
        Compression::None => Ok((format, encoding)),
        same if same == encoding => Ok((format, encoding)),
        _ => Err(Problem::unsupported_media_type("packed once: Content-Type and Content-Encoding contradict each other")),
    }
}

fn stalled() -> Problem {
    Problem::bad_request("malformed_request", format!("The body brought nothing for {} seconds.", STALL.as_secs()))
}

/// Streams a body to a file in `folder`.
///
/// # Errors
/// 413 beyond `max_bytes`; 400 when the body breaks off or stalls; 500 when the disk is full or the folder cannot be written.
pub async fn receive(mut body: Payload, folder: &Path, max_bytes: u64) -> Result<Spooled, Problem> {
    let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder).map_err(Problem::internal)?;
    file.as_file().try_lock().map_err(Problem::internal)?;
    let mut writer =
        tokio::io::BufWriter::with_capacity(1 << 18, tokio::fs::File::from_std(file.as_file().try_clone().map_err(Problem::internal)?));
    let (mut received, mut hasher) = (0_u64, Sha256::new());
    while let Some(chunk) = tokio::time::timeout(STALL, body.next()).await.map_err(|_| stalled())? {
        let chunk = chunk.map_err(|error| Problem::bad_request("malformed_request", format!("The body broke off: {error}.")))?;
        received += chunk.len() as u64;
        if received > max_bytes {
            return Err(Problem::too_large(usize::try_from(max_bytes).unwrap_or(usize::MAX)));
        }
        hasher.update(&chunk);
        writer.write_all(&chunk).await.map_err(Problem::internal)?;
    }
    writer.flush().await.map_err(Problem::internal)?;
    Ok(Spooled { file, sha256: hexadecimal(&hasher.finalize()) })
}

/// Removes files that processes left when they were killed: those that nobody holds locked. How many.
#[must_use]
pub fn clear(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = files.filter(|file| file.file_name().to_string_lossy().starts_with(PREFIX));
    let left = ours.filter(|file| File::open(file.path()).is_ok_and(|open| open.try_lock().is_ok()));
    left.filter(|file| std::fs::remove_file(file.path()).is_ok()).count()
}
