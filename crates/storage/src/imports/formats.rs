//! How files are written and packed, and whether what is declared is what is there.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use domain::invalid::Invalid;
use flate2::bufread::MultiGzDecoder;

use super::Limits;
use super::rows::unreadable;
use crate::error::StorageError;

/// How rows are written in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet with flat columns.
    Parquet,
}

/// How the whole file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, one member or several.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Format {
    /// The word in messages and in the identity of an import.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Ndjson => "NDJSON",
            Self::Parquet => "Parquet",
        }
    }
}

impl Compression {
    /// The word in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "not packed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Format and packing by a file's ending: `.csv`, `.ndjson`, `.jsonl`, `.parquet`, the first three also with `.gz` or `.zst`.
#[must_use]
pub fn by_ending(path: &Path) -> Option<(Format, Compression)> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let (plain, compression) = match name.rsplit_once('.')? {
        (plain, "gz") => (plain, Compression::Gzip),
        (plain, "zst" | "zstd") => (plain, Compression::Zstd),
        _ => (name.as_str(), Compression::None),
    };
    match plain.rsplit_once('.').map(|(_, ending)| ending)? {
        "csv" => Some((Format::Csv, compression)),
        "ndjson" | "jsonl" => Some((Format::Ndjson, compression)),
        "parquet" if compression == Compression::None => Some((Format::Parquet, compression)),
        _ => None,
    }
}

/// Largest window that a Zstandard file may ask for, as a power of two: 32 MiB of memory. `zstd -19` asks for 8, `--ultra` or `--long` for more.
pub(super) const ZSTD_WINDOW_LOG: u32 = 25;
/// A packed file may grow this much whatever its ratio.
const FREE_BYTES: u64 = 64 << 20;

impl Limits {
    /// Most unpacked bytes of a file of so many packed ones.
    pub(super) fn of_packed(self, packed: u64) -> u64 {
        self.max_unpacked_bytes.min(packed.saturating_mul(self.max_ratio).max(FREE_BYTES))
    }

    /// What is said of a file that unpacks to more.
    pub(super) fn exceeded(self) -> String {
        format!("the file unpacks to over {} bytes, or to over {} times its size", self.max_unpacked_bytes, self.max_ratio)
    }
}

/// Refuses a file whose first bytes contradict what was declared.
pub(super) fn check(file: &mut File, format: Format, compression: Compression) -> Result<(), StorageError> {
    let refuse = |message: String| Err(StorageError::Invalid(Invalid::one("file", message)));
    let broken = |error: std::io::Error| unreadable(&error.to_string(), 0, 0);
    let mut start = Vec::new();
    file.by_ref().take(4).read_to_end(&mut start).map_err(broken)?;
    file.rewind().map_err(broken)?;
    let found = match start.as_slice() {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
        _ => Compression::None,
    };
    if format == Format::Parquet && compression != Compression::None {
        return refuse("is Parquet, which is packed inside; send it without Content-Encoding (with the ending .parquet alone)".to_owned());
    }
    if found != compression && !start.is_empty() {
        return refuse(format!("is {} by its first bytes, but {} was declared", found.name(), compression.name()));
    }
    match (start.as_slice() == b"PAR1", format) {
        (true, Format::Csv | Format::Ndjson) => refuse(format!("is Parquet by its first bytes, but {} was declared", format.name())),
        (false, Format::Parquet) => refuse("is not Parquet: it does not begin with PAR1".to_owned()),
        _ => Ok(()),
    }
}

/// The unpacked bytes of a file, bounded in all and in relation to the packed ones.
pub(super) fn unpack(file: File, compression: Compression, limits: Limits) -> Result<Box<dyn Read>, StorageError> {
    let packed_bytes = file.metadata().map_err(|error| unreadable(&error.to_string(), 0, 0))?.len();
    let file = BufReader::with_capacity(1 << 16, file);
    let most = match compression {
        Compression::None => return Ok(Box::new(file)),
        _ => limits.of_packed(packed_bytes),
    };
    let plain: Box<dyn Read> = match compression {
        Compression::Zstd => zstd_reader(file)?,
        _ => Box::new(MultiGzDecoder::new(file)),
    };
    Ok(Box::new(Bounded { inner: plain, left: most, limits }))
}

fn zstd_reader(file: impl BufRead + 'static) -> Result<Box<dyn Read>, StorageError> {
    let broken = |error: std::io::Error| unreadable(&error.to_string(), 0, 0);
    let mut decoder = zstd::stream::read::Decoder::with_buffer(file).map_err(broken)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
    Ok(Box::new(decoder))
}

/// Refuses to unpack a bomb.
struct Bounded {
    inner: Box<dyn Read>,
    left: u64,
    limits: Limits,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                return Err(std::io::Error::other(self.limits.exceeded()));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn endings_tell_format_and_packing() {
        let of = |name: &str| by_ending(Path::new(name));
        assert_eq!(of("a.b/x.CSV"), Some((Format::Csv, Compression::None)));
        assert_eq!(of("x.jsonl.zst"), Some((Format::Ndjson, Compression::Zstd)));
        assert_eq!(of("x.csv.gz"), Some((Format::Csv, Compression::Gzip)));
        assert_eq!(of("x.parquet"), Some((Format::Parquet, Compression::None)));
        for unknown in ["x.parquet.gz", "x.gz", "csv", "x.xlsx", "/"] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
    }
}
