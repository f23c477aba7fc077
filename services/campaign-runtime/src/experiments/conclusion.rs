//! What concluding an experiment writes beside its result: the calibration of its campaign, a reflection log, and the news of it.

use chrono::{DateTime, Utc};
use domain::scope::Scope;
use serde_json::json;
use storage::calibrations::{self, NewCalibration};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::experiments::{Experiment, observations};
use storage::outbox::{self, Destination, NewEvent};
use storage::reflections::{self, NewReflectionLog};

use super::definition::Definition;
use super::readout::{Readout, inputs_hash};

/// Refuses to store a result of observations that were changed since it was computed.
///
/// # Errors
/// [`StorageError::Conflict`] (`stale`).
pub fn check_unchanged(conn: &mut Connection, scope: &Scope, row: &Experiment, readout: &Readout) -> Result<(), StorageError> {
    let present = observations::all(conn, scope, row)?;
    if inputs_hash(row, &present) == readout.inputs_hash {
        return Ok(());
    }
    Err(StorageError::conflict("stale", "observations came in while the result was computed; ask again"))
}

/// Writes all that follows from a conclusion, in the transaction that makes it true.
///
/// # Errors
/// As any query.
pub fn record(
    conn: &mut Connection,
    scope: &Scope,
    row: &Experiment,
    readout: Option<&Readout>,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let scope = scope.narrowed_to(&row.tenant_id);
    if let Some(new) = readout.map(|readout| calibration(row, readout)).transpose()?.flatten() {
        calibrations::insert(conn, &scope, &new, now)?;
    }
    reflections::insert(conn, &scope, &reflection(row, readout), now)?;
    let event = NewEvent {
        destination: Destination::Realtime,
        topic: "campaigns".to_owned(),
        event: "experiment_concluded".to_owned(),
        payload: json!({
            "experiment_id": row.experiment_id,
            "has_result": readout.is_some(),
            "has_calibrated": readout.is_some_and(|readout| row.campaign.is_some() && readout.incremental_return.is_some()),
            "inputs_hash": row.inputs_hash,
        }),
        tenant_id: Some(row.tenant_id.clone()),
    };
    outbox::push(conn, &event, now)?;
    Ok(())
}

fn calibration(row: &Experiment, readout: &Readout) -> Result<Option<NewCalibration>, StorageError> {
    let definition: Definition =
        serde_json::from_value(row.definition.0.clone()).map_err(|error| StorageError::Corrupt(error.to_string()))?;
    let (Some(campaign), Some(found), Some(currency)) = (row.campaign, &readout.incremental_return, definition.metric.currency) else {
        return Ok(None);
    };
    let line = definition.line.unwrap_or_default();
    Ok(Some(NewCalibration {
        calibration_id: domain::id::new("cal"),
        tenant_id: row.tenant_id.clone(),
        campaign,
        placement_type: line.placement_type,
        audience_segment: line.audience_segment,
        iroas: found.iroas.value(),
        standard_error: found.standard_error,
        spend_micros: found.spend_micros,
        currency,
        days: found.days.max(1),
        n: i64::try_from(found.iroas.sample().n.get()).unwrap_or(i64::MAX),
        control_definition: found.iroas.control().text().to_owned(),
        experiment: row.id,
    }))
}

fn reflection(row: &Experiment, readout: Option<&Readout>) -> NewReflectionLog {
    let rationale = match (readout, &row.status_reason) {
        (Some(readout), _) => readout.summary.clone(),
        (None, Some(reason)) => format!("Abandoned: {reason}"),
        (None, None) => "Abandoned.".to_owned(),
    };
    NewReflectionLog {
        log_id: domain::id::new("rfl"),
        tenant_id: Some(row.tenant_id.clone()),
        campaign: row.campaign,
        session_id: row.experiment_id.clone(),
        task_type: "experiment".to_owned(),
        phase: "decision".to_owned(),
        memory_references: json!([{"experiment_id": row.experiment_id, "inputs_hash": row.inputs_hash}]).into(),
        alternate_frames: json!([]).into(),
        risk_factors: json!([]).into(),
        mitigation_strategies: json!([]).into(),
        confidence_value: None,
        confidence_rationale: None,
        decision_threshold: None,
        bias_checkpoint: json!({"definition_hash": row.definition_hash}).into(),
        decision: json!({"status": row.status, "has_result": readout.is_some()}).into(),
        decision_rationale: rationale,
    }
}
