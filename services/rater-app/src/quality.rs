//! How far raters agree, and what they came to on one task.

use std::collections::{BTreeMap, HashMap};

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::role::Role;
use domain::task::Choice;
use learning::agreement::krippendorff::{Scale, alpha_with_interval};
use learning::agreement::{Coefficient, LabelCounts, gwet_ac1, percent};
use serde_json::{Map, Value, json};
use storage::error::StorageError;
use storage::judgments::Vote;
use web::caller::Caller;
use web::problem::Problem;

use crate::decision::labels;
use crate::state::State;

/// Judgments looked at: the newest.
pub const NEWEST_JUDGMENTS: i64 = 10_000;

/// Resamples of the bootstrap; with a fixed seed, so that the same data give the same interval.
const REPLICATES: usize = 200;
const SEED: u64 = 20_260_115;

/// Percent agreement, Krippendorff's alpha (nominal) and Gwet's AC1 over the newest 10,000 judgments, all together and by task type.
#[utoipa::path(get, path = "/v1/quality/agreement", tag = "quality", responses((status = 200, description = "{overall, by_task_type, window}"), (status = 403, description = "Not for raters")))]
pub async fn get_agreement(state: Data<State>, caller: Caller) -> Result<HttpResponse, Problem> {
    caller.require(|role| role.may_review() || role.sees_all_tenants())?;
    Ok(HttpResponse::Ok().json(agreement(&state).await?))
}

/// The agreement figures, for pages too.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn agreement(state: &State) -> Result<Value, Problem> {
    Ok(state
        .storage
        .read(|conn| {
            let votes = storage::judgments::newest_votes(conn, NEWEST_JUDGMENTS)?;
            // Computed here, on the thread that waits for the database anyway, and not on one that answers requests.
            describe(&votes).map_err(|error| StorageError::Corrupt(error.to_string()))
        })
        .await?)
}

/// What raters and experts came to on a task, with the votes behind it.
#[utoipa::path(get, path = "/v1/quality/consensus/{task_id}", tag = "quality", params(("task_id" = String, Path)), responses((status = 200, description = "{task_id, status, consensus, votes}"), (status = 404, description = "Not there, or not yours")))]
pub async fn get_consensus(state: Data<State>, caller: Caller, path: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require(|role: Role| role.may_plan() || role.may_review())?;
    let (scope, task_id) = (caller.scope(), path.into_inner());
    let (task, consensus, given) = state
        .storage_of(&scope)
        .read(move |conn| {
            let task = storage::tasks::find(conn, &scope, &task_id)?;
            let consensus = storage::consensus::find(conn, &task_id)?;
            Ok((task, consensus, storage::judgments::of_task(conn, &task_id)?))
        })
        .await?;
    let mut votes: BTreeMap<String, u64> = BTreeMap::new();
    for judgment in &given {
        *votes.entry(judgment.choice.clone()).or_default() += 1;
    }
    Ok(HttpResponse::Ok().json(json!({
        "task_id": task.task_id, "status": task.status, "required_judgments": task.required_judgments,
        "judgments_count": task.judgments_count, "consensus": consensus, "votes": votes,
    })))
}

/// The figures of some votes.
///
/// # Errors
/// When they make no table.
pub fn describe(votes: &[Vote]) -> Result<Value, learning::judgment::InvalidJudgments> {
    let mut by_type: BTreeMap<&str, Vec<&Vote>> = BTreeMap::new();
    for vote in votes {
        by_type.entry(&vote.task_type).or_default().push(vote);
    }
    let mut figures_by_type = Map::new();
    for (task_type, votes) in by_type {
        figures_by_type.insert(task_type.to_owned(), figures(&votes)?);
    }
    let all: Vec<&Vote> = votes.iter().collect();
    Ok(json!({
        "overall": figures(&all)?,
        "by_task_type": figures_by_type,
        "window": {
            "judgments": votes.len(),
            "at_most": NEWEST_JUDGMENTS,
            "note": "the newest judgments of tasks that are not golden items; unsure counts as missing",
        },
    }))
}

fn figures(votes: &[&Vote]) -> Result<Value, learning::judgment::InvalidJudgments> {
    let labels = labels(3);
    let mut rows: Vec<Vec<u32>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for vote in votes {
        let Some(label) = labels.iter().position(|label: &Choice| label.as_ref() == vote.choice) else { continue };
        let place = *places.entry(vote.task_id.as_str()).or_insert_with(|| {
            rows.push(vec![0; labels.len()]);
            rows.len() - 1
        });
        if let Some(count) = rows.get_mut(place).and_then(|row| row.get_mut(label)) {
            *count += 1;
        }
    }
    let counts = LabelCounts::from_rows(&rows, labels.len())?;
    let alpha = alpha_with_interval(&counts, Scale::Nominal, REPLICATES, SEED);
    let mut krippendorff = coefficient(&alpha.alpha);
    krippendorff["interval_95"] = json!(alpha.interval);
    Ok(json!({"percent": coefficient(&percent(&counts)), "krippendorff_alpha": krippendorff, "gwet_ac1": coefficient(&gwet_ac1(&counts))}))
}

fn coefficient(figure: &Coefficient) -> Value {
    json!({
        "value": figure.value, "n_tasks": figure.n_tasks, "n_judgments": figure.n_judgments, "undefined_because": figure.undefined_because,
    })
}
