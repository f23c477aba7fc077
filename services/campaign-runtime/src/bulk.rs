//! One change or one move for many campaigns at once, in one transaction, with an outcome for each.

use std::collections::{BTreeMap, HashMap, HashSet};

use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use domain::campaign::CampaignStatus;
use domain::invalid::{FieldError, Invalid};
use domain::role::Role;
use domain::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use storage::campaigns::history::{Action, Change};
use storage::campaigns::{self as stored, Campaign, CampaignFilter};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::store;
use web::caller::Caller;
use web::json::JsonBody;
use web::problem::Problem;

use crate::campaigns::{CampaignQuery, laid_over, with_tenant};
use crate::life::{self, Refusal};
use crate::state::State;
use crate::transitions::check_reason;

/// Most campaigns of one request.
pub const MAX_CAMPAIGNS: usize = 500;

/// What happens when one campaign refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Nothing is kept of any.
    #[default]
    Abort,
    /// It is left out.
    Skip,
}

/// Which campaigns, and what is to be done with them: exactly one of `campaign_ids` and `filter`, exactly one of `change` and `transition`.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkBody {
    /// These campaigns, at most 500.
    pub campaign_ids: Option<Vec<String>>,
    /// All campaigns that these filters show, at most 500; filters as in the list, at least one.
    #[schema(value_type = Option<Object>)]
    pub filter: Option<CampaignQuery>,
    /// Fields to change, as in PATCH.
    #[schema(value_type = Option<Object>)]
    pub change: Option<Map<String, Value>>,
    /// The state to move to.
    pub transition: Option<CampaignStatus>,
    /// Why, for the history; at most 1000 characters.
    pub reason: Option<String>,
    /// Do all the work, answer with the outcomes, and keep nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Version that was read, by campaign; a campaign at another version refuses.
    #[serde(default)]
    pub versions: BTreeMap<String, i32>,
    /// What happens when one refuses.
    #[serde(default)]
    pub on_error: OnError,
}

/// What became of one campaign.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Outcome {
    /// Which.
    pub campaign_id: String,
    /// `changed`, `unchanged` or `refused`.
    pub outcome: &'static str,
    /// The version after it.
    pub version: Option<i32>,
    /// The state after it.
    pub status: Option<String>,
    /// Why it refused: a problem code.
    pub code: Option<&'static str>,
    /// Why it refused, in a sentence.
    pub detail: Option<String>,
    /// Why it refused, by field.
    pub errors: Vec<FieldError>,
}

/// What became of all.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct BulkOutcome {
    /// Whether changes were kept: not after a dry run, nor when one refused under `on_error=abort`.
    pub is_kept: bool,
    /// How many changed (or would have).
    pub changed: usize,
    /// How many were so already.
    pub unchanged: usize,
    /// How many refused.
    pub refused: usize,
    /// One for each campaign, in the order asked for.
    pub outcomes: Vec<Outcome>,
}

/// What each campaign undergoes.
#[derive(Debug, Clone)]
enum Deed {
    Change(Map<String, Value>),
    Move(CampaignStatus),
}

#[derive(Debug, Clone)]
struct Job {
    campaigns: Which,
    deed: Deed,
    change: Change,
    dry_run: bool,
    versions: BTreeMap<String, i32>,
    on_error: OnError,
}

#[derive(Debug, Clone)]
enum Which {
    Named(Vec<String>),
    Filtered(CampaignFilter),
}

impl BulkBody {
    fn check(self) -> Result<Job, Problem> {
        check_reason(self.reason.as_deref())?;
        let mut invalid = Invalid::default();
        let campaigns = match (self.campaign_ids, self.filter) {
            (Some(ids), None) => {
                let mut seen = HashSet::new();
                if ids.is_empty() || ids.len() > MAX_CAMPAIGNS {
                    invalid.add("campaign_ids", format!("must have 1 to {MAX_CAMPAIGNS} entries"));
                } else if let Some(at) = ids.iter().position(|id| !seen.insert(id.as_str())) {
                    invalid.add(format!("campaign_ids[{at}]"), "occurs twice");
                }
                Some(Which::Named(ids))
            }
            (None, Some(query)) => {
                let filter = CampaignFilter::from(query);
                if filter == CampaignFilter::default() {
                    invalid.add("filter", "must name at least one field; name campaigns by campaign_ids to change all of them");
                }
                Some(Which::Filtered(filter))
            }
            _ => {
                invalid.add("campaign_ids", "give either campaign_ids or filter");
                None
            }
        };
        let deed = match (self.change, self.transition) {
            (Some(change), None) if change.is_empty() => {
                invalid.add("change", "must name at least one field");
                None
            }
            (Some(change), None) => Some(Deed::Change(change)),
            (None, Some(to)) => Some(Deed::Move(to)),
            _ => {
                invalid.add("change", "give either change or transition");
                None
            }
        };
        if self.versions.len() > MAX_CAMPAIGNS {
            invalid.add("versions", format!("must have at most {MAX_CAMPAIGNS} entries"));
        }
        invalid.into_result()?;
        let (Some(campaigns), Some(deed)) = (campaigns, deed) else { return Err(Problem::internal("a checked request is incomplete")) };
        let change = Change::of(Action::Bulk).because(self.reason.as_deref());
        Ok(Job { campaigns, deed, change, dry_run: self.dry_run, versions: self.versions, on_error: self.on_error })
    }
}

/// Changes or moves many campaigns. A refusal of one is an outcome and not an error: see `is_kept`.
#[utoipa::path(post, path = "/v1/campaigns/bulk", tag = "campaigns", request_body = BulkBody, responses((status = 200, body = BulkOutcome, description = "What became of each")))]
pub async fn change_campaigns(state: Data<State>, caller: Caller, body: JsonBody<BulkBody>) -> Result<Json<BulkOutcome>, Problem> {
    caller.require(Role::may_plan)?;
    let (scope, now, job) = (caller.scope(), state.clock.now(), body.0.check()?);
    Ok(Json(state.storage.scoped(&scope).transaction(move |conn| run(conn, &scope, &job, now)).await?))
}

/// Stands for "roll back, nothing failed".
const UNDO: &str = "bulk_undone";

fn run(conn: &mut Connection, scope: &Scope, job: &Job, now: DateTime<Utc>) -> Result<BulkOutcome, StorageError> {
    let rows = chosen(conn, scope, &job.campaigns)?;
    let mut outcomes = Vec::with_capacity(rows.len());
    let done = store::transaction(conn, |conn| {
        for (campaign_id, row) in rows {
            outcomes.push(one(conn, scope, job, campaign_id, row, now)?);
        }
        let refuses = job.on_error == OnError::Abort && outcomes.iter().any(|one| one.outcome == REFUSED);
        if job.dry_run || refuses { Err(StorageError::conflict(UNDO, "nothing is kept")) } else { Ok(()) }
    });
    let is_kept = match done {
        Ok(()) => true,
        Err(StorageError::Conflict { code: UNDO, .. }) => false,
        Err(error) => return Err(error),
    };
    let count = |word: &str| outcomes.iter().filter(|one| one.outcome == word).count();
    Ok(BulkOutcome { is_kept, changed: count(CHANGED), unchanged: count(UNCHANGED), refused: count(REFUSED), outcomes })
}

const CHANGED: &str = "changed";
const UNCHANGED: &str = "unchanged";
const REFUSED: &str = "refused";

/// An id that was asked for, with its row.
type Chosen = (String, Result<Campaign, Refusal>);

/// The campaigns asked for, in the order asked for; an id that means nothing (or several campaigns) to the caller comes without a row.
fn chosen(conn: &mut Connection, scope: &Scope, which: &Which) -> Result<Vec<Chosen>, StorageError> {
    match which {
        Which::Filtered(filter) => {
            let limit = i64::try_from(MAX_CAMPAIGNS).unwrap_or(500);
            let slice = stored::list(conn, scope, filter, &Page::first(limit))?;
            if slice.next.is_some() {
                return Err(Invalid::one("filter", format!("shows more than {MAX_CAMPAIGNS} campaigns; narrow it")).into());
            }
            Ok(slice.rows.into_iter().map(|row| (row.campaign_id.clone(), Ok(row))).collect())
        }
        Which::Named(ids) => {
            let borrowed: Vec<&str> = ids.iter().map(String::as_str).collect();
            let mut found: HashMap<String, Vec<Campaign>> = HashMap::new();
            for row in stored::find_many(conn, scope, &borrowed)? {
                found.entry(row.campaign_id.clone()).or_default().push(row);
            }
            let pick = |id: &String| {
                let mut rows = found.remove(id).unwrap_or_default();
                let row = match (rows.pop(), rows.is_empty()) {
                    (Some(row), true) => Ok(row),
                    (Some(_), false) => Err(StorageError::conflict(
                        "conflict",
                        format!("several tenants have a campaign {id:?}; ask with a key of one tenant"),
                    )
                    .into()),
                    (None, _) => Err(StorageError::not_found("campaign", id).into()),
                };
                (id.clone(), row)
            };
            Ok(ids.iter().map(pick).collect())
        }
    }
}

fn one(
    conn: &mut Connection,
    scope: &Scope,
    job: &Job,
    campaign_id: String,
    row: Result<Campaign, Refusal>,
    now: DateTime<Utc>,
) -> Result<Outcome, StorageError> {
    let before = row.as_ref().ok().map(|row| (row.version, row.status.clone()));
    // A savepoint each: what refuses half-way leaves nothing behind.
    let mut refusal = None;
    let after = store::transaction(conn, |conn| {
        row.and_then(|row| do_one(conn, scope, job, &row, now)).map_err(|refused| {
            refusal = Some(refused);
            StorageError::conflict(UNDO, "refused")
        })
    });
    let outcome = match (after, refusal) {
        (Ok(after), _) => {
            let is_changed = before.is_none_or(|(version, _)| version != after.version);
            let (version, status) = (Some(after.version), Some(after.status));
            let word = if is_changed { CHANGED } else { UNCHANGED };
            Outcome { campaign_id, outcome: word, version, status, code: None, detail: None, errors: Vec::new() }
        }
        (Err(_), Some(refused)) => {
            let (code, detail, errors) = refused.outcome()?;
            let (version, status) = before.unzip();
            Outcome { campaign_id, outcome: REFUSED, version, status, code: Some(code), detail: Some(detail), errors }
        }
        (Err(error), None) => return Err(error),
    };
    Ok(outcome)
}

fn do_one(conn: &mut Connection, scope: &Scope, job: &Job, row: &Campaign, now: DateTime<Utc>) -> Result<Campaign, Refusal> {
    if job.versions.get(&row.campaign_id).is_some_and(|version| *version != row.version) {
        return Err(Refusal::Version { present: row.version });
    }
    match &job.deed {
        Deed::Move(to) => life::transition(conn, scope, row, *to, &job.change, now),
        Deed::Change(change) => {
            let new = laid_over(row, change.clone())?;
            let new = with_tenant(conn, scope, &new)?;
            life::edit(conn, scope, row, new, &job.change, now)
        }
    }
}
