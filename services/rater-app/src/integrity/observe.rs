//! From stored judgments to what the integrity signals read. No I/O.

use std::collections::BTreeMap;

use domain::task::Choice;
use learning::integrity::{Evidence, Fingerprint, Observed, Pool, Rules, Shown};
use learning::judgment::GoldRecord;
use storage::integrity::evidence::{ATTENTION_CASE, Given};

/// One rater's judgments among the newest of all, and its golden record among them.
pub type Shares = BTreeMap<String, (Vec<Observed>, GoldRecord)>;

/// The evidence about one rater; `given` is newest first.
pub fn evidence(given: &[Given], is_program: bool) -> Evidence {
    let mut evidence = Evidence { is_program, ..Evidence::default() };
    for one in given.iter().rev() {
        evidence.judgments.extend(observed(one));
        let Some(is_right) = one.matches_golden else { continue };
        let is_attention = one.edge_case_type.as_deref() == Some(ATTENTION_CASE);
        note(if is_attention { &mut evidence.attention } else { &mut evidence.golden }, is_right);
    }
    evidence
}

/// The newest judgments of all raters by rater.
pub fn by_rater(given: &[Given]) -> Shares {
    let mut shares = Shares::new();
    for one in given {
        let (judgments, golden) = shares.entry(one.rater_id.clone()).or_default();
        judgments.extend(observed(one));
        if let Some(is_right) = one.matches_golden.filter(|_| one.edge_case_type.as_deref() != Some(ATTENTION_CASE)) {
            note(golden, is_right);
        }
    }
    shares
}

/// Everybody but this rater.
pub fn pool(shares: &Shares, rater_id: &str, rules: &Rules) -> Pool {
    let mut pool = Pool::default();
    for (_, (judgments, golden)) in shares.iter().filter(|(other, _)| *other != rater_id) {
        pool.add(judgments, *golden, rules);
    }
    pool
}

fn note(record: &mut GoldRecord, is_right: bool) {
    record.total = record.total.saturating_add(1);
    record.correct = record.correct.saturating_add(u32::from(is_right));
}

/// `None` for a choice that was not shown; such a row says nothing about habits.
fn observed(given: &Given) -> Option<Observed> {
    let choice: Choice = given.choice.parse().ok()?;
    let order: Vec<usize> = serde_json::from_value(given.display_order.0.clone()).ok()?;
    let shown = match (choice, choice.candidate()) {
        (_, Some(stored)) => {
            let place = order.iter().position(|other| *other == stored)?;
            Shown::Place { place: u8::try_from(place).ok()?, of: u8::try_from(order.len()).ok()? }
        }
        (Choice::Tie, _) => Shown::Tie,
        (Choice::BothBad, _) => Shown::BothBad,
        _ => Shown::Unsure,
    };
    // The page measures time in which the rater was active; more than the server saw between lease and answer it cannot have been.
    let active = given.active_ms.map(|millis| millis.max(0) as f64 / 1_000.0);
    let seconds = active.map_or(given.time_spent_seconds, |active| active.min(given.time_spent_seconds));
    Some(Observed {
        shown,
        seconds,
        chars: u32::try_from(given.chars.max(0)).unwrap_or(u32::MAX),
        stratum: stratum(&given.task_type),
        text: given.free_text_feedback.as_deref().and_then(Fingerprint::of),
    })
}

/// The same number for the same task type.
fn stratum(task_type: &str) -> u32 {
    task_type.bytes().fold(0, |number: u32, byte| number.wrapping_mul(31).wrapping_add(u32::from(byte)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use storage::types::Json;

    use super::*;

    fn given(choice: &str, order: serde_json::Value) -> Given {
        Given {
            rater_id: "r1".to_owned(),
            task_type: "plan_quality".to_owned(),
            choice: choice.to_owned(),
            display_order: Json(order),
            time_spent_seconds: 12.0,
            active_ms: None,
            free_text_feedback: None,
            matches_golden: None,
            edge_case_type: None,
            chars: 800,
        }
    }

    #[test]
    fn the_place_is_that_of_the_screen() {
        let shown = |choice, order| observed(&given(choice, order)).map(|observed| observed.shown);
        assert_eq!(shown("candidate_a", json!([0, 1])), Some(Shown::Place { place: 0, of: 2 }));
        assert_eq!(shown("candidate_a", json!([1, 0])), Some(Shown::Place { place: 1, of: 2 }));
        assert_eq!(shown("candidate_c", json!([2, 0, 1])), Some(Shown::Place { place: 0, of: 3 }));
        assert_eq!(shown("tie", json!([1, 0])), Some(Shown::Tie));
        assert_eq!(shown("candidate_c", json!([1, 0])), None);
        assert_eq!(shown("candidate_a", json!("x")), None);
    }

    #[test]
    fn activity_is_bounded_by_what_the_server_saw() {
        let seconds = |active_ms| observed(&Given { active_ms, ..given("tie", json!([0, 1])) }).unwrap().seconds;
        assert_eq!([seconds(None), seconds(Some(3_000)), seconds(Some(99_000)), seconds(Some(-5))], [12.0, 3.0, 12.0, 0.0]);
    }

    #[test]
    fn attention_items_are_a_record_of_their_own() {
        let golden = |is_right, case: Option<&str>| Given {
            matches_golden: Some(is_right),
            edge_case_type: case.map(str::to_owned),
            ..given("tie", json!([0, 1]))
        };
        let all = [golden(true, None), golden(false, Some("attention")), golden(false, Some("currency")), given("tie", json!([0, 1]))];
        let found = evidence(&all, false);
        assert_eq!(
            (found.judgments.len(), found.golden, found.attention),
            (4, GoldRecord { correct: 1, total: 2 }, GoldRecord { correct: 0, total: 1 })
        );
        let shares = by_rater(&all);
        assert_eq!(pool(&shares, "r1", &Rules::default()).fast.1, 0, "nobody is compared with oneself");
        assert_eq!(pool(&shares, "r2", &Rules::default()).golden, (1, 2));
    }
}
