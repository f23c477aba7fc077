//! The limits of a request: what was asked for, else what the campaign and its brand say, and from where each of them came.

use std::collections::{BTreeMap, BTreeSet};

use domain::invalid::Invalid;
use domain::money::format_micros;
use planning::proposal::ProposalError;
use planning::proposal::constraints::Constraints;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use storage::campaigns::Campaign;

use crate::input::{MoneyInput, read_money};

/// Limits that every plan must keep. Shares are shares of the money that plans distribute, 0 to 1. A campaign runs at one retailer;
/// limits across retailers are for `POST /v1/optimize`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ConstraintsBody {
    /// Lowest expected revenue / spend.
    pub min_roas: Option<f64>,
    /// Highest expected spend / conversions.
    pub max_cpa: Option<MoneyInput>,
    /// Spend the whole budget (with a step: all but less than one step) instead of at most the budget.
    pub spend_all: Option<bool>,
    /// Highest share of the budget on one placement and audience.
    pub max_share_per_arm: Option<f64>,
    /// Lowest share of every placement and audience that is open.
    pub min_share_per_arm: Option<f64>,
    /// Highest share by placement type.
    pub max_share_per_placement: BTreeMap<String, f64>,
    /// Lowest share by placement type.
    pub min_share_per_placement: BTreeMap<String, f64>,
    /// Highest share by audience segment.
    pub max_share_per_audience: BTreeMap<String, f64>,
    /// Lowest share by audience segment.
    pub min_share_per_audience: BTreeMap<String, f64>,
    /// Placement types that get nothing.
    pub excluded_placements: Vec<String>,
    /// Audience segments that get nothing.
    pub excluded_audiences: Vec<String>,
    /// Products whose history does not count, as if they could not be sold; at most 200 with history.
    pub excluded_skus: Vec<String>,
    /// Share of the budget that is kept for experiments and not planned.
    pub experiment_reserve_share: Option<f64>,
    /// Every line's spend is a multiple of this amount.
    pub step: Option<MoneyInput>,
    /// Anything else is refused in requests, and left alone in the constraints of a campaign.
    #[serde(flatten)]
    #[schema(ignore)]
    pub others: Map<String, Value>,
}

/// The limits that hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// For the planner.
    pub constraints: Constraints,
    /// Products that do not count.
    pub excluded_skus: BTreeSet<String>,
    /// Share kept for experiments.
    pub reserve_share: f64,
    /// As answers and tasks show them.
    pub shown: Value,
    /// For each limit that is set, where it came from: `request`, `campaign` or `brand`; other members of a campaign's constraints, too.
    pub sources: BTreeMap<String, String>,
    /// Currency of the amounts, when one is known.
    pub currency: Option<String>,
}

/// A request with constraints (also with an empty object) has its own only. Without, those of the campaign hold, and the brand's
/// `min_roas` and `max_cpa` where the campaign has none.
#[must_use]
pub fn choose(
    invalid: &mut Invalid,
    stated: Option<&ConstraintsBody>,
    campaign: &Campaign,
    brand: &Value,
) -> (ConstraintsBody, BTreeMap<String, String>) {
    if let Some(stated) = stated {
        return (stated.clone(), sources(stated, "request"));
    }
    // Stored values were checked by us or came from an import; a wrong one must not be dropped, nor take the others with it.
    let mut stored = Invalid::default();
    let known = campaign.constraints.as_object().cloned().unwrap_or_default();
    let mut limits = read_members(&mut stored, "constraints", &known);
    for wrong in stored.fields {
        invalid.add(wrong.field, format!("{} (stored with the campaign: correct it there, or send constraints)", wrong.message));
    }
    let mut sources = sources(&limits, "campaign");
    // Said, because it may be a slip of the pen: other members are kept with the campaign and limit nothing.
    sources.extend(known.keys().filter(|name| !is_limit(name)).map(|name| (name.clone(), "campaign, not a limit of plans".to_owned())));
    let mut stored = Invalid::default();
    let mut known = brand.as_object().cloned().unwrap_or_default();
    known.retain(|name, _| ["min_roas", "max_cpa"].contains(&name.as_str()));
    let of_brand = read_members(&mut stored, "constraints", &known);
    for wrong in stored.fields {
        invalid.add(wrong.field, format!("{} (stored with the brand: correct it there, or send constraints)", wrong.message));
    }
    if limits.min_roas.is_none() && of_brand.min_roas.is_some() {
        limits.min_roas = of_brand.min_roas;
        sources.insert("min_roas".to_owned(), "brand".to_owned());
    }
    if limits.max_cpa.is_none() && of_brand.max_cpa.is_some() {
        limits.max_cpa = of_brand.max_cpa;
        sources.insert("max_cpa".to_owned(), "brand".to_owned());
    }
    (limits, sources)
}

/// Checks the limits among the constraints of a campaign when they are written, so that nobody learns of a slip only when plans are
/// wanted. What is not a limit of ours is left alone.
pub fn check_of_campaign(invalid: &mut Invalid, constraints: &Map<String, Value>) {
    let mut own = Invalid::default();
    let body = read_members(&mut own, "constraints", constraints);
    for (field, amount) in [("constraints.max_cpa", &body.max_cpa), ("constraints.step", &body.step)] {
        if let Some((micros, _)) = amount.as_ref().and_then(|amount| own.merge(amount.read(field)))
            && micros <= 0
        {
            own.add(field, "must be above 0");
        }
    }
    if body.experiment_reserve_share.is_some_and(|share| !(0.0..1.0).contains(&share)) {
        own.add("constraints.experiment_reserve_share", "must be at least 0 and below 1");
    }
    if let Err(ProposalError::Invalid { field, message }) = for_planner(body, None, None).validate() {
        own.add(field, message);
    }
    invalid.fields.extend(own.fields);
}

/// The limits among the members of an object, each read by itself.
fn read_members(invalid: &mut Invalid, path: &str, members: &Map<String, Value>) -> ConstraintsBody {
    let mut read = Map::new();
    for (name, value) in members {
        match serde_json::from_value::<ConstraintsBody>(json!({ name: value })) {
            Ok(one) if one.others.is_empty() => {
                read.insert(name.clone(), value.clone());
            }
            Ok(_) => {}
            Err(error) => invalid.add(format!("{path}.{name}"), web::json::words::plain(&error.to_string())),
        }
    }
    serde_json::from_value(Value::Object(read)).unwrap_or_default()
}

/// The names of all limits.
fn names() -> Vec<String> {
    match serde_json::to_value(ConstraintsBody::default()) {
        Ok(Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

fn is_limit(name: &str) -> bool {
    names().iter().any(|known| known == name)
}

fn for_planner(body: ConstraintsBody, max_cpa_micros: Option<i64>, step_micros: Option<i64>) -> Constraints {
    Constraints {
        spend_all: body.spend_all.unwrap_or(false),
        min_roas: body.min_roas,
        max_cpa_micros,
        max_share_per_arm: body.max_share_per_arm,
        min_share_per_arm: body.min_share_per_arm,
        excluded_placements: body.excluded_placements.into_iter().collect(),
        excluded_audiences: body.excluded_audiences.into_iter().collect(),
        max_share_per_placement: body.max_share_per_placement,
        min_share_per_placement: body.min_share_per_placement,
        max_share_per_audience: body.max_share_per_audience,
        min_share_per_audience: body.min_share_per_audience,
        step_micros,
    }
}

fn sources(limits: &ConstraintsBody, from: &str) -> BTreeMap<String, String> {
    let Ok(Value::Object(fields)) = serde_json::to_value(limits) else { return BTreeMap::new() };
    let is_set = |value: &Value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    fields.into_iter().filter(|(_, value)| is_set(value)).map(|(name, _)| (name, from.to_owned())).collect()
}

/// Checks the limits and reads the budget beside them: `(limits, stated budget in micros)`.
pub fn read(
    invalid: &mut Invalid,
    body: ConstraintsBody,
    sources: BTreeMap<String, String>,
    campaign: &Campaign,
    budget: Option<&MoneyInput>,
) -> (Limits, Option<i64>) {
    if let Some(unknown) = body.others.keys().next() {
        let known = names();
        invalid.add(format!("constraints.{unknown}"), format!("is not a known field; known are {}", known.join(", ")));
    }
    let amounts = [("total_budget", budget), ("constraints.max_cpa", body.max_cpa.as_ref()), ("constraints.step", body.step.as_ref())];
    let money = invalid.merge(read_money(campaign.currency.as_deref(), amounts));
    let ([stated, max_cpa_micros, step_micros], currency) = money.unwrap_or_default();
    let reserve_share = body.experiment_reserve_share.unwrap_or(0.0);
    if !(0.0..1.0).contains(&reserve_share) {
        invalid.add("constraints.experiment_reserve_share", format!("must be at least 0 and below 1, not {reserve_share}"));
    }
    if step_micros.is_some_and(|step| step <= 0) {
        invalid.add("constraints.step", "must be above 0");
    }
    let shown = json!({
        "min_roas": body.min_roas,
        "max_cpa": max_cpa_micros.map(format_micros),
        "spend_all": body.spend_all,
        "max_share_per_arm": body.max_share_per_arm,
        "min_share_per_arm": body.min_share_per_arm,
        "max_share_per_placement": body.max_share_per_placement,
        "min_share_per_placement": body.min_share_per_placement,
        "max_share_per_audience": body.max_share_per_audience,
        "min_share_per_audience": body.min_share_per_audience,
        "excluded_placements": body.excluded_placements,
        "excluded_audiences": body.excluded_audiences,
        "excluded_skus": body.excluded_skus,
        "experiment_reserve_share": body.experiment_reserve_share,
        "step": step_micros.map(format_micros),
    });
    let excluded_skus = body.excluded_skus.iter().cloned().collect();
    let constraints = for_planner(body, max_cpa_micros, step_micros);
    (Limits { constraints, excluded_skus, reserve_share, shown, sources, currency }, stated)
}
