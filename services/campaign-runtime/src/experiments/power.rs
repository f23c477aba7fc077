//! Before an experiment: how many units it takes, which effect can be seen, how long it lasts. Nothing is stored.

use std::collections::BTreeMap;

use actix_web::web::{Data, Json};
use chrono::NaiveDate;
use planning::experiments::geo_power::{GeoPlan, simulate};
use planning::experiments::power::{
    Demand, Law, design_effect, effect_for_means, power_of_means, proportion_for_size, size_for_means, size_for_proportions,
};
use planning::experiments::{ExperimentError, geo_power};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use web::caller::Caller;
use web::json::{JsonBody, parse_json};
use web::problem::Problem;

use super::definition::MOST_MARKETS;
use super::refuse;
use crate::state::State;

/// Most rows of history.
const MOST_ROWS: usize = 20_000;

/// What is asked.
#[derive(Debug, Clone, utoipa::ToSchema)]
#[serde(tag = "test", rename_all = "snake_case")]
pub enum PowerBody {
    /// Two means.
    Means(MeansBody),
    /// Two proportions.
    Proportions(ProportionsBody),
    /// Treated markets, by simulation on their history.
    Geo(GeoBody),
}

impl PowerBody {
    /// Reads the fields that belong to the test, so that errors name them by their own path.
    fn read(mut body: Map<String, Value>) -> Result<Self, Problem> {
        let Some(test) = body.remove("test") else {
            return Err(Problem::invalid_field("test", "is required: \"means\", \"proportions\" or \"geo\""));
        };
        let rest = serde_json::to_vec(&body).map_err(Problem::internal)?;
        match test.as_str() {
            Some("means") => parse_json(&rest).map(Self::Means),
            Some("proportions") => parse_json(&rest).map(Self::Proportions),
            Some("geo") => parse_json(&rest).map(Self::Geo),
            _ => Err(Problem::invalid_field("test", format!("is {test}; must be \"means\", \"proportions\" or \"geo\""))),
        }
    }
}

/// Demand on the test; absent parts are the usual ones.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DemandBody {
    /// Probability of finding the effect when it is there; 0.8 when absent.
    pub power: Option<f64>,
    /// Probability of finding one when there is none; 0.05 when absent.
    pub alpha: Option<f64>,
    /// 2 (default) or 1.
    pub sides: Option<u8>,
    /// Units of treatment for each one of control; 1 when absent.
    pub ratio: Option<f64>,
}

impl DemandBody {
    fn demand(self) -> Demand {
        Demand {
            power: self.power.unwrap_or(0.8),
            alpha: self.alpha.unwrap_or(0.05),
            sides: self.sides.unwrap_or(2),
            ratio: self.ratio.unwrap_or(1.0),
        }
    }
}

/// Randomised clusters, such as stores.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterBody {
    /// Units in a cluster.
    pub size: f64,
    /// Correlation of outcomes within a cluster.
    pub icc: f64,
}

/// Two means.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeansBody {
    /// The difference to find, in the metric's unit; the smallest one is computed when absent.
    pub effect: Option<f64>,
    /// Standard deviation of the metric; 1 makes `effect` the standardised one.
    pub standard_deviation: f64,
    /// Units of control; computed when absent.
    pub n_control: Option<f64>,
    /// By which distribution: `normal` (default) or `student_t`.
    #[schema(value_type = Option<String>)]
    pub law: Option<Law>,
    /// Demand on the test.
    #[serde(default)]
    pub demand: DemandBody,
    /// When clusters are randomised.
    pub cluster: Option<ClusterBody>,
    /// Units that come in per day, for the duration.
    pub units_per_day: Option<f64>,
}

/// Two proportions.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProportionsBody {
    /// The proportion without treatment.
    pub baseline: f64,
    /// The proportion with it; the nearest one above is computed when absent.
    pub target: Option<f64>,
    /// Units of control; computed when absent.
    pub n_control: Option<f64>,
    /// Demand on the test.
    #[serde(default)]
    pub demand: DemandBody,
    /// When clusters are randomised.
    pub cluster: Option<ClusterBody>,
    /// Units that come in per day, for the duration.
    pub units_per_day: Option<f64>,
}

/// A market on a day of the past.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryRow {
    /// The market.
    pub market: String,
    /// The day.
    pub date: NaiveDate,
    /// Sum of the metric.
    pub value: f64,
}

/// A geo test.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoBody {
    /// Markets to be treated; all others in the history are the control.
    pub treatment: Vec<String>,
    /// History, every market on every day.
    pub history: Vec<HistoryRow>,
    /// Days of the test.
    pub test_days: usize,
    /// Relative lifts to try.
    pub lifts: Vec<f64>,
    /// Windows of the past to try; 10 when absent.
    pub windows: Option<usize>,
    /// Demand on the test; `ratio` and `sides` are not used.
    #[serde(default)]
    pub demand: DemandBody,
}

/// Design effect of clusters, 1 without.
fn inflation(cluster: Option<ClusterBody>) -> Result<f64, ExperimentError> {
    cluster.map_or(Ok(1.0), |cluster| design_effect(cluster.size, cluster.icc))
}

fn given_n(n: f64, inflation: f64) -> Result<f64, ExperimentError> {
    if n.is_finite() && (2.0..=1e12).contains(&n) {
        Ok(n / inflation)
    } else {
        Err(ExperimentError::invalid("n_control", "must be 2 to 1e12"))
    }
}

/// Sizes, rounded up, and the days it takes to fill them.
fn sizes(n_control: f64, demand: &Demand, units_per_day: Option<f64>) -> Result<Value, ExperimentError> {
    let (control, treatment) = (n_control.ceil(), (n_control * demand.ratio).ceil());
    let days = match units_per_day {
        None => None,
        Some(units) if units.is_finite() && units > 0.0 => Some(((control + treatment) / units).ceil()),
        Some(_) => return Err(ExperimentError::invalid("units_per_day", "must be above 0")),
    };
    Ok(json!({"n_control": control, "n_treatment": treatment, "n_total": control + treatment, "days": days}))
}

fn of_means(body: &MeansBody) -> Result<Value, ExperimentError> {
    let (demand, law, inflation) = (body.demand.demand(), body.law.unwrap_or_default(), inflation(body.cluster)?);
    let deviation = body.standard_deviation;
    if !(deviation.is_finite() && deviation > 0.0) {
        return Err(ExperimentError::invalid("standard_deviation", "must be above 0"));
    }
    let (n, effect, power) = match (body.effect, body.n_control) {
        (Some(effect), None) => {
            let n = size_for_means(effect / deviation, &demand, law)? * inflation;
            (n, effect, power_of_means(effect / deviation, n.ceil() / inflation, &demand, law)?)
        }
        (None, Some(n)) => (n, effect_for_means(given_n(n, inflation)?, &demand, law)? * deviation, demand.power),
        (Some(effect), Some(n)) => (n, effect, power_of_means(effect / deviation, given_n(n, inflation)?, &demand, law)?),
        (None, None) => return Err(ExperimentError::invalid("effect", "state the effect, the size (n_control), or both")),
    };
    let mut answer = sizes(n, &demand, body.units_per_day)?;
    answer["effect"] = json!(effect);
    answer["standardised_effect"] = json!(effect / deviation);
    answer["power"] = json!(power);
    answer["design_effect"] = json!(inflation);
    answer["method"] = json!(match law {
        Law::Normal => "two-sample, normal approximation",
        Law::StudentT => "two-sample t test, noncentral t",
    });
    Ok(answer)
}

fn of_proportions(body: &ProportionsBody) -> Result<Value, ExperimentError> {
    let (demand, inflation) = (body.demand.demand(), inflation(body.cluster)?);
    let (n, target) = match (body.target, body.n_control) {
        (Some(target), None) => (size_for_proportions(body.baseline, target, &demand)? * inflation, target),
        (None, Some(n)) => (n, proportion_for_size(body.baseline, given_n(n, inflation)?, &demand)?),
        _ => return Err(ExperimentError::invalid("target", "state either the target or the size (n_control)")),
    };
    let mut answer = sizes(n, &demand, body.units_per_day)?;
    answer["baseline"] = json!(body.baseline);
    answer["target"] = json!(target);
    answer["relative_lift"] = json!(target / body.baseline - 1.0);
    answer["power"] = json!(demand.power);
    answer["design_effect"] = json!(inflation);
    answer["method"] = json!("two proportions, pooled under no difference (Fleiss)");
    Ok(answer)
}

fn of_geo(body: &GeoBody) -> Result<Value, ExperimentError> {
    if body.history.len() > MOST_ROWS {
        return Err(ExperimentError::invalid("history", format!("must have at most {MOST_ROWS} rows")));
    }
    let mut series: BTreeMap<&str, BTreeMap<NaiveDate, f64>> = BTreeMap::new();
    for row in &body.history {
        if !row.value.is_finite() || series.entry(&row.market).or_default().insert(row.date, row.value).is_some() {
            return Err(ExperimentError::invalid("history", format!("{:?} on {} is given twice or is no number", row.market, row.date)));
        }
    }
    if series.len() > MOST_MARKETS {
        return Err(ExperimentError::invalid("history", format!("must have at most {MOST_MARKETS} markets")));
    }
    let days: Vec<&BTreeMap<NaiveDate, f64>> = series.values().collect();
    if days.windows(2).any(|pair| !pair[0].keys().eq(pair[1].keys())) {
        return Err(ExperimentError::invalid("history", "every market needs a value on every day; absent is not 0"));
    }
    if body.treatment.is_empty() || body.treatment.iter().any(|market| !series.contains_key(market.as_str())) {
        return Err(ExperimentError::invalid("treatment", "must name markets of the history"));
    }
    let (treated, controls): (Vec<_>, Vec<_>) = series.iter().partition(|(name, _)| body.treatment.iter().any(|one| one == *name));
    let values = |markets: Vec<(&&str, &BTreeMap<NaiveDate, f64>)>| -> Vec<Vec<f64>> {
        markets.into_iter().map(|(_, days)| days.values().copied().collect()).collect()
    };
    let demand = body.demand.demand();
    let plan = GeoPlan {
        treated: values(treated),
        controls: values(controls),
        test_days: body.test_days,
        lifts: body.lifts.clone(),
        alpha: demand.alpha,
        power: demand.power,
        windows: body.windows.unwrap_or(10).min(geo_power::MOST_WINDOWS),
    };
    let found = simulate(&plan)?;
    let mut answer = json!(found);
    answer["markets"] = json!({"treatment": plan.treated.len(), "control": plan.controls.len()});
    answer["method"] = json!("lift put into windows of the history, de-meaned synthetic control, permutation test");
    Ok(answer)
}

/// Names a field as the body does: what is asked of a test stands under `demand`.
fn in_the_body(error: ExperimentError) -> ExperimentError {
    match error {
        ExperimentError::Invalid { field, message } if ["power", "alpha", "sides", "ratio"].contains(&field.as_str()) => {
            ExperimentError::Invalid { field: format!("demand.{field}"), message }
        }
        ExperimentError::Invalid { field, message } if field == "n" => ExperimentError::Invalid { field: "n_control".to_owned(), message },
        other => other,
    }
}

/// Power analysis: sizes for an effect, the smallest effect of a size, the days it takes; of geo tests by simulation on history.
#[utoipa::path(post, path = "/v1/experiments/power", tag = "experiments", request_body = PowerBody, responses((status = 200, body = Object, description = "Sizes, effect, power and the method's name")))]
pub async fn analyse_power(state: Data<State>, caller: Caller, body: JsonBody<Map<String, Value>>) -> Result<Json<Value>, Problem> {
    let body = PowerBody::read(body.0)?;
    let answer = state
        .solve(&caller.scope(), move || match &body {
            PowerBody::Means(body) => of_means(body),
            PowerBody::Proportions(body) => of_proportions(body),
            PowerBody::Geo(body) => of_geo(body),
        })
        .await?;
    Ok(Json(answer.map_err(in_the_body).map_err(refuse)?))
}
