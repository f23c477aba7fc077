//! The gate before activation: what a model must show on pairs that it had not seen. Rules speak by intervals, so that luck on few pairs neither
//! lets a model pass nor, when it may be better than it looks, keeps it out. Pure functions.

use learning::agreement::krippendorff::AlphaEstimate;
use learning::reward::card::{Card, Comparison, Figures};

use super::CardFigures;

/// Decided held-out pairs below which no model passes.
pub const MIN_HELD_OUT: usize = 10;

/// Decided pairs of a retailer from which its own figures count.
pub const MIN_OF_RETAILER: usize = 20;

/// Largest calibration error that a model which claims too much may be shown to have; one that claims too little does no harm.
pub const MAX_CALIBRATION_ERROR: f64 = 0.1;

/// Krippendorff's alpha that the judgments behind a model must not be shown to stay below: less is hardly more than chance (Krippendorff 2004 asks
/// for .667 before conclusions are drawn from single labels; many noisy ones still train a model).
pub const MIN_ALPHA: f64 = 0.1;

/// People whose judgments or feedback are behind a model at least: accounts, each once however it spoke.
pub const MIN_PEOPLE: u64 = 2;

/// Every rule in a sentence, as the card page tells them.
pub const RULES: [&str; 9] = [
    "tried on at least 10 decided pairs that it had not seen",
    "better than a coin: the whole 95 % interval of its log loss is below 0.693",
    "right in at least half of those pairs",
    "not shown to be worse than “the longer text wins”",
    "not shown to be worse than the active model, by log loss on pairs that neither has learnt from",
    "for no retailer with 20 decided pairs shown to be worse than a coin",
    "not shown to claim too much: a calibration error above 0.1",
    "agreement behind the labels (alpha) not shown to be below 0.1",
    "learnt from what two people at least have said",
];

/// Why a model may not be activated; empty when it may.
#[must_use]
pub fn failed_gates(figures: &CardFigures) -> Vec<String> {
    let Some(held_out) = &figures.held_out else {
        return vec!["there are no held-out figures, because all pairs belong to one prompt".to_owned()];
    };
    let Some(card) = &figures.card else {
        return vec!["its card is of an earlier program and lacks intervals; train it again".to_owned()];
    };
    let mut reasons = Vec::new();
    if held_out.n_decided < MIN_HELD_OUT {
        reasons.push(format!("it was tried on {} decided held-out pairs; at least {MIN_HELD_OUT} are needed", held_out.n_decided));
    }
    reasons.extend(no_better_than_a_coin(&card.all));
    reasons.extend(more_often_wrong(&card.all));
    reasons.extend(worse_than_longer(&card.against_longer));
    // Not on pairs that the active model has learnt from, on which it would win by memory.
    let later = figures.against_active_later.as_ref();
    reasons.extend(
        later.and_then(|active| worse_than(&active.difference, &active.model_id, "held-out pairs, decided after that one was trained")),
    );
    reasons.extend(card.by_retailer.iter().filter_map(|(retailer, figures)| misleads(retailer, figures)));
    reasons.extend(badly_calibrated(card));
    reasons.extend(labels_without_agreement(figures));
    reasons.extend(word_of_one_person(figures));
    reasons
}

/// Why a model that predicted in the shadow of the active one may not take over: on the same later decisions it was shown to be worse.
#[must_use]
pub fn failed_in_shadow(against_active: &Comparison, active_id: &str) -> Option<String> {
    worse_than(against_active, active_id, "pairs that people decided while it was in the shadow")
}

fn no_better_than_a_coin(all: &Figures) -> Option<String> {
    let coin = std::f64::consts::LN_2;
    let Some(loss) = all.metrics.log_loss else {
        return Some("its held-out log loss is not defined, because no pair was decided".to_owned());
    };
    match all.log_loss {
        _ if loss >= coin => Some(format!("its held-out log loss {loss:.4} is not below the coin's {coin:.4}")),
        Some(interval) if interval.high >= coin => Some(format!(
            "it is not shown to be better than a coin: the 95 % interval of its log loss, {:.3} to {:.3}, reaches the coin's {coin:.3}; more judged pairs would tell",
            interval.low, interval.high
        )),
        Some(_) => None,
        None => Some("its log loss has no interval, because the pairs are of fewer than two prompts".to_owned()),
    }
}

/// A model that is wrong in most pairs and right where it is sure can have a low loss; nobody would trust it.
fn more_often_wrong(all: &Figures) -> Option<String> {
    let accuracy = all.metrics.accuracy_ties_half.filter(|accuracy| *accuracy < 0.5)?;
    Some(format!("it prefers the wrong text more often than not: right in {:.1} % of the held-out pairs, a coin in 50 %", accuracy * 100.0))
}

fn worse_than_longer(comparison: &Comparison) -> Option<String> {
    let difference = comparison.accuracy?;
    let interval = difference.interval?;
    (interval.high < 0.0).then(|| {
        format!(
            "it is right less often than \"the longer text wins\": {:+.1} points, 95 % interval {:+.1} to {:+.1}",
            difference.value * 100.0,
            interval.low * 100.0,
            interval.high * 100.0
        )
    })
}

fn worse_than(comparison: &Comparison, active_id: &str, pairs: &str) -> Option<String> {
    let difference = comparison.log_loss?;
    let interval = difference.interval?;
    (interval.low > 0.0).then(|| {
        format!(
            "it predicts worse than the active model {active_id} on {} {pairs}: log loss {:+.3}, 95 % interval {:+.3} to {:+.3}",
            comparison.n_decided, difference.value, interval.low, interval.high
        )
    })
}

fn misleads(retailer: &str, figures: &Figures) -> Option<String> {
    let interval = figures.accuracy_ties_half.filter(|_| figures.metrics.n_decided >= MIN_OF_RETAILER)?;
    (interval.high < 0.5).then(|| {
        format!(
            "for retailer {retailer} it is worse than a coin: right in {:.0} to {:.0} % of {} decided pairs (95 % interval)",
            interval.low * 100.0,
            interval.high * 100.0,
            figures.metrics.n_decided
        )
    })
}

fn badly_calibrated(card: &Card) -> Option<String> {
    // Each pair stands in both orders, so the upper half of the bins holds each once, as the model would choose.
    let (claimed, came_true) = card.bins.iter().filter(|bin| bin.above >= 0.5).fold((0.0, 0.0), |(claimed, came_true), bin| {
        let times = |share: Option<f64>| bin.n as f64 * share.unwrap_or(0.0);
        (claimed + times(bin.predicted), came_true + times(bin.observed))
    });
    let interval = card.all.calibration_error?;
    (claimed > came_true && interval.low > MAX_CALIBRATION_ERROR).then(|| {
        format!(
            "it claims more than comes true: calibration error {:.3} to {:.3} (95 % interval), at most {MAX_CALIBRATION_ERROR} is allowed",
            interval.low, interval.high
        )
    })
}

fn labels_without_agreement(figures: &CardFigures) -> Option<String> {
    let alpha: AlphaEstimate = serde_json::from_value(figures.label_quality.get("krippendorff_alpha")?.clone()).ok()?;
    let interval = alpha.interval?;
    (interval.high < MIN_ALPHA).then(|| {
        format!(
            "the judgments behind it hardly agree: Krippendorff's alpha {:.2} to {:.2} (95 % interval), {MIN_ALPHA} is needed",
            interval.low, interval.high
        )
    })
}

/// One person can teach a model anything; agreement, which would tell, is not defined then.
fn word_of_one_person(figures: &CardFigures) -> Option<String> {
    let people = figures.label_quality.get("people")?.as_u64().filter(|people| *people < MIN_PEOPLE)?;
    let who = if people == 0 { "nobody who is known".to_owned() } else { format!("{people} person") };
    Some(format!("all it has learnt was said by {who}; judgments or feedback of {MIN_PEOPLE} at least are needed"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use learning::reward::Outcome;
    use learning::reward::card::{CardRow, card, compare};
    use learning::reward::metrics::Prediction;
    use serde_json::json;

    use super::*;
    use crate::training::AgainstActive;

    /// `n` prompts; of `right` in 10 the model gives the preferred one `p`.
    fn rows(n: usize, right: usize, p: f64, retailer: &str) -> Vec<CardRow> {
        let row = |i: usize| {
            let is_right = i % 10 < right;
            let a = if is_right { p } else { 1.0 - p };
            CardRow {
                prediction: Prediction {
                    difference: (a / (1.0 - a)).ln(),
                    probability: Outcome { a, tie: 0.0, b: 1.0 - a },
                    outcome: Outcome { a: 1.0, tie: 0.0, b: 0.0 },
                },
                longer: if i.is_multiple_of(2) { 3.0 } else { -3.0 },
                prompt_key: format!("{retailer}{i}"),
                task_type: None,
                retailer: Some(retailer.to_owned()),
            }
        };
        (0..n).map(row).collect()
    }

    fn figures(rows: &[CardRow]) -> CardFigures {
        let card = card(rows, 1);
        CardFigures {
            held_out: Some(card.all.metrics.clone()),
            baselines: card.baselines.clone(),
            label_quality: json!({}),
            card: Some(card),
            against_active: None,
            against_active_later: None,
        }
    }

    fn only_reason(figures: &CardFigures) -> String {
        let reasons = failed_gates(figures);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        reasons.into_iter().next().unwrap()
    }

    #[test]
    fn a_good_model_passes() {
        assert_eq!(failed_gates(&figures(&rows(60, 8, 0.8, "r"))), Vec::<String>::new());
    }

    #[test]
    fn luck_on_few_pairs_does_not_pass() {
        assert!(only_reason(&figures(&rows(9, 8, 0.8, "r"))).contains("at least 10"));
        // 12 of 20 right with .6: better than a coin, and could well be no better.
        let reason = only_reason(&figures(&rows(20, 6, 0.6, "r")));
        assert!(reason.contains("not shown to be better than a coin"), "{reason}");
    }

    #[test]
    fn who_is_mostly_wrong_stays_out_however_low_the_loss() {
        let mut wrong = figures(&rows(60, 8, 0.8, "r"));
        wrong.card.as_mut().unwrap().all.metrics.accuracy_ties_half = Some(0.06);
        assert!(only_reason(&wrong).contains("right in 6.0 % of the held-out pairs"));
    }

    #[test]
    fn the_word_of_one_person_is_not_enough() {
        let of = |people: u64| CardFigures { label_quality: json!({ "people": people }), ..figures(&rows(60, 8, 0.8, "r")) };
        assert!(only_reason(&of(1)).contains("said by 1 person"));
        assert!(only_reason(&of(0)).contains("said by nobody who is known"));
        assert_eq!(failed_gates(&of(2)), Vec::<String>::new());
    }

    #[test]
    fn a_retailer_that_is_misled_keeps_it_out() {
        let both = [rows(200, 9, 0.85, "r1"), rows(20, 1, 0.6, "r2")].concat();
        assert!(only_reason(&figures(&both)).contains("for retailer r2 it is worse than a coin"));
        let few = [rows(200, 9, 0.85, "r1"), rows(19, 1, 0.6, "r2")].concat();
        assert_eq!(failed_gates(&figures(&few)), Vec::<String>::new());
    }

    #[test]
    fn overconfidence_keeps_it_out() {
        // Right in 17 of 20 and says 97 %: calibration error .12.
        let overconfident = [rows(2000, 8, 0.97, "r1"), rows(2000, 9, 0.97, "r2")].concat();
        let reason = only_reason(&figures(&overconfident));
        assert!(reason.contains("claims more than comes true"), "{reason}");
        // Right in 8 of 10 and says 60 %: too modest, and no worse for that.
        assert_eq!(failed_gates(&figures(&rows(400, 8, 0.6, "r"))), Vec::<String>::new());
    }

    #[test]
    fn a_model_that_is_shown_to_be_worse_than_the_active_one_is_kept_out() {
        let (worse, better) = (rows(100, 7, 0.7, "r"), rows(100, 9, 0.9, "r"));
        let predictions = |rows: &[CardRow]| rows.iter().map(|row| row.prediction).collect::<Vec<_>>();
        let against = |own: &[CardRow], other: &[CardRow]| AgainstActive {
            model_id: "rwm_active".to_owned(),
            difference: compare(own, &predictions(other), 1).unwrap(),
        };
        let of_worse = CardFigures { against_active_later: Some(against(&worse, &better)), ..figures(&worse) };
        assert!(only_reason(&of_worse).contains("worse than the active model rwm_active"));
        let of_better = CardFigures { against_active_later: Some(against(&better, &worse)), ..figures(&better) };
        assert_eq!(failed_gates(&of_better), Vec::<String>::new());
        assert!(failed_in_shadow(&against(&worse, &better).difference, "rwm_active").unwrap().contains("in the shadow"));
    }

    #[test]
    fn labels_that_do_not_agree_keep_it_out() {
        let good = figures(&rows(60, 8, 0.8, "r"));
        let alpha = |low: f64, high: f64| {
            json!({ "krippendorff_alpha": {
                "alpha": { "value": (low + high) / 2.0, "n_tasks": 50, "n_judgments": 150, "undefined_because": null },
                "interval": { "low": low, "high": high }, "replicates": 200,
            } })
        };
        let of = |low, high| CardFigures { label_quality: alpha(low, high), ..good.clone() };
        assert!(only_reason(&of(-0.1, 0.08)).contains("hardly agree"));
        assert_eq!(failed_gates(&of(-0.1, 0.2)), Vec::<String>::new());
    }
}
