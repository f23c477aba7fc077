//! Rows in the binary format of `COPY` (PostgreSQL manual, "COPY", section "Binary Format").

use std::io::{self, Write};

use chrono::{DateTime, NaiveDate, Utc};

use crate::performance::NewMetric;

/// Columns of the staging table.
const STAGED: i16 = 17;
/// `version`, `created_at` and `updated_at`, which stored rows have after those.
const STAMPS: i16 = 3;

/// Writes rows in the order of the staging table's columns; with `first_stored_at` also the stamps of rows that are stored for the first time.
pub(super) fn write(out: &mut dyn Write, rows: &[&NewMetric], first_stored_at: Option<DateTime<Utc>>) -> io::Result<()> {
    let columns = if first_stored_at.is_some() { STAGED + STAMPS } else { STAGED };
    let stamp = first_stored_at.map(|now| now.signed_duration_since(epoch().and_time(chrono::NaiveTime::MIN).and_utc()).num_microseconds());
    let mut buffer: Vec<u8> = Vec::with_capacity(1 << 16);
    buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
    buffer.extend_from_slice(&[0; 8]);
    for row in rows {
        buffer.extend_from_slice(&columns.to_be_bytes());
        whole(&mut buffer, Some(row.campaign));
        text(&mut buffer, Some(&row.tenant_id))?;
        day(&mut buffer, row.date)?;
        for part in row.key().2 {
            text(&mut buffer, Some(part))?;
        }
        for measure in row.measures() {
            whole(&mut buffer, measure);
        }
        text(&mut buffer, row.currency.as_deref())?;
        text(&mut buffer, Some(&row.source))?;
        if let Some(micros) = stamp {
            buffer.extend_from_slice(&4i32.to_be_bytes());
            buffer.extend_from_slice(&1i32.to_be_bytes());
            whole(&mut buffer, micros);
            whole(&mut buffer, micros);
        }
        if buffer.len() > (1 << 16) - 4096 {
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    buffer.extend_from_slice(&(-1i16).to_be_bytes());
    out.write_all(&buffer)
}

fn whole(buffer: &mut Vec<u8>, value: Option<i64>) {
    match value {
        Some(value) => {
            buffer.extend_from_slice(&8i32.to_be_bytes());
            buffer.extend_from_slice(&value.to_be_bytes());
        }
        None => buffer.extend_from_slice(&(-1i32).to_be_bytes()),
    }
}

fn text(buffer: &mut Vec<u8>, value: Option<&str>) -> io::Result<()> {
    match value {
        Some(value) => {
            let length = i32::try_from(value.len()).map_err(io::Error::other)?;
            buffer.extend_from_slice(&length.to_be_bytes());
            buffer.extend_from_slice(value.as_bytes());
        }
        None => buffer.extend_from_slice(&(-1i32).to_be_bytes()),
    }
    Ok(())
}

/// Days since 2000-01-01.
fn day(buffer: &mut Vec<u8>, date: NaiveDate) -> io::Result<()> {
    let days = i32::try_from(date.signed_duration_since(epoch()).num_days()).map_err(io::Error::other)?;
    buffer.extend_from_slice(&4i32.to_be_bytes());
    buffer.extend_from_slice(&days.to_be_bytes());
    Ok(())
}

/// The day from which PostgreSQL counts.
fn epoch() -> NaiveDate {
    NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or(NaiveDate::MIN)
}
