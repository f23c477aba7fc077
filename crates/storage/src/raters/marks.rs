//! Golden answers that no longer count, because the item's own answer was wrong: a rater's record without their mark.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::{Map, Value, json};

use super::{Rater, share};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::rater_profiles as t;
use crate::types::{Json, Timestamp};

/// Takes the mark of one golden answer out of a rater's record; the judgment itself stays counted. `rater` must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn take_mark(
    conn: &mut Connection,
    rater: &Rater,
    (task_type, purpose): (&str, &str),
    is_right: bool,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let (right, in_calibration) = (i32::from(is_right), i32::from(purpose == "calibration"));
    let (correct, total) = ((rater.golden_correct - right).max(0), (rater.golden_total - 1).max(0));
    let changes = (
        t::golden_correct.eq(correct),
        t::golden_total.eq(total),
        t::golden_set_accuracy.eq(share(correct, total)),
        t::calibration_correct.eq((rater.calibration_correct - right * in_calibration).max(0)),
        t::calibration_total.eq((rater.calibration_total - in_calibration).max(0)),
        t::reliability_by_task_type.eq(Json(without_mark(&rater.reliability_by_task_type, task_type, is_right))),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.filter(t::id.eq(rater.id))).set(changes).execute(c))?;
    Ok(())
}

fn without_mark(before: &Value, task_type: &str, is_right: bool) -> Value {
    let mut all: Map<String, Value> = before.as_object().cloned().unwrap_or_default();
    if let Some(entry) = all.get_mut(task_type).and_then(Value::as_object_mut) {
        for (name, by) in [("golden_correct", i64::from(is_right)), ("golden_total", 1)] {
            let figure = entry.get(name).and_then(Value::as_i64).unwrap_or(0);
            entry.insert(name.to_owned(), json!((figure - by).max(0)));
        }
    }
    Value::Object(all)
}
