//! Pages of a Parquet file, unpacked within bounds. What a file says of its own sizes is not believed: pages are taken from the decoder as they
//! were sent, unpacked here, and counted for as long as anything refers to them.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use parquet::basic::{Compression, Encoding};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length, RowGroupReader};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use super::formats::ZSTD_WINDOW_LOG;

/// Largest page, packed and unpacked; writers make pages of 1 MiB.
const MAX_PAGE_BYTES: u64 = 16 << 20;
/// Most bytes of pages in memory at once, those of all columns.
const MAX_HELD_BYTES: u64 = 96 << 20;
/// Memory for one value of a dictionary, beside its bytes.
const DICTIONARY_VALUE_BYTES: u64 = 40;

/// Whether pages packed so can be unpacked.
pub(super) fn is_taken(codec: Compression) -> bool {
    matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_))
}

/// A file of which no piece is read that is longer than a page may be.
pub(super) struct Pieces(pub(super) File);

impl Length for Pieces {
    fn len(&self) -> u64 {
        Length::len(&self.0)
    }
}

impl ChunkReader for Pieces {
    type T = <File as ChunkReader>::T;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if length as u64 > MAX_PAGE_BYTES {
            return Err(too_large("a page"));
        }
        self.0.get_bytes(start, length)
    }
}

/// One row group, whose pages come through [`Pages`].
pub(super) struct Group {
    pub(super) file: Arc<Pieces>,
    pub(super) metadata: RowGroupMetaData,
    pub(super) held: Arc<AtomicU64>,
}

impl RowGroupReader for Group {
    fn metadata(&self) -> &RowGroupMetaData {
        &self.metadata
    }

    fn num_columns(&self) -> usize {
        self.metadata.num_columns()
    }

    fn get_column_page_reader(&self, column: usize) -> Result<Box<dyn PageReader>> {
        let meta = self.metadata.column(column);
        let as_sent = meta.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
        let rows = usize::try_from(self.metadata.num_rows())?;
        let inner = SerializedPageReader::new(Arc::clone(&self.file), &as_sent, rows, None)?;
        let column = meta.column_descr().name().to_owned();
        Ok(Box::new(Pages { inner, codec: meta.compression(), column, held: Arc::clone(&self.held) }))
    }

    fn get_column_bloom_filter(&self, _: usize) -> Option<&Sbbf> {
        None
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

/// The pages of one column of a row group.
struct Pages {
    inner: SerializedPageReader<Pieces>,
    codec: Compression,
    column: String,
    held: Arc<AtomicU64>,
}

impl Pages {
    /// The unpacked page; its first `plain` bytes were not packed.
    fn unpack(&self, sent: Bytes, plain: usize, is_packed: bool, overhead: u64) -> Result<Bytes> {
        let bytes = if is_packed && self.codec != Compression::UNCOMPRESSED && sent.len() > plain {
            let (levels, packed) = sent.split_at(plain);
            let mut bytes = levels.to_vec();
            unpack(self.codec, packed, &mut bytes)?;
            Bytes::from(bytes)
        } else {
            sent
        };
        if bytes.len() as u64 > MAX_PAGE_BYTES || overhead > MAX_PAGE_BYTES * 2 {
            return Err(too_large(&format!("a page of the column {:?}", self.column)));
        }
        let held = Held { count: bytes.len() as u64 + overhead, bytes, total: Arc::clone(&self.held) };
        if held.total.fetch_add(held.count, Ordering::Relaxed) + held.count > MAX_HELD_BYTES {
            return Err(ParquetError::General(format!(
                "the pages that its columns need at once unpack to over {} MiB; write smaller pages (in pyarrow data_page_size=131072)",
                MAX_HELD_BYTES >> 20
            )));
        }
        Ok(Bytes::from_owner(held))
    }

    /// Refuses encodings whose lengths are counts that nothing in the page bounds.
    fn check(&self, encoding: Encoding) -> Result<()> {
        match encoding {
            Encoding::DELTA_BYTE_ARRAY | Encoding::DELTA_LENGTH_BYTE_ARRAY => Err(ParquetError::General(format!(
                "the column {:?} is written in the encoding {encoding}, which is not taken; write it plain or with a dictionary, as version 1.0",
                self.column
            ))),
            _ => Ok(()),
        }
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(mut page) = self.inner.get_next_page()? else { return Ok(None) };
        match &mut page {
            Page::DataPage { buf, encoding, .. } => {
                self.check(*encoding)?;
                *buf = self.unpack(std::mem::take(buf), 0, true, 0)?;
            }
            Page::DataPageV2 { buf, encoding, def_levels_byte_len, rep_levels_byte_len, is_compressed, .. } => {
                self.check(*encoding)?;
                let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
                let levels = usize::try_from(levels).ok().filter(|levels| *levels <= buf.len());
                let levels = levels.ok_or_else(|| ParquetError::General("a page is shorter than its levels".to_owned()))?;
                *buf = self.unpack(std::mem::take(buf), levels, *is_compressed, 0)?;
                *is_compressed = false;
            }
            Page::DictionaryPage { buf, num_values, .. } => {
                *buf = self.unpack(std::mem::take(buf), 0, true, u64::from(*num_values) * DICTIONARY_VALUE_BYTES)?;
            }
        }
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

/// A page in memory, counted until the last value of it is gone.
struct Held {
    bytes: Bytes,
    count: u64,
    total: Arc<AtomicU64>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.count, Ordering::Relaxed);
    }
}

fn unpack(codec: Compression, packed: &[u8], into: &mut Vec<u8>) -> Result<()> {
    match codec {
        Compression::SNAPPY => {
            let broken = |error: snap::Error| ParquetError::General(error.to_string());
            if snap::raw::decompress_len(packed).map_err(broken)? as u64 > MAX_PAGE_BYTES {
                return Err(too_large("a page"));
            }
            into.append(&mut snap::raw::Decoder::new().decompress_vec(packed).map_err(broken)?);
            Ok(())
        }
        Compression::ZSTD(_) => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            bounded(decoder, into)
        }
        _ => bounded(MultiGzDecoder::new(packed), into),
    }
}

fn bounded(plain: impl Read, into: &mut Vec<u8>) -> Result<()> {
    let read = plain.take(MAX_PAGE_BYTES + 1).read_to_end(into)?;
    if read as u64 > MAX_PAGE_BYTES { Err(too_large("a page")) } else { Ok(()) }
}

fn too_large(what: &str) -> ParquetError {
    ParquetError::General(format!("{what} unpacks to over {} MiB; write smaller pages", MAX_PAGE_BYTES >> 20))
}
