//! The signals themselves: each a test of one habit of a dishonest rater, with its words.

use super::copies::copied;
use super::{Evidence, Name, Observed, Pool, Rules, Shown, Signal};
use crate::exact::{self, Tail, binomial, binomial_two_sided, g_test};
use crate::intervals::{Z_95, wilson};
use crate::overlap::entropy_bits;

/// All signals about one rater, in the order of [`Name::ALL`]. `pool` is everybody else.
pub fn signals(evidence: &Evidence, pool: &Pool, rules: &Rules) -> Vec<Signal> {
    vec![
        time_floor(evidence, pool, rules),
        side_bias(&sides(&evidence.judgments), rules),
        streaks(&sides(&evidence.judgments), rules),
        choice_mix(&evidence.judgments, pool, rules),
        copied_text(&evidence.judgments, pool, rules),
        golden(evidence, pool, rules),
        attention(evidence, rules),
    ]
}

/// Whether the left one was chosen, for every choice between two places. The order is drawn for each rater and task, so an honest rater
/// comes to left or right like a fair coin, whatever the candidates are.
fn sides(judgments: &[Observed]) -> Vec<bool> {
    let side = |judgment: &Observed| match judgment.shown {
        Shown::Place { place, of: 2 } => Some(place == 0),
        _ => None,
    };
    judgments.iter().filter_map(side).collect()
}

/// A share and its test.
struct Share {
    name: Name,
    hits: u64,
    n: u64,
    least: u64,
    p: Option<f64>,
    words: String,
    unit: &'static str,
}

/// The signal of a share: p only from `least` on.
fn of_share(share: Share) -> Signal {
    let is_enough = share.n >= share.least.max(1);
    let words =
        if is_enough { share.words } else { format!("{} {}; there must be {} to say anything", share.n, share.unit, share.least.max(1)) };
    Signal {
        name: share.name,
        n: share.n,
        value: (share.n > 0).then(|| share.hits as f64 / share.n as f64),
        p: share.p.filter(|_| is_enough),
        adjusted: None,
        interval: wilson(share.hits, share.n, Z_95),
        is_large: true,
        words,
    }
}

/// Share of judgments faster than the floor; exact binomial test against the tolerated share, or that of the pool where it is higher (a
/// page that all find quick is no fault of one).
fn time_floor(evidence: &Evidence, pool: &Pool, rules: &Rules) -> Signal {
    let judgments = &evidence.judgments;
    let n = judgments.len() as u64;
    let fast = judgments.iter().filter(|judgment| judgment.seconds < rules.floor_seconds(judgment.chars)).count() as u64;
    let of_pool = if pool.fast.1 >= rules.least_judgments { pool.fast.0 as f64 / pool.fast.1 as f64 } else { 0.0 };
    let tolerated = rules.fast_share.max(of_pool).min(1.0);
    let mut signal = of_share(Share {
        name: Name::TimeFloor,
        hits: fast,
        n,
        least: rules.least_judgments,
        p: binomial(fast, n, tolerated, Tail::AtLeast),
        words: format!(
            "{fast} of {n} judgments came faster than the text can be read ({} ms a character, {} to {} s); {} % are tolerated",
            rules.ms_per_char,
            rules.floor_least,
            rules.floor_most,
            percent(tolerated)
        ),
        unit: "judgments",
    });
    if evidence.is_program {
        signal.p = None;
        "a program that says so is judged by its answers, not by its speed".clone_into(&mut signal.words);
    }
    signal
}

/// Exact two-sided binomial test of left choices against one half.
fn side_bias(sides: &[bool], rules: &Rules) -> Signal {
    let n = sides.len() as u64;
    let left = sides.iter().filter(|is_left| **is_left).count() as u64;
    of_share(Share {
        name: Name::SideBias,
        hits: left,
        n,
        least: rules.least_choices,
        p: binomial_two_sided(left, n, 0.5),
        words: format!("the left candidate was chosen {left} of {n} times; the sides are drawn by lot, so half is expected"),
        unit: "choices between two candidates",
    })
}

/// Runs test of left and right. The value is the number of runs.
fn streaks(sides: &[bool], rules: &Rules) -> Signal {
    let n = sides.len() as u64;
    let found = exact::runs(sides).filter(|_| n >= rules.least_choices);
    let words = match found {
        Some(runs) => format!(
            "sides changed {} times in {n} choices, {:.0} are expected (z = {:.1}): {}",
            runs.runs - 1,
            runs.expected - 1.0,
            runs.z,
            if runs.z < 0.0 { "they come in streaks" } else { "they take turns" }
        ),
        None if n < rules.least_choices => {
            format!("{n} choices between two candidates; there must be {} to say anything", rules.least_choices)
        }
        None => "all choices were on one side, which side bias tells already".to_owned(),
    };
    Signal {
        name: Name::Streaks,
        n,
        value: found.map(|runs| runs.runs as f64),
        p: found.map(|runs| runs.p),
        adjusted: None,
        interval: None,
        is_large: true,
        words,
    }
}

/// G-test of the kinds of choice (a candidate, tie, both bad, unsure) against everybody else's, within each type of task and summed over
/// the types. The value is the entropy of the rater's kinds in bits; flagged only when the total variation distance is large, because
/// people differ in what they call a tie.
fn choice_mix(judgments: &[Observed], pool: &Pool, rules: &Rules) -> Signal {
    let mut own = Pool::default();
    own.add(judgments, crate::judgment::GoldRecord::default(), rules);
    let (mut g, mut degrees, mut compared, mut distance) = (0.0, 0, 0_u64, 0.0);
    let mut all = [0_u64; super::KINDS];
    for (stratum, kinds) in &own.kinds {
        all.iter_mut().zip(kinds).for_each(|(sum, count)| *sum += count);
        let Some(others) = pool.kinds.get(stratum) else { continue };
        let Some(test) = g_test(kinds, others) else { continue };
        let (n, n_others) = (kinds.iter().sum::<u64>(), others.iter().sum::<u64>());
        let gap: f64 = kinds.iter().zip(others).map(|(a, b)| (*a as f64 / n as f64 - *b as f64 / n_others as f64).abs()).sum();
        (g, degrees, compared) = (g + test.g, degrees + test.degrees, compared + n);
        distance += gap / 2.0 * n as f64;
    }
    let n = judgments.len() as u64;
    let distance = if compared > 0 { distance / compared as f64 } else { 0.0 };
    let shares: Vec<f64> = all.iter().map(|count| *count as f64 / n.max(1) as f64).collect();
    let p = if compared >= rules.least_judgments { exact::Homogeneity { g, degrees }.p() } else { None };
    let words = match p {
        Some(_) => format!(
            "of {n} judgments {} chose a candidate, {} tie, {} both bad, {} unsure; {} % are unlike what others chose",
            all[0],
            all[1],
            all[2],
            all[3],
            percent(distance)
        ),
        None => format!(
            "{compared} judgments can be compared with those of others on the same type of task; there must be {} to say anything",
            rules.least_judgments
        ),
    };
    Signal {
        name: Name::ChoiceMix,
        n: compared,
        value: (n > 0).then(|| entropy_bits(&shares)),
        p,
        adjusted: None,
        interval: None,
        is_large: distance >= rules.least_distance,
        words,
    }
}

/// Share of texts that say the same as an earlier one, or as somebody else's.
fn copied_text(judgments: &[Observed], pool: &Pool, rules: &Rules) -> Signal {
    let texts: Vec<_> = judgments.iter().filter_map(|judgment| judgment.text.as_ref()).collect();
    let (copies, n) = copied(&texts, &pool.texts, rules.same_text);
    of_share(Share {
        name: Name::CopiedText,
        hits: copies,
        n,
        least: rules.least_texts,
        p: binomial(copies, n, rules.copied_share, Tail::AtLeast),
        words: format!("{copies} of {n} texts repeat an earlier one nearly word for word; {} % are tolerated", percent(rules.copied_share)),
        unit: "texts of five words or more",
    })
}

/// Exact binomial test of right golden answers against the accuracy of all others less a margin.
fn golden(evidence: &Evidence, pool: &Pool, rules: &Rules) -> Signal {
    let (right, n) = (u64::from(evidence.golden.correct.min(evidence.golden.total)), u64::from(evidence.golden.total));
    // Two pseudo-answers of three right, as in the weights of votes: a small pool is no hard bar.
    let of_pool = (pool.golden.0 as f64 + 2.0) / (pool.golden.1 as f64 + 3.0);
    let bar = (of_pool - rules.golden_margin).clamp(0.0, 1.0);
    let spread = (bar * (1.0 - bar) / n.max(1) as f64).sqrt();
    let z = if spread > 0.0 { (right as f64 / n.max(1) as f64 - bar) / spread } else { 0.0 };
    of_share(Share {
        name: Name::Golden,
        hits: right,
        n,
        least: rules.least_golden,
        p: binomial(right, n, bar, Tail::AtMost),
        words: format!(
            "{right} of {n} golden items were right; others reach {} %, and {} % would do (z = {z:.1})",
            percent(of_pool),
            percent(bar)
        ),
        unit: "golden items",
    })
}

/// Exact binomial test of missed attention items against the share of slips. One miss is worth showing from the first item on.
fn attention(evidence: &Evidence, rules: &Rules) -> Signal {
    let n = u64::from(evidence.attention.total);
    let missed = u64::from(evidence.attention.total.saturating_sub(evidence.attention.correct));
    of_share(Share {
        name: Name::Attention,
        hits: missed,
        n,
        least: 1,
        p: binomial(missed, n, rules.slip_share, Tail::AtLeast),
        words: format!("{missed} of {n} attention items, whose answer is obvious, were missed"),
        unit: "attention items",
    })
}

fn percent(share: f64) -> String {
    format!("{:.0}", share * 100.0)
}
