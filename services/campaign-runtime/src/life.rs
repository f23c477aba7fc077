//! The life of a campaign, inside one transaction: facts are gathered, the rules of `domain::campaign::life` are asked, the row is written with its
//! history, and whoever listens is told. Every way to change a campaign (one, many, by the clock) goes through here.

pub mod advance;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};
use domain::campaign::CampaignStatus;
use domain::campaign::delivery::{Delivery, delivery};
use domain::campaign::life::{Facts, Flight, check_change, check_ready};
use domain::invalid::{FieldError, Invalid};
use domain::scope::Scope;
use domain::time::day_at;
use serde_json::{Value, json};
use storage::campaigns::history::Change;
use storage::campaigns::{self as stored, Campaign, NewCampaign, due};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::outbox::{self, Destination, NewEvent};
use storage::retailers;
use storage::store::Storage;
use storage::types::Json;
use web::problem::Problem;

use crate::creatives;

/// Why a campaign was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// By a rule that only the data could show, or by the database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The state machine has no such move.
    #[error("From {from} a campaign cannot become {to}.")]
    NotAllowed {
        /// The present state.
        from: CampaignStatus,
        /// The wished state.
        to: CampaignStatus,
    },
    /// The caller names a version that is not the present one.
    #[error("The campaign is at version \"{present}\" now.")]
    Version {
        /// The present version.
        present: i32,
    },
    /// By a rule of the request's form.
    #[error("{}", .0.detail())]
    Form(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Form(problem)
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::Storage(invalid.into())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Storage(error) => error.into(),
            Refusal::NotAllowed { from, to } => {
                let allowed: Vec<&str> = from.next().iter().map(AsRef::as_ref).collect();
                let moves = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
                Self::conflict("transition_not_allowed", format!("From {from} a campaign cannot become {to}; allowed: {moves}."))
                    .with_extra("allowed", allowed)
            }
            Refusal::Form(problem) => problem,
            Refusal::Version { .. } => Self::new("precondition_failed", refusal.to_string()),
        }
    }
}

impl Refusal {
    /// Code, sentence and fields of one refusal among many; a trouble of the database is handed back, because it is nobody's outcome.
    ///
    /// # Errors
    /// What is no refusal of this campaign.
    pub fn outcome(self) -> Result<(&'static str, String, Vec<FieldError>), StorageError> {
        let sentence = self.to_string();
        match self {
            Self::NotAllowed { .. } => Ok(("transition_not_allowed", sentence, Vec::new())),
            Self::Version { .. } => Ok(("precondition_failed", sentence, Vec::new())),
            Self::Form(problem) => Ok((problem.code(), sentence, problem.errors().to_vec())),
            Self::Storage(StorageError::Invalid(invalid)) => Ok(("invalid_input", sentence, invalid.fields)),
            Self::Storage(StorageError::Conflict { code, why }) => Ok((code, why, Vec::new())),
            Self::Storage(StorageError::NotFound { .. }) => Ok(("not_found", sentence, Vec::new())),
            Self::Storage(error) => Err(error),
        }
    }
}

/// Runs `work` in one transaction; of a refused change nothing is kept.
///
/// # Errors
/// The refusal as a problem, or the database's trouble.
pub async fn transact<T, F>(storage: &Storage, work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: Fn(&mut Connection) -> Result<T, Refusal> + Send + 'static,
{
    let refused: Arc<Mutex<Option<Refusal>>> = Arc::default();
    let slot = Arc::clone(&refused);
    let done = storage
        .transaction(move |conn| {
            work(conn).map_err(|refusal| match refusal {
                Refusal::Storage(error) => error,
                other => {
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(other);
                    // Only makes the transaction roll back; the refusal itself is in the slot.
                    StorageError::conflict("conflict", "refused")
                }
            })
        })
        .await;
    match (done, refused.lock().unwrap_or_else(PoisonError::into_inner).take()) {
        (Ok(value), _) => Ok(value),
        (Err(_), Some(refusal)) => Err(refusal.into()),
        (Err(error), None) => Err(error.into()),
    }
}

/// What a campaign says of itself, for the rules.
#[must_use]
pub fn flight(campaign: &NewCampaign) -> Flight {
    Flight {
        start_date: campaign.start_date,
        end_date: campaign.end_date,
        budget_micros: campaign.total_budget_micros,
        currency: campaign.currency.clone(),
        sku_count: campaign.target_skus.as_array().map_or(0, Vec::len),
    }
}

/// What the world says of campaigns, by primary key. Spend and products are asked for of `in_full` only; of the others the rules need but the day.
fn facts(
    conn: &mut Connection,
    rows: &[&Campaign],
    in_full: impl Fn(&Campaign) -> bool,
    now: DateTime<Utc>,
) -> Result<HashMap<i64, Facts>, StorageError> {
    let mut ids: Vec<&str> = rows.iter().map(|row| row.retailer_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let found = retailers::find_many(conn, &ids)?;
    let places: HashMap<String, (NaiveDate, bool)> =
        found.iter().map(|retailer| (retailer.retailer_id.clone(), (day_at(now, &retailer.timezone), retailer.is_active))).collect();
    let full: Vec<&Campaign> = rows.iter().copied().filter(|row| in_full(row)).collect();
    let mut measured = due::measured(conn, &full)?;
    let eligible = due::with_eligible_sku(conn, &full)?;
    let failing = creatives::failing(conn, &full, &found)?;
    let mut of = |row: &&Campaign| {
        let (today, retailer_is_active) = places.get(&row.retailer_id).copied().unwrap_or((now.date_naive(), false));
        let own = measured.remove(&row.id);
        let facts = Facts {
            today,
            has_performance: own.is_some(),
            spent_micros: own.as_ref().and_then(|own| own.spent_micros),
            row_currencies: own.map(|own| own.currencies).unwrap_or_default(),
            retailer_is_active,
            has_eligible_sku: eligible.contains(&row.id),
            failing_creatives: failing.get(&row.id).cloned().unwrap_or_default(),
        };
        (row.id, facts)
    };
    Ok(rows.iter().map(&mut of).collect())
}

/// The facts of one campaign.
fn facts_of(conn: &mut Connection, row: &Campaign, now: DateTime<Utc>) -> Result<Facts, StorageError> {
    let found = facts(conn, &[row], |_| true, now)?.remove(&row.id);
    found.ok_or_else(|| StorageError::Corrupt(format!("no facts about campaign {:?}", row.campaign_id)))
}

/// The stored state.
///
/// # Errors
/// [`StorageError::Corrupt`] when the stored word is not known.
pub fn status_of(row: &Campaign) -> Result<CampaignStatus, StorageError> {
    let broken = || StorageError::Corrupt(format!("campaign {:?} has the unknown status {:?}", row.campaign_id, row.status));
    row.status.parse().map_err(|_| broken())
}

/// Moves a campaign that was read as `row`.
///
/// # Errors
/// [`Refusal::NotAllowed`]; what it still needs, by field; `stale` when somebody was quicker.
pub fn transition(
    conn: &mut Connection,
    scope: &Scope,
    row: &Campaign,
    to: CampaignStatus,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<Campaign, Refusal> {
    let from = status_of(row)?;
    if !from.may_become(to) {
        return Err(Refusal::NotAllowed { from, to });
    }
    let new = NewCampaign { status: to.to_string(), ..row.clone().into() };
    if matches!(to, CampaignStatus::Scheduled | CampaignStatus::Active) {
        check_ready(to, &flight(&new), &facts_of(conn, row, now)?)?;
    }
    let moved = stored::update(conn, scope, row, &new, change, now)?;
    let event = NewEvent {
        destination: Destination::Realtime,
        topic: "campaigns".to_owned(),
        event: "campaign_moved".to_owned(),
        payload: json!({"campaign_id": moved.campaign_id, "from": from, "to": to, "version": moved.version}),
        tenant_id: Some(moved.tenant_id.clone()),
    };
    outbox::push(conn, &event, now)?;
    Ok(moved)
}

/// Changes fields of a campaign that was read as `row`; the state stays.
///
/// # Errors
/// What may not be changed so, by field; `conflict` for an archived campaign; `stale` when somebody was quicker.
pub fn edit(
    conn: &mut Connection,
    scope: &Scope,
    row: &Campaign,
    new: NewCampaign,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<Campaign, Refusal> {
    let status = status_of(row)?;
    let new = NewCampaign { status: row.status.clone(), ..new };
    let before = flight(&row.clone().into());
    check_change(status, &before, &flight(&new), &facts_of(conn, row, now)?)?;
    Ok(stored::update(conn, scope, row, &new, change, now)?)
}

/// How campaigns are shown: the row, and whether it delivers.
///
/// # Errors
/// As any query.
pub fn shown(conn: &mut Connection, rows: &[Campaign], now: DateTime<Utc>) -> Result<Vec<Value>, StorageError> {
    let borrowed: Vec<&Campaign> = rows.iter().collect();
    let runs = |row: &Campaign| [CampaignStatus::Scheduled, CampaignStatus::Active].iter().any(|status| row.status == status.as_ref());
    let facts = facts(conn, &borrowed, runs, now)?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let mut value = crate::campaigns::show(row);
        let delivery = facts.get(&row.id).map(|facts| delivery_of(row, facts)).transpose()?;
        if let Value::Object(fields) = &mut value {
            fields.insert("delivery".to_owned(), json!(delivery));
        }
        all.push(value);
    }
    Ok(all)
}

/// One campaign as it is shown.
///
/// # Errors
/// As any query.
pub fn shown_one(conn: &mut Connection, row: &Campaign, now: DateTime<Utc>) -> Result<Value, StorageError> {
    Ok(shown(conn, std::slice::from_ref(row), now)?.pop().unwrap_or(Value::Null))
}

fn delivery_of(row: &Campaign, facts: &Facts) -> Result<Delivery, StorageError> {
    Ok(delivery(status_of(row)?, &flight(&row.clone().into()), facts))
}

/// The fields of a copy: a draft without the original's allocation, which says in `attributes.copied_from` where it comes from.
#[must_use]
pub fn copy_of(row: &Campaign, campaign_id: String) -> NewCampaign {
    let mut attributes = row.attributes.0.clone();
    if let Value::Object(fields) = &mut attributes {
        fields.insert("copied_from".to_owned(), json!({"campaign_id": row.campaign_id, "version": row.version}));
    }
    NewCampaign {
        campaign_id,
        status: CampaignStatus::Draft.to_string(),
        allocated_budget: None,
        attributes: Json(attributes),
        ..row.clone().into()
    }
}
