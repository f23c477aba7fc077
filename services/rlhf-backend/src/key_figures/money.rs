//! Key figures that are money: what an accepted judgment cost, and what experiments proved about the return on spend.

use learning::intervals::{Interval, Z_95};
use serde_json::json;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::rlhf_metrics::day::{self, Day, PaidJudgment, Proven};
use web::settings::UnitCosts;

use super::notes::Notes;

const COST: &str = "cost_per_accepted_judgment";

/// Micros with their currency.
pub type Amount = Option<(i64, String)>;

/// Cost per accepted judgment.
///
/// # Errors
/// As any query.
pub fn cost(conn: &mut Connection, day: &Day, costs: Option<&UnitCosts>, notes: &mut Notes<'_>) -> Result<Amount, StorageError> {
    let Some(costs) = costs else {
        notes.absent(
            COST,
            "no costs are configured: set ENDCAP_COST_PER_JUDGMENT, ENDCAP_COST_PER_RATER_HOUR or ENDCAP_COST_PER_EXPERT_HOUR",
        );
        return Ok(None);
    };
    let paid = day::paid(conn, day)?;
    let reviews = day::reviews(conn, day)?;
    let accepted = paid.iter().filter(|one| is_accepted(one)).count();
    if accepted == 0 {
        notes.absent(COST, "no judgment by a person was accepted that day");
        return Ok(None);
    }
    let expert_hours = reviews.iter().flatten().sum::<f64>() / 3600.0;
    let rater_hours = paid.iter().map(hours).sum::<f64>();
    // Each judgment bears its share of the experts, so that the spread is that of the whole.
    let of_experts = expert_hours * costs.per_expert_hour_micros as f64 / paid.len() as f64;
    let each: Vec<f64> =
        paid.iter().map(|one| costs.per_judgment_micros as f64 + hours(one) * costs.per_rater_hour_micros as f64 + of_experts).collect();
    let per_accepted = each.iter().sum::<f64>() / accepted as f64;
    notes.measured(COST, accepted as u64, spread(&paid, &each, per_accepted, accepted));
    let details = json!({
        "judgments_paid": paid.len(), "rater_hours": rounded(rater_hours), "expert_decisions": reviews.len(),
        "expert_hours": rounded(expert_hours), "expert_decisions_not_timed": reviews.iter().filter(|seconds| seconds.is_none()).count(),
        "cost_of_a_judgment": domain::money::Money::from_micros(costs.per_judgment_micros, &costs.currency),
        "cost_of_a_rater_hour": domain::money::Money::from_micros(costs.per_rater_hour_micros, &costs.currency),
        "cost_of_an_expert_hour": domain::money::Money::from_micros(costs.per_expert_hour_micros, &costs.currency),
    });
    notes.detail(COST, "made_of", details);
    Ok(Some((whole(per_accepted), costs.currency.clone())))
}

fn is_accepted(one: &PaidJudgment) -> bool {
    !one.is_golden && !one.is_voided
}

/// Active time where the client measured it.
fn hours(one: &PaidJudgment) -> f64 {
    one.active_ms.map_or(one.seconds, |ms| ms as f64 / 1000.0) / 3600.0
}

/// Interval of a ratio of sums by its linearisation, in units of money; none for fewer than two judgments.
fn spread(paid: &[PaidJudgment], each: &[f64], ratio: f64, accepted: usize) -> Option<Interval> {
    let n = paid.len() as f64;
    if paid.len() < 2 {
        return None;
    }
    let off = paid.iter().zip(each).map(|(one, cost)| cost - ratio * f64::from(u8::from(is_accepted(one))));
    let variance = off.map(|off| off.powi(2)).sum::<f64>() / (n - 1.0);
    let half = Z_95 * (n * variance).sqrt() / accepted as f64;
    Some(Interval { low: (ratio - half).max(0.0) / 1e6, high: (ratio + half) / 1e6 })
}

/// Pooled return and incremental revenue of the experiments concluded that day.
pub fn proven(experiments: &[Proven], notes: &mut Notes<'_>) -> (Option<f64>, Amount) {
    let names = ["incremental_roas", "incremental_revenue"];
    let because = match experiments.first() {
        None => Some("no experiment that was concluded that day proved a return on spend".to_owned()),
        Some(first) if experiments.iter().any(|one| one.currency != first.currency) => {
            Some("the experiments concluded that day are in several currencies, which cannot be added".to_owned())
        }
        Some(_) => None,
    };
    let spend: f64 = experiments.iter().map(|one| one.spend_micros as f64).sum();
    let shown: Vec<_> = experiments
        .iter()
        .map(|one| {
            json!({
                "experiment_id": one.experiment_id, "iroas": one.iroas, "standard_error": one.standard_error, "inputs_hash": one.inputs_hash,
                "incremental_spend": domain::money::Money::from_micros(one.spend_micros, &one.currency),
            })
        })
        .collect();
    if let Some(because) = because {
        for name in names {
            notes.absent(name, &because);
            notes.detail(name, "experiments", json!(shown));
        }
        return (None, None);
    }
    let revenue: f64 = experiments.iter().map(|one| one.iroas * one.spend_micros as f64).sum();
    let error = experiments.iter().map(|one| (one.standard_error * one.spend_micros as f64).powi(2)).sum::<f64>().sqrt();
    let ends = |scale: f64| Interval { low: (revenue - Z_95 * error) / scale, high: (revenue + Z_95 * error) / scale };
    notes.measured(names[0], experiments.len() as u64, Some(ends(spend)));
    notes.measured(names[1], experiments.len() as u64, Some(ends(1e6)));
    for name in names {
        notes.detail(name, "experiments", json!(shown));
    }
    let currency = experiments.first().map(|one| one.currency.clone()).unwrap_or_default();
    (Some(revenue / spend), Some((whole(revenue), currency)))
}

#[expect(clippy::cast_possible_truncation, reason = "a float beyond 64 bits saturates, and money is bounded far below")]
fn whole(micros: f64) -> i64 {
    micros.round() as i64
}

fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
