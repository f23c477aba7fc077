//! The choice of the method. No single one is best everywhere: confusion matrices win where raters have
//! habits, one accuracy per rater wins where few data or tasks of mixed difficulty mislead the matrices.
//! So the data decide: first their amount, then how well each family predicts unseen judgments, and where
//! gold is known, how often each is right on it.

use super::calibration::calibrate;
use super::dawid_skene::{fitted_raters, into_result};
use super::hierarchical::{self, Pooling};
use super::indexed::{Fitted, Indexed};
use super::predictive::{Findings, compare};
use super::{Consensus, EmSettings, Evidence, Method, clear_winner, one_coin, vote};
use crate::judgment::{InvalidJudgments, check_cells};

/// Fewer tasks with two judgments than this cannot carry rater models.
pub(super) const MIN_TASKS_FOR_FITTING: usize = 100;
/// Most cells of the matrices that the comparison of families may take.
const MAX_MATRIX_CELLS: usize = 20_000_000;
/// Fewer judged gold tasks than this say nothing about methods.
const MIN_GOLD: usize = 10;
/// A lead on gold must be at least this many tasks and this many standard errors of a sign test.
const GOLD_LEAD: (f64, f64) = (3.0, 1.64);

/// Parts of the three fitted families in the average; they sum to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Weights {
    hierarchical: f64,
    mace: f64,
    one_coin: f64,
}

/// Chooses and estimates.
pub(super) fn fit(evidence: &Evidence<'_>) -> Result<Consensus, InvalidJudgments> {
    evidence.check()?;
    let indexed = Indexed::new(evidence);
    let overlapping = (0..evidence.n_tasks).filter(|task| indexed.rows(*task).len() >= 2).count();
    if overlapping < MIN_TASKS_FOR_FITTING {
        let reason = format!("{overlapping} tasks have two or more judgments; fitting rater models needs {MIN_TASKS_FOR_FITTING}");
        return Ok(Consensus { reason, ..vote::gold_weighted(evidence)? });
    }
    let k = evidence.n_labels;
    if evidence.n_raters.saturating_mul(2 * k).saturating_mul(k) > MAX_MATRIX_CELLS {
        let reason = format!("{} raters and {k} labels make too many confusion cells to estimate", evidence.n_raters);
        return Ok(Consensus { reason, ..one_coin::fit(evidence, &one_coin::SMOOTHED)? });
    }
    let (weights, mut reason) = choose(&compare(evidence));
    let mut choice = Choice::Average(weights);
    if !evidence.gold.is_empty()
        && let Some((better, why)) = better_on_gold(evidence, &indexed, weights)
    {
        (choice, reason) = (better, why);
    }
    let consensus = match choice {
        Choice::Average(weights) => average(evidence, &indexed, weights),
        Choice::Majority => vote::majority(evidence)?,
    };
    Ok(Consensus { reason, ..consensus })
}

#[derive(Debug, Clone, Copy)]
enum Choice {
    Average(Weights),
    Majority,
}

/// The average of the three families in equal parts.
pub(super) fn in_equal_parts(evidence: &Evidence<'_>) -> Result<Consensus, InvalidJudgments> {
    evidence.check()?;
    check_cells(evidence.n_raters.saturating_mul(evidence.n_labels).saturating_mul(evidence.n_labels))?;
    let third = 1.0 / 3.0;
    Ok(average(evidence, &Indexed::new(evidence), Weights { hierarchical: third, mace: third, one_coin: third }))
}

/// Weights by what predicts unseen judgments. The one-coin model takes part only if it explains more than
/// habit does: where raters lean to opposite sides it collapses onto one label. It is given half the weight
/// when the matrices gain little, or when much of what they gain comes from labels that hide tasks of
/// different kinds, for then their classes need not be the labels; three quarters when they predict worse.
fn choose(findings: &Findings) -> (Weights, String) {
    let Findings { matrices_over_habits, matrices_over_one_coin: matrices, one_coin_over_nothing, subtypes, judgments, is_whole } =
        *findings;
    // In a part of the data raters have fewer judgments than in the whole.
    let is_small = is_whole && matrices_over_habits.z < -2.0;
    let (one_coin, why) = if one_coin_over_nothing.z <= 2.0 {
        (0.0, "the one-coin model explains no more than the raters' habits")
    } else if matrices.z < -2.0 {
        (0.75, "the one-coin model predicts unseen judgments better than confusion matrices")
    } else if matrices.z < 6.0 || matrices.total < 0.015 * judgments as f64 {
        (0.5, "confusion matrices predict unseen judgments hardly better than the one-coin model")
    } else if subtypes.z > 3.0 && subtypes.total > 0.1 * matrices.total {
        (0.5, "labels hide tasks of different kinds, which misleads confusion matrices")
    } else {
        (0.0, "confusion matrices predict unseen judgments best")
    };
    let rest = 1.0 - one_coin;
    let mace = if is_small { rest / 2.0 } else { 0.0 };
    let few = if is_small { "; raters have too few judgments for matrices of their own alone" } else { "" };
    let scores = format!("z = {:.1} over one-coin, {:.1} over habits", matrices.z, matrices_over_habits.z);
    (Weights { hierarchical: rest - mace, mace, one_coin }, format!("{why}{few} ({scores})"))
}

/// Fits what has weight and averages it.
fn average(evidence: &Evidence<'_>, indexed: &Indexed, weights: Weights) -> Consensus {
    let votes = indexed.soft_votes(evidence);
    let limits = hierarchical::limits(evidence.judgments.len());
    let coin = EmSettings { tolerance: limits.1, ..one_coin::SMOOTHED };
    let partial = (weights.hierarchical > 0.0).then(|| hierarchical::fit_indexed(evidence, indexed, Pooling::Partial, limits));
    let complete = (weights.mace > 0.0).then(|| hierarchical::fit_indexed(evidence, indexed, Pooling::Complete, limits));
    let one_coin = (weights.one_coin > 0.0).then(|| one_coin::fit_indexed(evidence, indexed, &coin));
    let mut tables: Vec<(&[f64], f64)> = Vec::new();
    tables.extend(partial.iter().map(|fitted| (fitted.posterior.as_slice(), weights.hierarchical)));
    tables.extend(complete.iter().map(|fitted| (fitted.posterior.as_slice(), weights.mace)));
    tables.extend(one_coin.iter().map(|fitted| (fitted.posterior.as_slice(), weights.one_coin)));
    // Models that disagree are modest enough; vote shares are for matrices alone.
    let posterior = calibrate(&tables, (weights.one_coin == 0.0).then_some(votes.as_slice()), evidence.n_labels);
    let is_mixed = tables.len() > 1;
    let method = match (is_mixed, weights.mace > 0.0) {
        (true, _) => Method::ModelAverage,
        (false, true) => Method::Mace,
        (false, false) => Method::Hierarchical,
    };
    let coin_share = weights.one_coin;
    let fitted = match (partial.or(complete), one_coin) {
        (Some(matrices), coin) => {
            let mut raters = fitted_raters(evidence, &matrices);
            for (accuracy, coin) in raters.0.iter_mut().zip(coin.iter().flat_map(|coin| &coin.reliability)) {
                *accuracy = (1.0 - coin_share) * *accuracy + coin_share * coin;
            }
            into_result(method, matrices, raters)
        }
        (None, Some(coin)) => coin,
        (None, None) => return indexed.finish(evidence, Fitted::of_votes(Method::Majority, posterior, evidence)),
    };
    let class_prior = if is_mixed { indexed.class_prior(evidence, &posterior, 0.0) } else { fitted.class_prior };
    indexed.finish(evidence, Fitted { posterior, class_prior, ..fitted })
}

/// A family that is clearly better on the gold tasks than the one chosen, fitted without looking at them.
fn better_on_gold(evidence: &Evidence<'_>, indexed: &Indexed, chosen: Weights) -> Option<(Choice, String)> {
    let gold: Vec<(usize, u32)> = (0..evidence.n_tasks)
        .filter(|task| !indexed.rows(*task).is_empty())
        .filter_map(|task| Some((task, evidence.gold_label(task)?)))
        .collect();
    if gold.len() < MIN_GOLD {
        return None;
    }
    let blind = Evidence { gold: &[], ..*evidence };
    let is_right = |consensus: &Consensus| -> Vec<bool> {
        gold.iter().map(|(task, label)| clear_winner(&consensus.tasks[*task].posterior) == Some(*label)).collect()
    };
    let reference = is_right(&average(&blind, indexed, chosen));
    let only = |hierarchical, mace, one_coin| Choice::Average(Weights { hierarchical, mace, one_coin });
    let candidates = [
        ("matrices", only(1.0, 0.0, 0.0)),
        ("copy or habit", only(0.0, 1.0, 0.0)),
        ("one-coin", only(0.0, 0.0, 1.0)),
        ("majority", Choice::Majority),
    ];
    let mut best: Option<(f64, Choice, String)> = None;
    for (name, choice) in candidates {
        let right = match choice {
            Choice::Average(weights) => is_right(&average(&blind, indexed, weights)),
            Choice::Majority => is_right(&vote::majority(&blind).ok()?),
        };
        let (mut lead, mut differing) = (0.0, 0.0_f64);
        for (candidate, reference) in right.iter().zip(&reference).filter(|(x, y)| x != y) {
            lead += f64::from(i8::from(*candidate) - i8::from(*reference));
            differing += 1.0;
        }
        let is_clear = lead >= GOLD_LEAD.0 && lead > GOLD_LEAD.1 * differing.sqrt();
        if is_clear && best.as_ref().is_none_or(|(top, ..)| lead > *top) {
            let reason = format!("{name}: right on {lead} more of {} gold tasks than what unseen judgments spoke for", gold.len());
            best = Some((lead, choice, reason));
        }
    }
    best.map(|(_, choice, reason)| (choice, reason))
}
