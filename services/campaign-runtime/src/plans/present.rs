//! What a campaign does now, scaled to the budget planned: the plan chosen last, else the allocation kept with the campaign, else the
//! spend of the last four measured weeks.

use std::collections::BTreeMap;

use domain::money::parse_micros;
use domain::scope::Scope;
use planning::proposal::{ArmHistory, Present};
use serde_json::Value;
use storage::campaigns::Campaign;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::plans as stored;

/// Weeks of recent spend.
const WEEKS: usize = 4;

/// The plan chosen last or the campaign's allocation, not scaled yet.
///
/// # Errors
/// As any query.
pub fn decided(conn: &mut Connection, scope: &Scope, campaign: &Campaign, currency: &str) -> Result<Option<Present>, StorageError> {
    let latest = stored::latest(conn, scope, &[campaign.id])?;
    let chosen = latest.iter().find(|plan| plan.status == "chosen" && plan.currency == currency);
    if let Some(plan) = chosen
        && let Some(spend_micros) = plan.plan.get("allocation").and_then(spends)
    {
        return Ok(Some(Present { source: format!("plan {}, chosen before", plan.plan_id), spend_micros }));
    }
    let allocation = campaign.allocated_budget.as_ref().filter(|_| campaign.currency.as_deref() == Some(currency));
    let spend_micros = allocation.and_then(|allocation| allocation.get("lines")).and_then(spends);
    Ok(spend_micros.map(|spend_micros| Present { source: "the campaign's allocated budget".to_owned(), spend_micros }))
}

fn spends(lines: &Value) -> Option<BTreeMap<String, i64>> {
    let spend = |line: &Value| {
        let arm = match line.get("arm_id").and_then(Value::as_str) {
            Some(arm) => arm.to_owned(),
            None => super::history::arm_id(line.get("placement_type")?.as_str()?, line.get("audience_segment")?.as_str()?),
        };
        let amount = line.get("spend")?;
        let amount = amount.get("amount").unwrap_or(amount).as_str()?;
        Some((arm, parse_micros("spend", amount).ok()?))
    };
    let found: Option<BTreeMap<String, i64>> = lines.as_array()?.iter().map(spend).collect();
    found.filter(|found| found.values().any(|micros| *micros > 0))
}

/// The present plan for a budget: `decided`, else recent spend; `None` when there is none.
#[must_use]
pub fn scaled(decided: Option<Present>, arms: &[ArmHistory], budget_micros: i64, step_micros: Option<i64>) -> Option<Present> {
    let recent = || {
        let of = |arm: &ArmHistory| arm.history.iter().rev().take(WEEKS).filter_map(|week| week.spend_micros).sum::<i64>();
        let spend_micros: BTreeMap<String, i64> =
            arms.iter().map(|arm| (arm.arm_id.clone(), of(arm))).filter(|(_, micros)| *micros > 0).collect();
        (!spend_micros.is_empty()).then(|| Present { source: format!("spend of the last {WEEKS} measured weeks"), spend_micros })
    };
    let mut present = decided.or_else(recent)?;
    let total: i128 = present.spend_micros.values().map(|micros| i128::from(*micros)).sum();
    if total <= 0 {
        return None;
    }
    let step = step_micros.unwrap_or(1).max(1);
    for micros in present.spend_micros.values_mut() {
        let part = i128::from(*micros) * i128::from(budget_micros) / total;
        let part = i64::try_from(part).unwrap_or(budget_micros);
        *micros = part - part % step;
    }
    present.source.push_str(", scaled to the budget");
    Some(present)
}
