//! How far raters agree, and what they came to on one task.

use std::collections::{BTreeMap, HashMap};

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::role::Role;
use domain::task::Choice;
use learning::agreement::suite::{Estimate, Settings, suite};
use learning::judgment::{InvalidJudgments, Judgment};
use serde_json::{Map, Value, json};
use storage::error::StorageError;
use storage::judgments::Vote;
use web::caller::Caller;
use web::problem::Problem;

use crate::decision::labels;
use crate::reviews::deadline;
use crate::state::State;

/// Judgments looked at: the newest.
pub const NEWEST_JUDGMENTS: i64 = 10_000;

/// Places on the scale of preference: A, tie, B.
const RANKS: usize = 3;

/// Resamples of the bootstrap; with a fixed seed, so that the same data give the same interval.
const REPLICATES: usize = 200;
const SEED: u64 = 20_260_115;

/// Percent agreement, Cohen's and Fleiss' kappa, Krippendorff's alpha (nominal, and ordinal from A over a tie to B) and Gwet's AC1 over the newest 10,000 judgments, all together and by task type.
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
    if caller.role.may_review() && deadline::waits(&task.status) {
        return Ok(HttpResponse::Ok().json(json!({
            "task_id": task.task_id, "status": task.status, "required_judgments": task.required_judgments,
            "judgments_count": task.judgments_count, "consensus": null, "votes": null,
            "hidden_because": "the task waits for an expert, who thinks first: record your own view in its review, which then shows the judgments",
        })));
    }
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
pub fn describe(votes: &[Vote]) -> Result<Value, InvalidJudgments> {
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

fn figures(votes: &[&Vote]) -> Result<Value, InvalidJudgments> {
    let labels = labels(3);
    let (mut tasks, mut raters) = (HashMap::new(), HashMap::new());
    let place = |known: &mut HashMap<String, u32>, name: &str| {
        let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
        *known.entry(name.to_owned()).or_insert(next)
    };
    let judgments: Vec<Judgment> = votes
        .iter()
        .filter_map(|vote| {
            let label = labels.iter().position(|label: &Choice| label.as_ref() == vote.choice)?;
            let (task, rater) = (place(&mut tasks, &vote.task_id), place(&mut raters, &vote.rater_id));
            Some(Judgment { task, rater, label: u32::try_from(label).ok()? })
        })
        .collect();
    let nominal = suite(&judgments, tasks.len(), labels.len(), &Settings { replicates: REPLICATES, seed: SEED, is_ordered: false })?;
    // On the scale from A over a tie to B; both bad and a third candidate have no place on it.
    let ranked: Vec<Judgment> = judgments.iter().filter_map(|judgment| rank(*judgment, &labels)).collect();
    let ordinal = suite(&ranked, tasks.len(), RANKS, &Settings { replicates: REPLICATES, seed: SEED, is_ordered: true })?;
    let mut cohen = estimate(&nominal.cohen_kappa.estimate);
    cohen["n_pairs"] = json!(nominal.cohen_kappa.n_pairs);
    Ok(json!({
        "percent": estimate(&nominal.percent),
        "cohen_kappa": cohen,
        "fleiss_kappa": estimate(&nominal.fleiss_kappa),
        "krippendorff_alpha": estimate(&nominal.krippendorff_alpha),
        "krippendorff_alpha_ordinal": estimate(&ordinal.krippendorff_alpha_ordinal),
        "gwet_ac1": estimate(&nominal.gwet_ac1),
    }))
}

fn rank(judgment: Judgment, labels: &[Choice]) -> Option<Judgment> {
    let label = match labels.get(usize::try_from(judgment.label).ok()?)? {
        Choice::CandidateA => 0,
        Choice::Tie => 1,
        Choice::CandidateB => 2,
        _ => return None,
    };
    Some(Judgment { label, ..judgment })
}

fn estimate(figure: &Estimate) -> Value {
    let Estimate { coefficient, interval, .. } = figure;
    json!({
        "value": coefficient.value, "interval_95": interval, "n_tasks": coefficient.n_tasks, "n_judgments": coefficient.n_judgments,
        "undefined_because": coefficient.undefined_because,
    })
}
