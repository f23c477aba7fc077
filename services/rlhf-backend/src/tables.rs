//! Tables as files: the rows of a list as CSV, NDJSON or Parquet, page by page, so that a table of any length passes through little memory.

use std::future::Future;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use web::problem::Problem;
use web::tabular::{Column, Encoder, Format, Kind};

/// Rows asked for at once.
pub const ROWS_AT_ONCE: i64 = 500;

/// Rows as cells, and the key to continue after.
pub type Rows = (Vec<Vec<Value>>, Option<i64>);

struct Table<F> {
    encoder: Option<Encoder>,
    /// The key to continue after; the outer `None` after the last page.
    next: Option<Option<i64>>,
    pages: F,
}

impl<F, R> Table<F>
where
    F: Fn(Option<i64>) -> R,
    R: Future<Output = Result<Rows, Problem>>,
{
    async fn page(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(after) = self.next.take() else {
            let Some(encoder) = self.encoder.take() else { return Ok(None) };
            return Ok(Some(Bytes::from(encoder.finish()?)).filter(|bytes| !bytes.is_empty()));
        };
        let (rows, next) = (self.pages)(after).await?;
        self.next = next.map(Some);
        let Some(encoder) = self.encoder.as_mut() else { return Ok(None) };
        Ok(Some(Bytes::from(encoder.rows(&rows)?)))
    }
}

/// Streams all pages as a file of this name. The first page is read before the answer begins, so that a database that is down is a 503 and
/// not half a file. Cells that a spreadsheet would take for a formula are guarded.
///
/// # Errors
/// As the first page.
pub async fn answer<F, R>(name: &str, format: Format, columns: Vec<Column>, pages: F) -> Result<HttpResponse, Problem>
where
    F: Fn(Option<i64>) -> R + 'static,
    R: Future<Output = Result<Rows, Problem>> + 'static,
{
    let mut encoder = Encoder::new(format, columns, format == Format::Csv)?;
    let mut bytes = encoder.begin()?;
    let mut table = Table { encoder: Some(encoder), next: Some(None), pages };
    if let Some(page) = table.page().await? {
        bytes.extend_from_slice(&page);
    }
    let rest = stream::try_unfold(table, |mut table| async move { Ok::<_, Problem>(table.page().await?.map(|bytes| (bytes, table))) });
    let first = stream::once(async move { Ok::<_, Problem>(Bytes::from(bytes)) });
    Ok(HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header(("content-disposition", format!("attachment; filename=\"{name}.{}\"", format.extension())))
        .streaming(first.chain(rest)))
}

/// A table that is in memory already.
///
/// # Errors
/// 500 when it cannot be written.
pub fn whole(name: &str, format: Format, columns: Vec<Column>, rows: &[Vec<Value>]) -> Result<HttpResponse, Problem> {
    let bytes = Encoder::new(format, columns, format == Format::Csv)?.whole(rows)?;
    Ok(HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header(("content-disposition", format!("attachment; filename=\"{name}.{}\"", format.extension())))
        .body(bytes))
}

/// Columns by their names and kinds.
#[must_use]
pub fn columns(named: &[(&str, Kind)]) -> Vec<Column> {
    named.iter().map(|(name, kind)| Column::new(*name, *kind)).collect()
}

/// The fields of a row, in the order of the columns; what it does not have is empty.
#[must_use]
pub fn cells(columns: &[Column], row: &Value) -> Vec<Value> {
    columns.iter().map(|column| row.get(&column.name).cloned().unwrap_or(Value::Null)).collect()
}
