//! Which models worked in a slot before the one that works there now, so that rolling back goes back and never forward again. The active
//! model carries the list in its configuration; a model that is put to work by a decision begins a list anew, with its predecessor first.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{RewardModel, Switch, activate, find, lock_slot};
use crate::connection::Connection;
use crate::error::StorageError;

/// The field of a model's configuration.
const FIELD: &str = "active_before";

/// Most models that can be gone back over.
const MOST: usize = 50;

/// The models that were active before this one, the last first.
pub(super) fn of(conn: &mut Connection, model: &RewardModel) -> Result<Vec<String>, StorageError> {
    if let Some(list) = model.config.0.get(FIELD).and_then(Value::as_array) {
        return Ok(list.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    // Put to work by an earlier program, which knew the one before alone: each tells of its own, as far as nobody comes twice.
    let (mut before, mut seen) = (Vec::new(), BTreeSet::from([model.model_id.clone()]));
    let mut next = model.former_model_id.clone();
    while let Some(id) = next.filter(|id| before.len() < MOST && seen.insert(id.clone())) {
        next = find(conn, &id)?.former_model_id;
        before.push(id);
    }
    Ok(before)
}

/// The list of a model that takes over from `former`.
pub(super) fn after(conn: &mut Connection, former: &RewardModel) -> Result<Vec<String>, StorageError> {
    let mut before = of(conn, former)?;
    before.insert(0, former.model_id.clone());
    before.truncate(MOST);
    Ok(before)
}

/// Notes the list in a configuration.
pub(super) fn note(config: &mut Value, before: &[String]) {
    if let Some(config) = config.as_object_mut() {
        config.insert(FIELD.to_owned(), json!(before));
    }
}

/// Takes an active model out and puts the one that was active before it back to work; the model that was taken out and the id of the other.
/// Doing it again goes one further back. Call it in a transaction.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] (`conflict`) when the model is not active or none was active before it.
pub fn roll_back(conn: &mut Connection, model_id: &str, now: DateTime<Utc>) -> Result<(RewardModel, String), StorageError> {
    let task_type = find(conn, model_id)?.task_type;
    lock_slot(conn, &task_type)?;
    let model = find(conn, model_id)?;
    if !model.is_active {
        let why = format!("model {model_id} is not active; only the active model is rolled back");
        return Err(StorageError::conflict("conflict", why));
    }
    let mut before = of(conn, &model)?;
    if before.is_empty() {
        let why = format!("nothing is older: no model was active here before {model_id}; activate another one by a decision of your own");
        return Err(StorageError::conflict("conflict", why));
    }
    let to = before.remove(0);
    activate(conn, &to, Switch::Rollback(&before), now)?;
    Ok((model, to))
}
