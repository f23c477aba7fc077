//! Golden items do not last for ever: those whose answer seems to be known, that are worn, or that most raters answer otherwise than the
//! expert are taken out of use. The rules are in `learning::golden`.

use learning::golden::{ItemAnswer, LEAST_ANSWERS_A_SIDE, Upkeep, UpkeepRules};
use storage::error::StorageError;
use storage::golden;

use crate::state::State;

/// Items looked at in one read.
const BATCH: i64 = 50;
/// Newest answers looked at of each.
const ANSWERS: i64 = 300;

/// Looks over all items in use; how many were retired.
///
/// # Errors
/// As any query.
pub async fn round(state: &State) -> Result<usize, StorageError> {
    let least = i32::try_from(LEAST_ANSWERS_A_SIDE).unwrap_or(12);
    let (mut after, mut retired) = (0, 0);
    loop {
        let found = state
            .storage
            .read(move |conn| {
                let items = golden::in_use(conn, least, after, BATCH)?;
                items
                    .into_iter()
                    .map(|(key, task_id, times_used)| Ok((key, golden::answers(conn, &task_id, ANSWERS)?, task_id, times_used)))
                    .collect::<Result<Vec<_>, StorageError>>()
            })
            .await?;
        let Some((last, ..)) = found.last() else { return Ok(retired) };
        after = *last;
        for (_, answers, task_id, times_used) in found {
            let Some(reason) = reason_to_retire(&answers, times_used) else { continue };
            let now = state.clock.now();
            retired += state
                .storage
                .transaction(move |tx| {
                    let item = golden::lock(tx, &task_id)?;
                    if !item.is_active {
                        return Ok(0);
                    }
                    golden::retire(tx, &item, reason, now)?;
                    tracing::info!(task_id, reason, "a golden item was retired");
                    Ok(1)
                })
                .await?;
        }
    }
}

/// Why an item with these answers (oldest first) is no longer to be used.
#[must_use]
pub fn reason_to_retire(answers: &[golden::GoldenAnswer], times_used: i32) -> Option<&'static str> {
    let answers: Vec<ItemAnswer> = answers.iter().map(|(is_right, pace)| ItemAnswer { is_right: *is_right, pace: *pace }).collect();
    match UpkeepRules::default().decide(&answers, times_used.max(0).unsigned_abs()) {
        Upkeep::Keep => None,
        Upkeep::RetireLeaked => Some("leaked: recent answers are right more often and faster than earlier ones"),
        Upkeep::RetireWorn => Some("worn: it was given out as often as is allowed"),
        Upkeep::Reverify => Some("doubtful: most raters answer otherwise; promote it again after an expert has looked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_is_suddenly_easy_and_fast_is_retired() {
        let earlier = (0..40).map(|n| (n % 2 == 0, 1.0 + f64::from(n % 7) / 10.0));
        let recent = (0..40).map(|n| (true, 0.2 + f64::from(n % 7) / 100.0));
        let answers: Vec<_> = earlier.clone().chain(recent).collect();
        assert!(reason_to_retire(&answers, 80).is_some_and(|reason| reason.starts_with("leaked")));
        let steady: Vec<_> = earlier.clone().chain(earlier.clone()).collect();
        assert_eq!(reason_to_retire(&steady, 80), None);
        assert!(reason_to_retire(&steady, 300).is_some_and(|reason| reason.starts_with("worn")));
        let wrong: Vec<_> = earlier.map(|(_, pace)| (false, pace)).collect();
        assert!(reason_to_retire(&wrong, 40).is_some_and(|reason| reason.starts_with("doubtful")));
    }
}
