//! From stored observations to what the maths take, and from their answer to the document that is shown and stored.

mod blocks;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use planning::experiments::ab::{self, ArmSums, Question};
use planning::experiments::finding::{Control, Finding};
use planning::experiments::geo::{self, GeoQuestion, Panel};
use planning::experiments::{ExperimentError, iroas, switchback};
use serde_json::{Value, json};
use storage::experiments::Experiment;
use storage::experiments::observations::Observation;
use web::access::sha256_hex;

use super::definition::{AbDesign, Analysis, Definition, Design, GeoDesign, MetricKind};

/// What was found.
#[derive(Debug, Clone)]
pub struct Readout {
    /// As it is shown and stored.
    pub document: Value,
    /// SHA-256 of definition and observations.
    pub inputs_hash: String,
    /// The incremental return on spend, when there is one.
    pub incremental_return: Option<IncrementalReturn>,
    /// In words, for the reflection log.
    pub summary: String,
}

/// Incremental revenue over incremental spend.
#[derive(Debug, Clone)]
pub struct IncrementalReturn {
    /// The figure.
    pub iroas: Finding,
    /// Its standard error.
    pub standard_error: f64,
    /// Incremental spend in micros.
    pub spend_micros: i64,
    /// Days that it was spread over.
    pub days: i32,
}

/// The hash of what a result is computed from: the frozen definition and every observation in the order of their keys.
#[must_use]
pub fn inputs_hash(row: &Experiment, observations: &[Observation]) -> String {
    sha256_hex(json!([row.definition_hash, row.experiment_id, row.salt, observations]).to_string().as_bytes())
}

/// The parts that the designs find.
struct Found {
    readout: Value,
    incremental_return: Option<IncrementalReturn>,
    return_reason: Option<&'static str>,
    is_significant: bool,
    significance_reason: Option<&'static str>,
    summary: String,
}

/// The observations that count: those of days within an A/B test. Other days are refused when they are sent, and rows of before that rule
/// are left out here.
fn counted<'a>(row: &Experiment, definition: &Definition, observations: &'a [Observation]) -> Cow<'a, [Observation]> {
    let Design::Ab(design) = &definition.design else { return Cow::Borrowed(observations) };
    let began = row.started_at.map(|at| at.date_naive());
    let is_inside = |seen: &Observation| design.outside(began, seen.date).is_none();
    match observations.iter().all(is_inside) {
        true => Cow::Borrowed(observations),
        false => Cow::Owned(observations.iter().filter(|seen| is_inside(seen)).cloned().collect()),
    }
}

/// Reads an experiment.
///
/// # Errors
/// [`ExperimentError`] when the observations do not carry a result.
pub fn read(
    row: &Experiment,
    definition: &Definition,
    observations: &[Observation],
    now: DateTime<Utc>,
) -> Result<Readout, ExperimentError> {
    let hash = inputs_hash(row, observations);
    let counted = counted(row, definition, observations);
    let left_out = observations.len() - counted.len();
    let observations = counted.as_ref();
    let control = Control::new(definition.control_definition.clone())?;
    let found = match &definition.design {
        Design::Ab(design) => read_ab(definition, design, observations, &control)?,
        Design::Geo(design) => read_geo(definition, design, observations, &control, &hash)?,
        Design::Switchback(design) => {
            let pairs = blocks::pairs(row, design, observations);
            let read = switchback::analyse(&pairs, definition.alpha, &control, &hash)?;
            let summary = format!("Difference {:.6} per period, p = {:.4}.", read.difference.value(), read.p_value);
            Found {
                is_significant: read.is_significant,
                significance_reason: None,
                readout: json!(read),
                incremental_return: None,
                return_reason: Some("not_computed_for_switchback"),
                summary,
            }
        }
    };
    let registered = row.started_at.zip(definition.design.begins()).map(|(started, begins)| started.date_naive() <= begins);
    let returned = found.incremental_return.as_ref();
    let document = json!({
        "experiment_id": row.experiment_id,
        "design": row.design,
        "metric": definition.metric,
        "control_definition": control.text(),
        "alpha": definition.alpha,
        "definition_hash": row.definition_hash,
        "inputs_hash": hash,
        "observations": observations.len(),
        "observations_left_out": left_out,
        "computed_at": now,
        "was_defined_before_it_began": registered,
        "is_significant": found.is_significant,
        "is_significant_reason": found.significance_reason,
        "readout": found.readout,
        "iroas": returned.map(|returned| json!({
            "figure": returned.iroas,
            "standard_error": returned.standard_error,
            "incremental_spend": domain::money::format_micros(returned.spend_micros),
            "currency": definition.metric.currency,
            "days": returned.days,
        })),
        "iroas_reason": found.return_reason.filter(|_| returned.is_none()),
        "summary": found.summary,
    });
    Ok(Readout { document, inputs_hash: hash, incremental_return: found.incremental_return, summary: found.summary })
}

fn in_micros(amount: f64) -> Option<i64> {
    let micros = (amount * 1e6).round();
    (1.0..9e18).contains(&micros).then_some(micros as i64)
}

fn spend_of(row: &Observation) -> Option<f64> {
    row.spend_micros.map(|micros| micros as f64 / 1e6)
}

/// Sums of the arms, in the order of the definition. Units that were seen on several days count once.
fn arm_sums(definition: &Definition, design: &AbDesign, observations: &[Observation]) -> Result<Vec<ArmSums>, ExperimentError> {
    let (with_unit, without) = (observations.iter().any(|row| !row.unit.is_empty()), observations.iter().any(|row| row.unit.is_empty()));
    if with_unit && without {
        let message = "hold single units as well as sums of arms: a unit might be counted twice";
        return Err(ExperimentError::invalid("observations", message));
    }
    let is_share = definition.metric.kind == MetricKind::Proportion;
    let mut arms = Vec::with_capacity(design.arms.len());
    for arm in &design.arms {
        let rows: Vec<&Observation> = observations.iter().filter(|row| row.arm == arm.name).collect();
        let sums = if with_unit { of_units(&rows, is_share) } else { of_sums(&rows) };
        arms.push(ArmSums { name: arm.name.clone(), ..sums });
    }
    Ok(arms)
}

/// All of the values, or nothing when one is missing.
fn all_of(rows: &[&Observation], part: impl Fn(&Observation) -> Option<f64>) -> Option<f64> {
    if rows.is_empty() { None } else { rows.iter().map(|row| part(row)).sum() }
}

fn of_sums(rows: &[&Observation]) -> ArmSums {
    let covariate = all_of(rows, |row| row.covariate_sum)
        .zip(all_of(rows, |row| row.covariate_sum_squares))
        .zip(all_of(rows, |row| row.cross_sum))
        .map(|((x, xx), xy)| [x, xx, xy]);
    ArmSums {
        name: String::new(),
        n: rows.iter().map(|row| row.n.unsigned_abs()).sum(),
        sum: rows.iter().map(|row| row.value_sum).sum(),
        sum_squares: rows.iter().map(|row| row.value_sum_squares.unwrap_or(0.0)).sum(),
        covariate,
        spend: all_of(rows, spend_of).map(|spend| (spend, None)),
    }
}

fn of_units(rows: &[&Observation], is_share: bool) -> ArmSums {
    let mut units: BTreeMap<&str, (f64, Option<f64>, Option<f64>)> = BTreeMap::new();
    for row in rows {
        let unit = units.entry(&row.unit).or_default();
        unit.0 += row.value_sum;
        // A covariate or spend on one of several days is that of the unit.
        unit.1 = row.covariate_sum.map(|more| unit.1.unwrap_or(0.0) + more).or(unit.1);
        unit.2 = spend_of(row).map(|more| unit.2.unwrap_or(0.0) + more).or(unit.2);
    }
    if is_share {
        units.values_mut().for_each(|unit| unit.0 = f64::from(u8::from(unit.0 > 0.0)));
    }
    type Sums = (f64, Option<f64>, Option<f64>);
    let sum = |part: fn(&Sums) -> Option<f64>| units.values().map(part).sum::<Option<f64>>();
    let plain = |part: &dyn Fn(f64) -> f64| units.values().map(|unit| part(unit.0)).sum::<f64>();
    let covariate = sum(|unit| unit.1).and_then(|x| Some([x, sum(|unit| unit.1.map(|x| x * x))?, sum(|unit| unit.1.map(|x| x * unit.0))?]));
    let spend =
        sum(|unit| unit.2).and_then(|s| Some((s, Some([sum(|unit| unit.2.map(|s| s * s))?, sum(|unit| unit.2.map(|s| s * unit.0))?]))));
    ArmSums {
        name: String::new(),
        n: units.len() as u64,
        sum: plain(&|value| value),
        sum_squares: plain(&|value| value * value),
        covariate: covariate.filter(|_| !units.is_empty()),
        spend: spend.filter(|_| !units.is_empty()),
    }
}

fn read_ab(definition: &Definition, design: &AbDesign, observations: &[Observation], control: &Control) -> Result<Found, ExperimentError> {
    let arms = arm_sums(definition, design, observations)?;
    let weights: Vec<f64> = design.arms.iter().map(|arm| f64::from(arm.share)).collect();
    let analysis = match (design.analysis, design.planned_units) {
        (Analysis::Sequential, Some(planned_units)) => ab::Analysis::Sequential { planned_units },
        _ => ab::Analysis::Fixed,
    };
    let metric = if definition.metric.kind == MetricKind::Proportion { ab::Metric::Proportion } else { ab::Metric::Mean };
    let question = Question { metric, analysis, alpha: definition.alpha, weights: &weights, control };
    let read = ab::analyse(&arms, &question)?;
    let days = observations.iter().map(|row| row.date).collect::<BTreeSet<NaiveDate>>().len();
    let (incremental_return, return_reason) = match (&read.comparisons[..], definition.metric.kind) {
        (_, MetricKind::Mean | MetricKind::Proportion) => (None, Some("metric_is_not_revenue")),
        _ if read.sample_ratio.is_mismatch => (None, Some(ab::SAMPLE_RATIO_MISMATCH)),
        ([one], _) => match (&one.iroas, one.iroas_standard_error, one.incremental_spend.and_then(in_micros)) {
            (Some(iroas), Some(standard_error), Some(spend_micros)) if standard_error > 0.0 => {
                let days = i32::try_from(days).unwrap_or(i32::MAX);
                (Some(IncrementalReturn { iroas: iroas.clone(), standard_error, spend_micros, days }), None)
            }
            (None, ..) if arms.iter().any(|arm| arm.spend.is_none()) => (None, Some("spend_not_measured")),
            _ => (None, Some("no_incremental_spend")),
        },
        _ => (None, Some("several_arms")),
    };
    let is_significant = read.comparisons.iter().any(|one| one.is_significant);
    let significance_reason = read.sample_ratio.is_mismatch.then_some(ab::SAMPLE_RATIO_MISMATCH);
    let summary = read.winner_reason.clone();
    let mut readout = json!(read);
    readout["analysis"] = json!(design.analysis);
    Ok(Found { readout, incremental_return, return_reason, is_significant, significance_reason, summary })
}

fn days(from: NaiveDate, to: NaiveDate) -> Vec<NaiveDate> {
    from.iter_days().take_while(|day| *day <= to).collect()
}

fn panel(design: &GeoDesign, observations: &[Observation]) -> Result<Panel, ExperimentError> {
    let by_key: BTreeMap<(&str, NaiveDate), f64> = observations.iter().map(|row| ((row.unit.as_str(), row.date), row.value_sum)).collect();
    let (pre, post) = (days(design.pre_start, design.pre_end), days(design.post_start, design.post_end));
    let series = |market: &String| -> Result<Vec<f64>, ExperimentError> {
        let value = |day: &NaiveDate| {
            let missing = || ExperimentError::NotEnough(format!("market {market:?} has no observation on {day}; absent is not 0"));
            by_key.get(&(market.as_str(), *day)).copied().ok_or_else(missing)
        };
        pre.iter().chain(&post).map(value).collect()
    };
    Ok(Panel {
        treated: design.treatment.iter().map(series).collect::<Result<_, _>>()?,
        controls: design.control.iter().map(series).collect::<Result<_, _>>()?,
        control_names: design.control.clone(),
        pre_days: pre.len(),
    })
}

/// Spend in the treated markets during the test, less their usual spend: the daily mean before, times the days of the test.
fn incremental_spend(design: &GeoDesign, observations: &[Observation]) -> Result<f64, &'static str> {
    let of = |from: NaiveDate, to: NaiveDate| {
        let rows = observations.iter().filter(|row| design.treatment.contains(&row.unit) && row.date >= from && row.date <= to);
        rows.map(spend_of).sum::<Option<f64>>()
    };
    let during = of(design.post_start, design.post_end).ok_or("spend_not_measured")?;
    let before = of(design.pre_start, design.pre_end).ok_or("spend_before_not_measured")?;
    let length = |from: NaiveDate, to: NaiveDate| ((to - from).num_days() + 1) as f64;
    Ok(during - before / length(design.pre_start, design.pre_end) * length(design.post_start, design.post_end))
}

fn read_geo(
    definition: &Definition,
    design: &GeoDesign,
    observations: &[Observation],
    control: &Control,
    seed: &str,
) -> Result<Found, ExperimentError> {
    let panel = panel(design, observations)?;
    let read = geo::analyse(&panel, &GeoQuestion { alpha: definition.alpha, control, seed })?;
    let (incremental_return, return_reason) = match (definition.metric.kind, incremental_spend(design, observations)) {
        (MetricKind::Mean | MetricKind::Proportion, _) => (None, Some("metric_is_not_revenue")),
        (_, Err(reason)) => (None, Some(reason)),
        (_, Ok(spend)) => match in_micros(spend) {
            None => (None, Some("no_incremental_spend")),
            Some(spend_micros) => match iroas::over_known_spend(&read.incremental, spend)? {
                (iroas, Some(standard_error)) => {
                    let days = i32::try_from(read.days[1]).unwrap_or(i32::MAX);
                    (Some(IncrementalReturn { iroas, standard_error, spend_micros, days }), None)
                }
                (_, None) => (None, Some("interval_is_unbounded")),
            },
        },
    };
    let summary = format!(
        "Effect {:.3} per market and day, {:.0} in all; no effect on any day: p = {:.4} (random orders), {:.4} (moving blocks); the interval \
         of the mean effect {} 0.",
        read.att.value(),
        read.incremental.value(),
        read.p_value,
        read.p_value_moving_block,
        if read.mean_effect_excludes_zero { "leaves out" } else { "holds" }
    );
    let mut readout = json!(read);
    let all: Vec<NaiveDate> = days(design.pre_start, design.pre_end).into_iter().chain(days(design.post_start, design.post_end)).collect();
    readout["dates"] = json!(all);
    readout["gap_days"] = json!((design.post_start - design.pre_end).num_days() - 1);
    let is_significant = read.rejects_no_effect;
    Ok(Found { is_significant, significance_reason: None, readout, incremental_return, return_reason, summary })
}
