//! Trained reward models, and which of them is active: one per task type and retailer, held by the unique `active_slot`.

pub mod history;

use chrono::{DateTime, Utc};
use diesel::dsl::max;
use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::page::{Page, Slice};
use crate::schema::reward_models as t;
use crate::types::{Json, Timestamp};
use crate::{lock, on};

/// A model's card: everything but its parameters, which may be large.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct RewardModel {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub model_id: String,
    /// What it was built on.
    pub base_model: String,
    /// The retailer it was trained for; `None` is the general model.
    pub retailer_id: Option<String>,
    /// Kind of task.
    pub task_type: String,
    /// Judgments behind the training pairs.
    pub training_judgments_count: i32,
    /// Feedback among the training pairs.
    pub training_feedback_count: i32,
    /// Training pairs.
    pub training_pairs_count: i32,
    /// When it was trained.
    pub training_date: Timestamp,
    /// Where its parameters are.
    pub model_path: String,
    /// How it was trained, and what was decided about it.
    pub config: Json,
    /// Figures on pairs it had not seen, baselines and label quality.
    pub metrics: Json,
    /// Held-out accuracy.
    pub validation_accuracy: Option<f64>,
    /// Krippendorff's alpha of the judgments it learnt from.
    pub inter_rater_agreement: Option<f64>,
    /// Correlation of passed auto-checks with people's preference.
    pub auto_check_correlation: Option<f64>,
    /// Whether it scores.
    pub is_active: bool,
    /// When it was last put to work.
    pub deployed_at: Option<Timestamp>,
    /// Version within task type and retailer.
    pub version: i32,
    /// The model that was active when this one was trained.
    pub parent_model_id: Option<String>,
    /// SHA-256 of the training rows.
    pub dataset_hash: String,
    /// Seed of the training.
    pub seed: i64,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Since when it predicts in the shadow of the active model, if it does.
    pub shadow_since: Option<Timestamp>,
    /// The model that it took over from when it was put to work.
    pub former_model_id: Option<String>,
    /// When it was found to predict worse than its card says, since it was put to work.
    pub drift_found_at: Option<Timestamp>,
}

/// A model in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct InSlot {
    /// The slot it works in, if it is active.
    pub active_slot: Option<String>,
    /// The slot in whose shadow it is, if it is.
    pub shadow_slot: Option<String>,
    /// The model.
    pub model_id: String,
    /// Its version.
    pub version: i32,
    /// When it was trained.
    pub training_date: Timestamp,
}

/// A model to store; version and parent are found here.
#[derive(Debug, Clone)]
pub struct NewRewardModel {
    /// What it was built on.
    pub base_model: String,
    /// The retailer it was trained for.
    pub retailer_id: Option<String>,
    /// Kind of task.
    pub task_type: String,
    /// Judgments behind the training pairs.
    pub training_judgments_count: i32,
    /// Feedback among the training pairs.
    pub training_feedback_count: i32,
    /// Training pairs.
    pub training_pairs_count: i32,
    /// How it was trained.
    pub config: Value,
    /// Its figures.
    pub metrics: Value,
    /// The model itself.
    pub parameters: Value,
    /// Held-out accuracy.
    pub validation_accuracy: Option<f64>,
    /// Krippendorff's alpha of the judgments.
    pub inter_rater_agreement: Option<f64>,
    /// Correlation of passed auto-checks with people's preference.
    pub auto_check_correlation: Option<f64>,
    /// SHA-256 of the training rows.
    pub dataset_hash: String,
    /// Seed of the training.
    pub seed: i64,
}

/// Which models are wanted.
#[derive(Debug, Clone, Default)]
pub struct RewardModelFilter {
    /// For this kind of task.
    pub task_type: Option<String>,
    /// For this retailer.
    pub retailer_id: Option<String>,
    /// Only active ones (or only others).
    pub is_active: Option<bool>,
    /// Only those that are active or in the shadow (or only others).
    pub is_at_work: Option<bool>,
}

/// The place that at most one model holds: `plan_quality/RET-1`, or `plan_quality/` for the general model.
#[must_use]
pub fn slot(task_type: &str, retailer_id: Option<&str>) -> String {
    format!("{task_type}/{}", retailer_id.unwrap_or(""))
}

/// Stores a model, inactive, with the next version and the active model as its parent.
///
/// # Errors
/// [`StorageError::Invalid`] for an unknown retailer.
pub fn insert(conn: &mut Connection, new: &NewRewardModel, now: DateTime<Utc>) -> Result<RewardModel, StorageError> {
    let model_id = domain::id::new("rwm");
    let newest: Option<i32> = on!(conn, c => {
        let query = t::table.select(max(t::version)).filter(t::task_type.eq(&new.task_type)).into_boxed();
        match &new.retailer_id {
            Some(retailer) => query.filter(t::retailer_id.eq(retailer)).first(c),
            None => query.filter(t::retailer_id.is_null()).first(c),
        }
    })?;
    let parent = find_active(conn, &new.task_type, new.retailer_id.as_deref())?.map(|model| model.model_id);
    let facts = (
        t::model_id.eq(&model_id),
        t::base_model.eq(&new.base_model),
        t::retailer_id.eq(new.retailer_id.as_deref()),
        t::task_type.eq(&new.task_type),
        t::training_judgments_count.eq(new.training_judgments_count),
        t::training_feedback_count.eq(new.training_feedback_count),
        t::training_pairs_count.eq(new.training_pairs_count),
        t::training_date.eq(Timestamp(now)),
        t::model_path.eq(format!("database:reward_models/{model_id}")),
        t::config.eq(Json(new.config.clone())),
        t::metrics.eq(Json(new.metrics.clone())),
        t::parameters.eq(Json(new.parameters.clone())),
    );
    let figures = (
        t::validation_accuracy.eq(new.validation_accuracy),
        t::inter_rater_agreement.eq(new.inter_rater_agreement),
        t::auto_check_correlation.eq(new.auto_check_correlation),
        t::is_active.eq(false),
        t::version.eq(newest.unwrap_or(0) + 1),
        t::parent_model_id.eq(parent),
        t::dataset_hash.eq(&new.dataset_hash),
        t::seed.eq(new.seed),
        t::created_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values((facts, figures)).execute(c))
        .on_missing_reference("retailer_id", || "is not a retailer that exists".to_owned())?;
    find(conn, &model_id)
}

/// The card of one model.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, model_id: &str) -> Result<RewardModel, StorageError> {
    let found: Option<RewardModel> =
        on!(conn, c => t::table.filter(t::model_id.eq(model_id)).select(RewardModel::as_select()).first(c).optional())?;
    found.ok_or_else(|| StorageError::not_found("reward model", model_id))
}

/// The model itself, as it was stored.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find_parameters(conn: &mut Connection, model_id: &str) -> Result<Json, StorageError> {
    let found: Option<Json> = on!(conn, c => t::table.filter(t::model_id.eq(model_id)).select(t::parameters).first(c).optional())?;
    found.ok_or_else(|| StorageError::not_found("reward model", model_id))
}

/// Models, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, filter: &RewardModelFilter, page: &Page) -> Result<Slice<RewardModel>, StorageError> {
    let rows: Vec<RewardModel> = on!(conn, c => {
        let mut query = t::table.select(RewardModel::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        if let Some(task_type) = &filter.task_type {
            query = query.filter(t::task_type.eq(task_type));
        }
        if let Some(retailer) = &filter.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer));
        }
        if let Some(is_active) = filter.is_active {
            query = query.filter(t::is_active.eq(is_active));
        }
        query = match filter.is_at_work {
            Some(true) => query.filter(t::active_slot.is_not_null().or(t::shadow_slot.is_not_null())),
            Some(false) => query.filter(t::active_slot.is_null().and(t::shadow_slot.is_null())),
            None => query,
        };
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// The model that holds a slot.
///
/// # Errors
/// As any query.
pub fn find_active(conn: &mut Connection, task_type: &str, retailer_id: Option<&str>) -> Result<Option<RewardModel>, StorageError> {
    let slot = slot(task_type, retailer_id);
    Ok(on!(conn, c => t::table.filter(t::active_slot.eq(&slot)).select(RewardModel::as_select()).first(c).optional())?)
}

/// Every active model, in the order of slots.
///
/// # Errors
/// As any query.
pub fn list_active(conn: &mut Connection) -> Result<Vec<InSlot>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::active_slot.is_not_null())
        .order(t::active_slot)
        .select((t::active_slot, t::shadow_slot, t::model_id, t::version, t::training_date))
        .load(c))?)
}

/// The models that work in one of these slots or in its shadow.
///
/// # Errors
/// As any query.
pub fn in_slots(conn: &mut Connection, slots: &[String]) -> Result<Vec<InSlot>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::active_slot.eq_any(slots).or(t::shadow_slot.eq_any(slots)))
        .order(t::id)
        .select((t::active_slot, t::shadow_slot, t::model_id, t::version, t::training_date))
        .load(c))?)
}

/// Puts a model into the shadow of its slot, in place of the one that was there; the card. A model that is there already stays since when it was.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] (`conflict`) for an active model, or when another took the place at the same moment.
pub fn begin_shadow(conn: &mut Connection, model_id: &str, now: DateTime<Utc>) -> Result<RewardModel, StorageError> {
    let model = find(conn, model_id)?;
    if model.is_active {
        return Err(StorageError::conflict("conflict", format!("model {model_id} is active; a shadow is for a model that is not")));
    }
    if model.shadow_since.is_some() {
        return Ok(model);
    }
    let slot = slot(&model.task_type, model.retailer_id.as_deref());
    let none = (t::shadow_slot.eq(None::<String>), t::shadow_since.eq(None::<Timestamp>), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.filter(t::shadow_slot.eq(&slot))).set(none).execute(c))?;
    let changes = (t::shadow_slot.eq(Some(&slot)), t::shadow_since.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.find(model.id)).set(changes).execute(c))
        .on_unique("conflict", || "another model was put into the shadow at the same moment; look again and decide anew".to_owned())?;
    find(conn, model_id)
}

/// Takes a model out of the shadow; what it predicted is kept.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn end_shadow(conn: &mut Connection, model_id: &str, now: DateTime<Utc>) -> Result<RewardModel, StorageError> {
    let model = find(conn, model_id)?;
    let none = (t::shadow_slot.eq(None::<String>), t::shadow_since.eq(None::<Timestamp>), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.find(model.id)).set(none).execute(c))?;
    find(conn, model_id)
}

/// Notes that an active model predicts worse than its card says; `false` when that is noted already or it is not active any more.
///
/// # Errors
/// As any query.
pub fn note_drift(conn: &mut Connection, model_id: &str, now: DateTime<Utc>) -> Result<bool, StorageError> {
    let news = t::model_id.eq(model_id).and(t::is_active.eq(true)).and(t::drift_found_at.is_null());
    let changes = (t::drift_found_at.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
    Ok(on!(conn, c => diesel::update(t::table.filter(news)).set(changes).execute(c))? == 1)
}

/// How a model comes to be active.
#[derive(Debug, Clone, Copy)]
pub enum Switch<'a> {
    /// By a decision, which is written into the model's configuration when given.
    Activation(Option<&'a Value>),
    /// Because the one that took over from it is rolled back; with those that were active before it, the last first.
    Rollback(&'a [String]),
}

/// Puts a model to work in its slot and takes the former one out; the model that was active before. Call it in a transaction: those who
/// switch the same slot wait for each other.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] (`conflict`) when another model took the slot at the same moment.
pub fn activate(
    conn: &mut Connection,
    model_id: &str,
    switch: Switch<'_>,
    now: DateTime<Utc>,
) -> Result<Option<RewardModel>, StorageError> {
    let task_type = find(conn, model_id)?.task_type;
    lock_slot(conn, &task_type)?;
    let model = find(conn, model_id)?;
    let former = find_active(conn, &task_type, model.retailer_id.as_deref())?.filter(|former| former.id != model.id);
    if let Some(former) = &former {
        let changes = (t::active_slot.eq(None::<String>), t::is_active.eq(false), t::updated_at.eq(Timestamp(now)));
        on!(conn, c => diesel::update(t::table.find(former.id)).set(changes).execute(c))?;
    }
    let (mut config, before) = match (switch, &former) {
        (Switch::Activation(config), Some(former)) => (config.cloned(), history::after(conn, former)?),
        // Activated once more, or the first in its slot.
        (Switch::Activation(config), None) if model.is_active => (config.cloned(), history::of(conn, &model)?),
        (Switch::Activation(config), None) => (config.cloned(), Vec::new()),
        (Switch::Rollback(before), _) => (None, before.to_vec()),
    };
    let config = config.get_or_insert_with(|| model.config.0.clone());
    history::note(config, &before);
    let first = t::table.find(model.id).filter(t::first_deployed_at.is_null());
    on!(conn, c => diesel::update(first).set(t::first_deployed_at.eq(Some(Timestamp(now)))).execute(c))?;
    let changes = (
        t::active_slot.eq(Some(slot(&task_type, model.retailer_id.as_deref()))),
        t::is_active.eq(true),
        t::deployed_at.eq(Some(Timestamp(now))),
        t::config.eq(Json(config.clone())),
        t::updated_at.eq(Timestamp(now)),
        // What works is no shadow, and is watched anew.
        t::shadow_slot.eq(None::<String>),
        t::shadow_since.eq(None::<Timestamp>),
        t::drift_found_at.eq(None::<Timestamp>),
        t::former_model_id.eq(before.first()),
    );
    on!(conn, c => diesel::update(t::table.find(model.id)).set(changes).execute(c))
        .on_unique("conflict", || "another model was activated at the same moment; look again and decide anew".to_owned())?;
    Ok(former)
}

/// Everybody who switches a slot locks all models of its task type in the same order first.
fn lock_slot(conn: &mut Connection, task_type: &str) -> Result<(), StorageError> {
    let _locked: Vec<i64> = lock!(conn, t::table.filter(t::task_type.eq(task_type)).order(t::id).select(t::id) => i64)?;
    Ok(())
}

/// Refuses a retailer that does not exist, before work is queued for it.
///
/// # Errors
/// [`StorageError::Invalid`] on `retailer_id`.
pub fn require_retailer(conn: &mut Connection, retailer_id: &str) -> Result<(), StorageError> {
    use crate::schema::retailers as r;
    let found: Option<i64> = on!(conn, c => r::table.filter(r::retailer_id.eq(retailer_id)).select(r::id).first(c).optional())?;
    found.map(drop).ok_or_else(|| domain::invalid::Invalid::one("retailer_id", format!("there is no retailer {retailer_id:?}")).into())
}
