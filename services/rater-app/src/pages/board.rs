//! The figures of the programme: is quality held, what does it cost, what is blocked; then agreement, raters by need of attention, and
//! where people disagree. No I/O.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use domain::task::Choice;
use learning::exact::{Tail, benjamini_hochberg, binomial, binomial_two_sided};
use storage::quality_facts::Fact;
use web::chart::sparkline;

use super::figures::{ShareView, THIN, duration, title_of};
use super::stats::behind::{By, Show, Wish};
use super::stats::ladder::Place;
use crate::raters::share;

/// Points of a trend.
const BUCKETS: usize = 8;
/// Left-or-right choices before a preference for a side is named.
const MIN_SIDES: u64 = 50;
/// Level of the tests that ask for attention: the share of false alarms among all alarms, over the raters of the page.
const LEVEL: f64 = 0.05;
/// Median of active seconds below which answers are quicker than reading.
const QUICK_SECONDS: f64 = 5.0;
/// z of a 95 % interval.
const Z: f64 = 1.96;

/// One of the three numbers of the first line.
#[derive(Debug, Clone, PartialEq)]
pub struct Headline {
    /// What it is.
    pub label: &'static str,
    /// The number; a dash when it is not defined.
    pub value: String,
    /// Interval and n, or why it is not defined.
    pub note: String,
    /// Too few to lean on.
    pub is_thin: bool,
    /// How it moved over the window; numbers only, so safe in a page.
    pub trend: Option<String>,
    /// Which judgments are behind it: a word of the filter `show`.
    pub behind: &'static str,
}

/// A rater as the programme sees them.
#[derive(Debug, Clone, PartialEq)]
pub struct RaterRow {
    /// Public id.
    pub rater_id: String,
    /// Pseudonym.
    pub name: String,
    /// A program that says so.
    pub is_simulated: bool,
    /// Judgments in the window.
    pub judgments: usize,
    /// Agreement with experts on golden items.
    pub golden: Option<ShareView>,
    /// Agreement with decisions.
    pub decided: Option<ShareView>,
    /// How often the left of two was chosen.
    pub left: Option<ShareView>,
    /// Median of active seconds.
    pub seconds: Option<f64>,
    /// The same in words.
    pub time: Option<String>,
    /// Where the rater stands on the ladder; `None` when nothing holds.
    pub place: Option<Place>,
    /// Why somebody should look; empty when nothing asks for it.
    pub attention: Vec<String>,
    weight: u32,
}

/// How often judgments differ from the decision, in one part of the work.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceRow {
    /// By what the work is divided.
    pub by: By,
    /// Which part, in words.
    pub part: String,
    /// The judgments of this part that differ, as a query string.
    pub query: String,
    /// Judgments that differ from the decision.
    pub differs: ShareView,
}

/// Tasks that wait for somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// For an expert.
    pub for_experts: i64,
    /// For raters.
    pub for_raters: i64,
}

/// The three numbers.
#[must_use]
pub fn headlines(facts: &[Fact], waiting: Waiting, now: DateTime<Utc>, days: i64) -> [Headline; 3] {
    [quality(facts, now, days), cost(facts, now, days), blocked(facts, waiting, now, days)]
}

fn quality(facts: &[Fact], now: DateTime<Utc>, days: i64) -> Headline {
    let golden: Vec<(DateTime<Utc>, f64)> =
        facts.iter().filter_map(|fact| Some((fact.created_at.0, f64::from(u8::from(golden_at_work(fact)?))))).collect();
    let right = golden.iter().filter(|(_, value)| *value > 0.5).count();
    let view = ShareView::new(count(right), count(golden.len()));
    Headline {
        label: "Is quality held?",
        value: view.as_ref().map_or_else(|| "–".to_owned(), |view| view.percent.clone()),
        note: view.as_ref().map_or_else(
            || "Agreement with experts is not defined because no golden item was answered in this window.".to_owned(),
            |view| format!("of golden items as the expert, {}, n = {}", view.range, view.n),
        ),
        is_thin: view.is_some_and(|view| view.is_thin),
        trend: trend("Agreement with experts over the window", &golden, now, days),
        behind: "golden_wrong",
    }
}

/// Active minutes per decided task: what a decision costs in people's time.
fn cost(facts: &[Fact], now: DateTime<Utc>, days: i64) -> Headline {
    let mut by_task: HashMap<&str, (f64, DateTime<Utc>)> = HashMap::new();
    for fact in facts.iter().filter(|fact| !fact.is_golden && fact.decision.is_some()) {
        let Some(ms) = fact.active_ms else { continue };
        let task = by_task.entry(&fact.task_id).or_insert((0.0, fact.created_at.0));
        *task = (task.0 + ms as f64 / 60_000.0, task.1.max(fact.created_at.0));
    }
    let costs: Vec<(DateTime<Utc>, f64)> = by_task.into_values().map(|(minutes, at)| (at, minutes)).collect();
    let n = costs.len();
    let minutes: Vec<f64> = costs.iter().map(|(_, minutes)| *minutes).collect();
    Headline {
        label: "What does a decision cost?",
        value: mean(&minutes).map_or_else(|| "–".to_owned(), |mean| format!("{mean:.1} min")),
        note: match (mean(&minutes), half_width(&minutes)) {
            (None, _) => "Active time per decided task is not defined because no task was decided in this window.".to_owned(),
            (Some(_), None) => "of active time per decided task; no interval because there is one task".to_owned(),
            (Some(mean), Some(half)) => {
                format!("of active time per decided task, {:.1} to {:.1} min, n = {n}", (mean - half).max(0.0), mean + half)
            }
        },
        is_thin: n > 0 && count(n).unsigned_abs() < THIN,
        trend: trend("Active minutes per decided task over the window", &costs, now, days),
        behind: "decided",
    }
}

fn blocked(facts: &[Fact], waiting: Waiting, now: DateTime<Utc>, days: i64) -> Headline {
    let mut tasks: HashMap<&str, bool> = HashMap::new();
    for fact in facts.iter().filter(|fact| !fact.is_golden) {
        *tasks.entry(&fact.task_id).or_default() |= fact.is_escalated;
    }
    let escalated = ShareView::new(count(tasks.values().filter(|is| **is).count()), count(tasks.len()));
    let marks: Vec<(DateTime<Utc>, f64)> =
        facts.iter().filter(|fact| !fact.is_golden).map(|fact| (fact.created_at.0, f64::from(u8::from(fact.is_escalated)))).collect();
    let wait = if waiting.for_experts == 1 { "task waits" } else { "tasks wait" };
    Headline {
        label: "What is blocked?",
        value: waiting.for_experts.to_string(),
        note: match escalated {
            Some(view) => format!(
                "{wait} for an expert now, {} for raters. Raters escalated {} of the tasks judged, {}, n = {}",
                waiting.for_raters, view.percent, view.range, view.n
            ),
            None => format!(
                "{wait} for an expert now, {} for raters. The share escalated is not defined because no task was judged in this window.",
                waiting.for_raters
            ),
        },
        is_thin: false,
        trend: trend("Share of judgments that ask for an expert, over the window", &marks, now, days),
        behind: "escalated",
    }
}

/// Means of equal parts of the window, as a tiny line; `None` when fewer than two parts have any value.
fn trend(title: &str, values: &[(DateTime<Utc>, f64)], now: DateTime<Utc>, days: i64) -> Option<String> {
    let width = TimeDelta::days(days).num_seconds().max(1) / count(BUCKETS);
    let mut sums = [(0.0, 0_u32); BUCKETS];
    for (at, value) in values {
        let back = usize::try_from((now - *at).num_seconds().max(0) / width.max(1)).unwrap_or(BUCKETS);
        if let Some(sum) = BUCKETS.checked_sub(back + 1).and_then(|place| sums.get_mut(place)) {
            *sum = (sum.0 + value, sum.1 + 1);
        }
    }
    let means: Vec<Option<f64>> = sums.iter().map(|(sum, n)| (*n > 0).then(|| sum / f64::from(*n))).collect();
    (means.iter().flatten().count() > 1).then(|| sparkline(title, &means))
}

/// Raters with judgments in the window, those who need attention first. `bar` is the agreement with experts that calibration asks for.
#[must_use]
pub fn raters(facts: &[Fact], names: &HashMap<String, (String, bool)>, bar: f64) -> Vec<RaterRow> {
    let mut by_rater: BTreeMap<&str, Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        by_rater.entry(&fact.rater_id).or_default().push(fact);
    }
    let golden: Vec<Counted> = by_rater.values().map(|facts| counted(facts.iter().filter_map(|fact| golden_at_work(fact)))).collect();
    let left: Vec<Counted> = by_rater.values().map(|facts| counted(facts.iter().filter_map(|fact| chose_left(fact)))).collect();
    let below = adjusted(&golden, THIN, |(right, n)| binomial(right, n, bar, Tail::AtMost));
    let biased = adjusted(&left, MIN_SIDES, |(left, n)| binomial_two_sided(left, n, 0.5));
    let tests = golden.into_iter().zip(left).zip(below.into_iter().zip(biased));
    let mut rows: Vec<RaterRow> = by_rater
        .into_iter()
        .zip(tests)
        .map(|((id, facts), ((golden, left), (below, biased)))| {
            let seen = Seen { golden: view(golden), left: view(left), below, biased };
            rater_row(id, &facts, names, seen, bar)
        })
        .collect();
    let low = |row: &RaterRow| row.golden.as_ref().map_or(2.0, |view| view.low_share);
    rows.sort_by(|a, b| b.weight.cmp(&a.weight).then(low(a).total_cmp(&low(b))).then_with(|| a.name.cmp(&b.name)));
    rows
}

/// How many of how many.
type Counted = (u64, u64);

/// What a rater's judgments show, with the p-values of the tests after the control of false alarms over all raters.
struct Seen {
    golden: Option<ShareView>,
    left: Option<ShareView>,
    below: Option<f64>,
    biased: Option<f64>,
}

/// P-values of a test over raters, adjusted as Benjamini and Hochberg do; none for whom there are fewer than `least` answers.
fn adjusted(counts: &[Counted], least: u64, test: impl Fn(Counted) -> Option<f64>) -> Vec<Option<f64>> {
    let p_values: Vec<Option<f64>> = counts.iter().map(|counted| (counted.1 >= least).then(|| test(*counted)).flatten()).collect();
    benjamini_hochberg(&p_values)
}

fn rater_row(rater_id: &str, facts: &[&Fact], names: &HashMap<String, (String, bool)>, seen: Seen, bar: f64) -> RaterRow {
    let Seen { golden, left, below, biased } = seen;
    let decided = of(facts.iter().filter_map(|fact| differs(fact).map(|differs| !differs)));
    let mut seconds: Vec<f64> = facts.iter().filter_map(|fact| fact.active_ms).map(|ms| ms as f64 / 1000.0).collect();
    let timed = seconds.len();
    let seconds = median(&mut seconds);
    let mut attention = Vec::new();
    let mut weight = 0;
    if let Some((view, p)) = golden.as_ref().zip(below.filter(|p| *p <= LEVEL)) {
        attention.push(format!("agreement with experts is below {:.0} % ({}, n = {}, {})", bar * 100.0, view.range, view.n, p_words(p)));
        weight += 4;
    }
    if let Some((view, p)) = left.as_ref().zip(biased.filter(|p| *p <= LEVEL)) {
        attention.push(format!("chooses the left side in {} ({}, n = {}, {})", view.percent, view.range, view.n, p_words(p)));
        weight += 2;
    }
    if let Some(median) = seconds.filter(|median| *median < QUICK_SECONDS && count(timed).unsigned_abs() >= THIN) {
        attention.push(format!("half of the answers take under {QUICK_SECONDS:.0} s of active time (median {median:.0} s)"));
        weight += 1;
    }
    let (name, is_simulated) = names.get(rater_id).cloned().unwrap_or_else(|| (rater_id.to_owned(), false));
    RaterRow {
        rater_id: rater_id.to_owned(),
        name,
        is_simulated,
        judgments: facts.len(),
        golden,
        decided,
        left,
        seconds,
        time: seconds.map(duration),
        place: None,
        attention,
        weight,
    }
}

/// The row of a rater who did not judge in the window.
#[must_use]
pub fn idle(rater_id: String, name: String, is_simulated: bool, place: Place) -> RaterRow {
    RaterRow {
        rater_id,
        name,
        is_simulated,
        judgments: 0,
        golden: None,
        decided: None,
        left: None,
        seconds: None,
        time: None,
        place: Some(place),
        attention: Vec::new(),
        weight: 0,
    }
}

/// A p-value as people read it.
#[must_use]
pub fn p_words(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// Where judgments differ most from decisions: by task type, retailer and rubric version.
#[must_use]
pub fn places(facts: &[Fact]) -> Vec<PlaceRow> {
    let mut parts: BTreeMap<(usize, Option<String>), (i64, i64)> = BTreeMap::new();
    for fact in facts {
        let Some(differs) = differs(fact) else { continue };
        let keys = [Some(fact.task_type.clone()), fact.retailer_id.clone(), Some(fact.rubric_version.to_string())];
        for key in keys.into_iter().enumerate() {
            let sum = parts.entry(key).or_default();
            *sum = (sum.0 + i64::from(differs), sum.1 + 1);
        }
    }
    let mut rows: Vec<(usize, PlaceRow)> = parts
        .into_iter()
        .filter_map(|((place, value), (differing, n))| {
            let by = *PARTS.get(place)?;
            let part = match (by, &value) {
                (By::TaskType, Some(word)) => title_of(word),
                (_, Some(value)) => value.clone(),
                (_, None) => "none named".to_owned(),
            };
            let query = Wish { show: Show::Differs, part: Some((by, value)) }.query();
            Some((place, PlaceRow { by, part, query, differs: ShareView::new(differing, n)? }))
        })
        .collect();
    rows.sort_by(|(a, one), (b, other)| a.cmp(b).then(other.differs.low_share.total_cmp(&one.differs.low_share)));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The order in which the parts of the work are shown.
const PARTS: [By; 3] = [By::TaskType, By::Retailer, By::RubricVersion];

/// Since when newer rubric versions are in use, when the window holds more than one: figures before and after may differ.
#[must_use]
pub fn version_note(facts: &[Fact]) -> Option<String> {
    let mut first: BTreeMap<i32, DateTime<Utc>> = BTreeMap::new();
    for fact in facts {
        let at = first.entry(fact.rubric_version).or_insert(fact.created_at.0);
        *at = (*at).min(fact.created_at.0);
    }
    let newer: Vec<String> =
        first.iter().skip(1).map(|(version, at)| format!("rubric version {version} since {}", at.format("%-d %B %Y, %H:%M"))).collect();
    (!newer.is_empty()).then(|| format!("In this window: {}. Figures before and after may differ.", newer.join(", ")))
}

/// Whether a judgment differs from its task's decision; `None` when there is no decision, or the judgment abstains.
#[must_use]
pub fn differs(fact: &Fact) -> Option<bool> {
    let decision = fact.decision.as_ref().filter(|_| !fact.is_golden && fact.choice != Choice::Unsure.as_ref())?;
    Some(*decision != fact.choice)
}

/// Whether an answer to a golden item among the work is the expert's. Calibration is left out: there the items teach, and an answer is
/// weighed by the test that it belongs to.
#[must_use]
pub fn golden_at_work(fact: &Fact) -> Option<bool> {
    fact.matches_golden.filter(|_| !fact.in_calibration)
}

/// Whether the left of two candidates was chosen.
fn chose_left(fact: &Fact) -> Option<bool> {
    let order: Vec<usize> = serde_json::from_value(fact.display_order.0.clone()).ok()?;
    let stored = fact.choice.parse::<Choice>().ok()?.candidate()?;
    (order.len() == 2).then(|| order.first() == Some(&stored))
}

fn counted(answers: impl Iterator<Item = bool>) -> Counted {
    answers.fold((0, 0), |(yes, n), is| (yes + u64::from(is), n + 1))
}

fn view((yes, n): Counted) -> Option<ShareView> {
    ShareView::of(&share(yes.try_into().unwrap_or(i64::MAX), n.try_into().unwrap_or(i64::MAX)))
}

fn of(answers: impl Iterator<Item = bool>) -> Option<ShareView> {
    view(counted(answers))
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Half of the 95 % interval of a mean, by the normal approximation.
fn half_width(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64;
    Some(Z * (variance / values.len() as f64).sqrt())
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "board/tests.rs"]
mod tests;
