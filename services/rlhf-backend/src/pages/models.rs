//! `/models`: every reward model with its figures beside what it must beat, and the buttons that train, activate and roll back.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::task::TaskType;
use serde::Deserialize;
use storage::jobs;
use storage::page::Page;
use storage::reward_models::{self, RewardModelFilter};
use strum::VariantArray as _;
use web::caller::{PageCaller, PageRefusal};
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::problem::Problem;

use super::dashboard::{JobView, to_job, trainings};
use super::{Choice, decimal, file, percent, require_reader, retailer_choices, topics, words};
use crate::reward_models::Card;
use crate::scoring::active::look_at;
use crate::state::State;
use crate::training::CardFigures;
use crate::watch::shadows::InShadow;

/// Models on one page, beside those at work.
const SHOWN: i64 = 50;

struct Row {
    model_id: String,
    task_type: String,
    retailer: String,
    version: i32,
    is_active: bool,
    in_shadow: bool,
    /// What it has shown in the shadow, a sentence each.
    shadow: Vec<String>,
    has_drifted: bool,
    has_former: bool,
    accuracy: String,
    accuracy_note: String,
    longer: String,
    log_loss: String,
    calibration: String,
    alpha: String,
    pairs: i32,
    judgments: i32,
    feedback: i32,
    simulated: i64,
    failed_gates: Vec<String>,
    unusable: Option<String>,
    trained_at: String,
}

#[derive(Template)]
#[template(path = "models.html")]
struct ModelsPage {
    layout: Layout,
    styles: String,
    script: String,
    topics: String,
    task_types: Vec<(String, &'static str)>,
    retailers: Vec<Choice>,
    may_train: bool,
    /// Whether the caller sees the platform's jobs.
    sees_jobs: bool,
    models: Vec<Row>,
    next: Option<i64>,
    is_first: bool,
    jobs: Vec<JobView>,
}

/// Where the list goes on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelsQuery {
    after: Option<i64>,
}

/// Shows the models at work, and the newest 50 others or those after a key.
pub async fn show_models(state: Data<State>, caller: PageCaller, query: QueryOf<ModelsQuery>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    require_reader(&caller)?;
    let scope = caller.scope();
    let after = query.0.after;
    let (models, next, jobs, retailers) = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let at_work = |is_at_work| RewardModelFilter { is_at_work: Some(is_at_work), ..RewardModelFilter::default() };
            let mut models = reward_models::list(conn, &at_work(true), &Page::first(500))?.rows;
            models.sort_by_key(|model| !model.is_active);
            let others = reward_models::list(conn, &at_work(false), &Page { after, limit: SHOWN })?;
            models.extend(others.rows);
            Ok((
                Card::read_all(conn, models)?,
                others.next,
                jobs::list(conn, &scope, &trainings(), &Page::first(3))?.rows,
                retailer_choices(conn, None)?,
            ))
        })
        .await
        .map_err(Problem::from)?;
    look_at(&state, models.iter().map(|card| card.model.model_id.clone())).await.map_err(Problem::from)?;
    let page = ModelsPage {
        layout: Layout::new("Reward models", "rlhf-backend/models", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        script: file("rlhf.js"),
        topics: topics(&caller, &["jobs"]),
        task_types: TaskType::VARIANTS.iter().map(|task_type| (task_type.to_string(), task_type.title())).collect(),
        retailers,
        may_train: caller.role.sees_all_tenants(),
        sees_jobs: caller.role.sees_all_tenants(),
        models: models.into_iter().map(|card| to_row(card.known_to(&state))).collect(),
        next,
        is_first: after.is_none(),
        jobs: jobs.iter().map(to_job).collect(),
    };
    Ok(render(&page)?)
}

/// A share whose sign stays with it in a narrow column.
fn share(share: Option<f64>) -> String {
    percent(share).replace(' ', "\u{a0}")
}

/// What a model has shown in the shadow, and the active one beside it.
fn in_shadow(shadow: &InShadow) -> Vec<String> {
    let own = match shadow.accuracy {
        None => "Nothing was decided yet since it is in the shadow.".to_owned(),
        Some(_) => format!("In the shadow right in {} of {} decided pairs.", share(shadow.accuracy), shadow.n_decided),
    };
    let beside = shadow.beside_active.as_ref().map(|beside| {
        let same = format!("the same choice as the active model in {} of {} pairs", beside.n_same_choice, beside.n_pairs);
        match (beside.accuracy, beside.active_accuracy) {
            (Some(own), Some(active)) => format!(
                "On the {} that both saw: {} against the active model’s {}; {same}.",
                beside.n_decided,
                share(Some(own)),
                share(Some(active))
            ),
            _ => format!("It makes {same}."),
        }
    });
    let alone = (beside.is_none() && shadow.n_decided > 0).then(|| "No model that is active now has seen them, too.".to_owned());
    std::iter::once(own).chain(beside).chain(alone).collect()
}

fn to_row(card: Card) -> Row {
    let Card { model, failed_gates, unusable, shadow } = card;
    let figures: Option<CardFigures> = serde_json::from_value(model.metrics.0.clone()).ok();
    let held_out = figures.as_ref().and_then(|figures| figures.held_out.as_ref());
    let longer = figures.as_ref().and_then(|figures| figures.baselines.iter().find(|one| one.name == "longer_text_wins")?.accuracy);
    let note = held_out.map_or_else(
        || "no held-out pairs".to_owned(),
        |metrics| {
            let interval = figures
                .as_ref()
                .and_then(CardFigures::accuracy_interval)
                .map_or_else(String::new, |i| format!("{:.0} to {:.0} %, ", i.low * 100.0, i.high * 100.0));
            format!("{interval}n = {}", metrics.n_decided)
        },
    );
    Row {
        accuracy: percent(held_out.and_then(|metrics| metrics.accuracy)),
        accuracy_note: note,
        longer: percent(longer),
        log_loss: decimal(held_out.and_then(|metrics| metrics.log_loss), 3),
        calibration: decimal(held_out.and_then(|metrics| metrics.calibration_error), 3),
        alpha: decimal(model.inter_rater_agreement, 2),
        task_type: words(&model.task_type),
        retailer: model.retailer_id.unwrap_or_else(|| "all retailers".to_owned()),
        version: model.version,
        is_active: model.is_active,
        in_shadow: model.shadow_since.is_some(),
        shadow: shadow.as_ref().map(in_shadow).unwrap_or_default(),
        has_drifted: model.drift_found_at.is_some(),
        has_former: model.former_model_id.is_some(),
        pairs: model.training_pairs_count,
        judgments: model.training_judgments_count,
        feedback: model.training_feedback_count,
        simulated: model.config.get("judgments_by_simulated_raters").and_then(serde_json::Value::as_i64).unwrap_or(0),
        trained_at: model.training_date.format("%e %b %Y, %H:%M UTC").to_string(),
        failed_gates,
        unusable,
        model_id: model.model_id,
    }
}
