//! Tables as files: CSV, newline-delimited JSON and Parquet from the same rows, encoded page by page so that a table of any size passes
//! through little memory.

mod parquet_pages;

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT;
use serde_json::Value;

use crate::problem::Problem;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text; also dates, times and JSON documents as texts.
    Text,
    /// A whole number.
    Whole,
    /// A decimal number.
    Real,
    /// An amount: a decimal text.
    Money,
    /// True or false.
    Flag,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

impl Column {
    /// A column.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind }
    }
}

/// The formats that tables can be had in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The ending of its files.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }

    /// The format that the `Accept` header asks for; `None` for JSON, which is also for whoever takes anything.
    ///
    /// # Errors
    /// 406 when nothing that is asked for can be produced.
    pub fn accepted(request: &HttpRequest) -> Result<Option<Self>, Problem> {
        let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
        for one in by_preference(accept) {
            match one {
                "text/csv" => return Ok(Some(Self::Csv)),
                "application/x-ndjson" => return Ok(Some(Self::Ndjson)),
                "application/vnd.apache.parquet" => return Ok(Some(Self::Parquet)),
                "application/json" | "application/*" | "*/*" => return Ok(None),
                _ => {}
            }
        }
        Err(Problem::not_acceptable("application/json, text/csv, application/x-ndjson or application/vnd.apache.parquet"))
    }
}

/// The media types of an `Accept` header, the most wanted first (RFC 9110, section 12.5.1); those of weight 0 are not wanted.
fn by_preference(accept: &str) -> Vec<&str> {
    let weighed = accept.split(',').map(|one| {
        let mut parts = one.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="))?.parse::<f32>().ok());
        (media_type, weight.unwrap_or(1.0))
    });
    let mut wanted: Vec<(&str, f32)> = weighed.filter(|(_, weight)| *weight > 0.0).collect();
    wanted.sort_by(|a, b| b.1.total_cmp(&a.1));
    wanted.into_iter().map(|(media_type, _)| media_type).collect()
}

/// Rows in, bytes out. Cells are in the order of the columns; `Null` is an empty field.
pub struct Encoder {
    columns: Vec<Column>,
    form: Form,
    guards_formulas: bool,
}

enum Form {
    Csv,
    Ndjson,
    Parquet(Box<parquet_pages::Pages>),
}

impl Encoder {
    /// For these columns. `guards_formulas` puts an apostrophe before texts in CSV that a spreadsheet would run as a formula; such a file does
    /// not import unchanged.
    ///
    /// # Errors
    /// 500 when the columns make no Parquet schema.
    pub fn new(format: Format, columns: Vec<Column>, guards_formulas: bool) -> Result<Self, Problem> {
        let form = match format {
            Format::Csv => Form::Csv,
            Format::Ndjson => Form::Ndjson,
            Format::Parquet => Form::Parquet(Box::new(parquet_pages::Pages::new(&columns)?)),
        };
        Ok(Self { columns, form, guards_formulas })
    }

    /// The bytes before the first row.
    ///
    /// # Errors
    /// 500 when they cannot be written.
    pub fn begin(&mut self) -> Result<Vec<u8>, Problem> {
        match &mut self.form {
            Form::Csv => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                writer.write_record(self.columns.iter().map(|column| column.name.as_str())).map_err(Problem::internal)?;
                writer.into_inner().map_err(|error| Problem::internal(error.to_string()))
            }
            Form::Ndjson => Ok(Vec::new()),
            Form::Parquet(pages) => Ok(pages.take()),
        }
    }

    /// The bytes of some rows.
    ///
    /// # Errors
    /// 500 when they cannot be written.
    pub fn rows(&mut self, rows: &[Vec<Value>]) -> Result<Vec<u8>, Problem> {
        match &mut self.form {
            Form::Csv => {
                let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
                for row in rows {
                    let cells = row.iter().map(|cell| guard(text(cell), self.guards_formulas));
                    writer.write_record(cells).map_err(Problem::internal)?;
                }
                writer.into_inner().map_err(|error| Problem::internal(error.to_string()))
            }
            Form::Ndjson => {
                let mut bytes = Vec::new();
                for row in rows {
                    let object: serde_json::Map<String, Value> =
                        self.columns.iter().zip(row).map(|(column, cell)| (column.name.clone(), cell.clone())).collect();
                    serde_json::to_writer(&mut bytes, &object).map_err(Problem::internal)?;
                    bytes.push(b'\n');
                }
                Ok(bytes)
            }
            Form::Parquet(pages) => pages.write(&self.columns, rows),
        }
    }

    /// The bytes after the last row.
    ///
    /// # Errors
    /// 500 when they cannot be written.
    pub fn finish(self) -> Result<Vec<u8>, Problem> {
        match self.form {
            Form::Csv | Form::Ndjson => Ok(Vec::new()),
            Form::Parquet(pages) => pages.finish(&self.columns),
        }
    }

    /// A whole table that is in memory already.
    ///
    /// # Errors
    /// 500 when it cannot be written.
    pub fn whole(mut self, rows: &[Vec<Value>]) -> Result<Vec<u8>, Problem> {
        let mut bytes = self.begin()?;
        bytes.extend(self.rows(rows)?);
        bytes.extend(self.finish()?);
        Ok(bytes)
    }
}

/// A cell as text; null is empty, documents are JSON.
fn text(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn guard(text: String, guards_formulas: bool) -> String {
    let is_number = || text.parse::<f64>().is_ok();
    if guards_formulas && text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number() { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn columns() -> Vec<Column> {
        vec![
            Column::new("name", Kind::Text),
            Column::new("clicks", Kind::Whole),
            Column::new("ctr", Kind::Real),
            Column::new("spend", Kind::Money),
            Column::new("is_active", Kind::Flag),
        ]
    }

    fn rows() -> Vec<Vec<Value>> {
        vec![
            vec![json!("=1+1"), json!(3), json!(0.25), json!("-1.500000"), json!(true)],
            vec![json!("b, \"c\""), Value::Null, Value::Null, Value::Null, Value::Null],
        ]
    }

    #[test]
    fn the_most_wanted_format_is_taken() {
        let accepted = |accept: &'static str| {
            Format::accepted(&actix_web::test::TestRequest::get().insert_header((ACCEPT, accept)).to_http_request()).ok()
        };
        assert_eq!(accepted("text/csv;q=0.2, application/x-ndjson"), Some(Some(Format::Ndjson)));
        assert_eq!(accepted("text/csv;q=0.9, application/json;q=0.1"), Some(Some(Format::Csv)));
        assert_eq!(accepted("text/csv;q=0, */*"), Some(None));
        assert_eq!(accepted("image/png, text/csv;q=0"), None);
    }

    #[test]
    fn null_is_an_empty_field_and_formulas_can_be_guarded() {
        let plain = Encoder::new(Format::Csv, columns(), false).unwrap().whole(&rows()).unwrap();
        let expected = "name,clicks,ctr,spend,is_active\n=1+1,3,0.25,-1.500000,true\n\"b, \"\"c\"\"\",,,,\n";
        assert_eq!(String::from_utf8(plain).unwrap(), expected);
        let guarded = String::from_utf8(Encoder::new(Format::Csv, columns(), true).unwrap().whole(&rows()).unwrap()).unwrap();
        assert!(guarded.contains("\n'=1+1,3,0.25,-1.500000,true\n"), "numbers stay as they are: {guarded}");
    }

    #[test]
    fn parquet_reads_back_over_several_pages() {
        use parquet::file::reader::{FileReader, SerializedFileReader};
        let mut encoder = Encoder::new(Format::Parquet, columns(), false).unwrap();
        let mut bytes = encoder.begin().unwrap();
        assert_eq!(&bytes, b"PAR1", "the answer begins before the first row");
        let many: Vec<Vec<Value>> = rows().into_iter().cycle().take(30_000).collect();
        for page in many.chunks(2_000) {
            bytes.extend(encoder.rows(page).unwrap());
        }
        bytes.extend(encoder.finish().unwrap());
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
        assert!(reader.metadata().num_row_groups() > 1, "rows do not wait for the end");
        let read: Vec<Value> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_json_value()).collect();
        assert_eq!(read.len(), 30_000);
        assert_eq!(read[0], json!({"name": "=1+1", "clicks": 3, "ctr": 0.25, "spend": "-1.500000", "is_active": true}));
        assert_eq!(read[29_999], json!({"name": "b, \"c\"", "clicks": null, "ctr": null, "spend": null, "is_active": null}));
    }
}
