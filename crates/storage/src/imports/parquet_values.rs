//! Values of a Parquet file as texts.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use parquet::record::Field;

use super::Problem;

/// Longest decimal, in bytes; the digits of longer ones take long to compute.
const MAX_DECIMAL_BYTES: usize = 64;

/// The text of a value that is none yet.
pub(super) fn text_of(name: &str, field: &Field, is_nanos: bool) -> Result<Option<String>, Problem> {
    let beyond = || Problem::new(name, "holds a day or time beyond the years that are known");
    Ok(match field {
        Field::Null | Field::Str(_) => None,
        Field::Bool(flag) => Some(flag.to_string()),
        Field::Byte(number) => Some(number.to_string()),
        Field::Short(number) => Some(number.to_string()),
        Field::Int(number) => Some(number.to_string()),
        Field::Long(number) if is_nanos => Some(instant(DateTime::from_timestamp_nanos(*number))),
        Field::Long(number) => Some(number.to_string()),
        Field::UByte(number) => Some(number.to_string()),
        Field::UShort(number) => Some(number.to_string()),
        Field::UInt(number) => Some(number.to_string()),
        Field::ULong(number) => Some(number.to_string()),
        Field::Float16(number) => Some(f32::from(*number).to_string()),
        Field::Float(number) => Some(number.to_string()),
        Field::Double(number) => Some(number.to_string()),
        Field::Decimal(decimal) if decimal.data().len() > MAX_DECIMAL_BYTES => {
            return Err(Problem::new(name, format!("is a decimal of over {MAX_DECIMAL_BYTES} bytes")));
        }
        Field::Decimal(_) => Some(field.to_string()),
        Field::Date(days) => {
            let day = DateTime::UNIX_EPOCH.checked_add_signed(TimeDelta::days(i64::from(*days))).ok_or_else(beyond)?;
            Some(day.date_naive().to_string())
        }
        Field::TimeMillis(millis) => Some(time(i64::from(*millis).checked_mul(1_000)).ok_or_else(beyond)?),
        Field::TimeMicros(micros) => Some(time(Some(*micros)).ok_or_else(beyond)?),
        Field::TimestampMillis(millis) => Some(instant(DateTime::from_timestamp_millis(*millis).ok_or_else(beyond)?)),
        Field::TimestampMicros(micros) => Some(instant(DateTime::from_timestamp_micros(*micros).ok_or_else(beyond)?)),
        Field::Bytes(bytes) => {
            Some(std::str::from_utf8(bytes.data()).map_err(|_| Problem::new(name, "holds bytes that are no UTF-8 text"))?.to_owned())
        }
        Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            return Err(Problem::new(name, "is nested; write lists and objects as JSON texts"));
        }
    })
}

/// Midnight is how a day is written in a column of instants.
fn instant(at: DateTime<Utc>) -> String {
    if at.time() == NaiveTime::MIN { at.date_naive().to_string() } else { at.format("%Y-%m-%d %H:%M:%S%.f UTC").to_string() }
}

fn time(micros: Option<i64>) -> Option<String> {
    let micros = u64::try_from(micros?).ok()?;
    let (seconds, rest) = (u32::try_from(micros / 1_000_000).ok()?, u32::try_from(micros % 1_000_000).ok()?);
    NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest * 1_000).map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn days_are_read_from_instants_of_every_unit_and_impossible_ones_are_wrong() {
        let seconds = 1_793_664_000;
        for (field, is_nanos) in [
            (Field::TimestampMillis(seconds * 1_000), false),
            (Field::TimestampMicros(seconds * 1_000_000), false),
            (Field::Long(seconds * 1_000_000_000), true),
            (Field::Date(20_760), false),
        ] {
            assert_eq!(text_of("day", &field, is_nanos).unwrap().unwrap(), "2026-11-03", "{field:?}");
        }
        assert_eq!(text_of("t", &Field::TimestampMillis(-1), false).unwrap().unwrap(), "1969-12-31 23:59:59.999 UTC");
        for field in [Field::TimestampMillis(i64::MAX), Field::TimestampMicros(i64::MIN), Field::Date(i32::MAX), Field::TimeMillis(-1)] {
            assert!(text_of("t", &field, false).is_err(), "{field:?}");
        }
    }
}
