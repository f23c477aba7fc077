//! Experiments: what was done is compared with what would have been without it. A definition is written as a draft, frozen when the
//! experiment starts, and read when its plan allows; what was found calibrates the response curve of its campaign.

pub mod assignments;
pub mod conclusion;
pub mod definition;
pub mod observations;
pub mod power;
pub mod readout;
pub mod results;
pub mod transitions;

use actix_web::http::header::{ETAG, IF_MATCH};
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::invalid::Invalid;
use domain::role::Role;
use domain::scope::Scope;
use planning::experiments::ExperimentError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use storage::campaigns;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::experiments::{self as stored, Experiment, ExperimentFilter, NewExperiment};
use storage::page::Page;
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::input::{check_text, check_texts, id_beside, lay_over};
use crate::state::State;
use definition::Definition;
use transitions::{ExperimentStatus, status_of};

/// An experiment as it is written; `status` is changed by transitions.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentBody {
    /// Public id, unique within its tenant; made up when absent. Assignments depend on it.
    pub experiment_id: Option<String>,
    /// Whose it is: that of the campaign, else the caller's tenant.
    pub tenant_id: Option<String>,
    /// The campaign whose response it calibrates.
    pub campaign_id: Option<String>,
    /// Name.
    pub name: String,
    /// What is expected, in words.
    pub hypothesis: Option<String>,
    /// What is compared, with whom, for how long; frozen once the experiment runs.
    pub definition: Definition,
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExperimentQuery {
    /// Only those of a tenant.
    pub tenant_id: Option<String>,
    /// Only those about a campaign.
    pub campaign_id: Option<String>,
    /// Only those in a state.
    pub status: Option<ExperimentStatus>,
    /// Only those of a design: `ab`, `geo` or `switchback`.
    pub design: Option<String>,
}

impl ExperimentBody {
    fn check(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        check_text(&mut invalid, "name", &self.name, 200);
        check_texts(&mut invalid, &[("hypothesis", self.hypothesis.as_ref(), 10_000)]);
        invalid.merge(self.definition.check());
        invalid.into_result()
    }

    fn of(row: &Experiment, campaign_id: Option<String>) -> Result<Self, Problem> {
        Ok(Self {
            experiment_id: Some(row.experiment_id.clone()),
            tenant_id: Some(row.tenant_id.clone()),
            campaign_id,
            name: row.name.clone(),
            hypothesis: row.hypothesis.clone(),
            definition: definition_of(row)?,
        })
    }
}

/// The stored definition.
///
/// # Errors
/// 500 when what is stored cannot be read.
pub fn definition_of(row: &Experiment) -> Result<Definition, Problem> {
    serde_json::from_value(row.definition.0.clone()).map_err(Problem::internal)
}

/// What the maths say, as a refusal.
#[must_use]
pub fn refuse(error: ExperimentError) -> Problem {
    match error {
        ExperimentError::Invalid { field, message } => Problem::invalid_field(field, message),
        ExperimentError::NotEnough(why) => Problem::conflict("not_enough_data", format!("{why}.")),
    }
}

/// The campaign an experiment is about: its primary key and tenant.
fn campaign_of(conn: &mut Connection, scope: &Scope, campaign_id: Option<&str>) -> Result<Option<campaigns::Campaign>, StorageError> {
    let Some(campaign_id) = campaign_id else { return Ok(None) };
    match campaigns::find(conn, scope, campaign_id) {
        Ok(found) => Ok(Some(found)),
        Err(StorageError::NotFound { .. }) => {
            Err(Invalid::one("campaign_id", format!("there is no campaign {campaign_id:?} that you may see")).into())
        }
        Err(error) => Err(error),
    }
}

fn new_row(conn: &mut Connection, scope: &Scope, body: &ExperimentBody, id: &str, salt: &str) -> Result<NewExperiment, StorageError> {
    let campaign = campaign_of(conn, scope, body.campaign_id.as_deref())?;
    let own = scope.tenant().map(str::to_owned);
    let of_campaign = campaign.as_ref().map(|campaign| campaign.tenant_id.clone());
    let tenant_id = of_campaign.clone().or(body.tenant_id.clone()).or(own);
    let Some(tenant_id) = tenant_id else {
        return Err(Invalid::one("tenant_id", "is required: you see all tenants, and no campaign is named").into());
    };
    domain::id::check("tenant_id", &tenant_id)?;
    if !scope.may_see(Some(&tenant_id)) || body.tenant_id.as_ref().is_some_and(|stated| *stated != tenant_id) {
        return Err(Invalid::one("tenant_id", "is not your tenant, or not that of the campaign; leave it out").into());
    }
    Ok(NewExperiment {
        experiment_id: id.to_owned(),
        tenant_id,
        campaign: campaign.map(|campaign| campaign.id),
        name: body.name.clone(),
        hypothesis: body.hypothesis.clone(),
        design: body.definition.design.word().to_owned(),
        status: ExperimentStatus::Draft.to_string(),
        salt: salt.to_owned(),
        definition: json!(body.definition).into(),
        definition_hash: None,
        started_at: None,
        concluded_at: None,
        result: None,
        inputs_hash: None,
        status_reason: None,
        created_by: scope.actor().chars().take(100).collect(),
    })
}

/// An experiment as it is shown; its result has a path of its own.
fn show(row: &Experiment, campaign_id: Option<&str>) -> Value {
    let mut shown = json!(row);
    if let Value::Object(fields) = &mut shown {
        fields.remove("result");
        fields.insert("read_at".to_owned(), json!(results::reading_of(row).map(|(at, _)| at)));
        fields.insert("campaign_id".to_owned(), json!(campaign_id));
    }
    shown
}

/// [`show`], with the campaign looked up.
///
/// # Errors
/// As any query.
pub fn shown(conn: &mut Connection, scope: &Scope, row: &Experiment) -> Result<Value, StorageError> {
    let campaign = row.campaign.map(|id| campaigns::find_by_id(conn, scope, id)).transpose()?;
    Ok(show(row, campaign.as_ref().map(|campaign| campaign.campaign_id.as_str())))
}

/// The row with its version as `ETag`.
#[must_use]
pub fn with_etag(version: i32, shown: Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((ETAG, format!("\"{version}\""))).json(shown)
}

/// Refuses a change of another version than the one named in `If-Match`.
///
/// # Errors
/// 412 with the present version.
pub fn check_version(request: &HttpRequest, row: &Experiment) -> Result<(), Problem> {
    let Some(wanted) = request.headers().get(IF_MATCH).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    let present = format!("\"{}\"", row.version);
    if wanted == "*" || wanted.split(',').any(|one| one.trim() == present) {
        return Ok(());
    }
    Err(Problem::new("precondition_failed", format!("The experiment is at version {present} now.")))
}

/// Stores an experiment as a draft.
#[utoipa::path(post, path = "/v1/experiments", tag = "experiments", params(("Idempotency-Key" = Option<String>, Header)), request_body = ExperimentBody, responses((status = 201, body = crate::rows::ExperimentRow, description = "The stored row, with its version as `ETag`")))]
pub async fn create_experiment(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    body: JsonBytes<ExperimentBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let request = key.of(&caller, &body.bytes);
    body.value.check()?;
    let mut invalid = Invalid::default();
    let id = id_beside(&mut invalid, "experiment_id", body.value.experiment_id.clone(), "exp", &["power"]);
    invalid.into_result()?;
    let (scope, now, body, salt) = (caller.scope(), state.clock.now(), body.value, domain::id::new("slt"));
    let storage = state.storage.scoped(&scope);
    let answer = repeat::made(&storage, request, now, move |conn| {
        let new = new_row(conn, &scope, &body, &id, &salt)?;
        let row = stored::insert(conn, &scope, &new, now)?;
        Ok(Answer::created(shown(conn, &scope, &row)?))
    });
    let answer = answer.await?;
    let version = answer.body.get("version").and_then(Value::as_i64).unwrap_or_default();
    Ok(HttpResponse::build(answer.status).insert_header((ETAG, format!("\"{version}\""))).json(answer.body))
}

/// Experiments, newest first.
#[utoipa::path(get, path = "/v1/experiments", tag = "experiments", params(ExperimentQuery, web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::ExperimentRow>, description = "`{data, next_cursor}`")))]
pub async fn list_experiments(
    state: Data<State>,
    caller: Caller,
    query: ListQuery<ExperimentQuery>,
) -> Result<Json<Slice<Value>>, Problem> {
    let ExperimentQuery { tenant_id, campaign_id, status, design } = query.filter.clone();
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let slice = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let campaign = match campaign_id {
                None => None,
                // What the caller may not see has no experiments either: no row has the key 0.
                Some(id) => Some(campaigns::find_many(conn, &scope, &[&id])?.first().map_or(0, |campaign| campaign.id)),
            };
            let filter = ExperimentFilter { tenant_id, campaign, status: status.map(|word| word.to_string()), design };
            let slice = stored::list(conn, &scope, &filter, &page)?;
            let next = slice.next;
            let campaigns = stored::campaign_ids(conn, &scope, &slice.rows)?;
            let campaign_of = |row: &Experiment| row.campaign.and_then(|id| campaigns.get(&id)).map(String::as_str);
            let rows = slice.rows.iter().map(|row| show(row, campaign_of(row))).collect();
            Ok(storage::page::Slice { rows, next })
        })
        .await?;
    Ok(Json(Slice::from(slice)))
}

/// One experiment, with its version as `ETag`.
#[utoipa::path(get, path = "/v1/experiments/{experiment_id}", tag = "experiments", params(("experiment_id" = String, Path)), responses((status = 200, body = crate::rows::ExperimentRow, description = "The row")))]
pub async fn get_experiment(state: Data<State>, caller: Caller, id: Path<String>) -> Result<HttpResponse, Problem> {
    let scope = caller.scope();
    let (version, shown) = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let row = stored::find(conn, &scope, &id)?;
            Ok((row.version, shown(conn, &scope, &row)?))
        })
        .await?;
    Ok(with_etag(version, shown))
}

/// Changes the fields named. Definition and campaign are frozen once the experiment runs; name and hypothesis until it is archived.
#[utoipa::path(patch, path = "/v1/experiments/{experiment_id}", tag = "experiments", params(("experiment_id" = String, Path)), request_body = Object, responses((status = 200, body = crate::rows::ExperimentRow, description = "The row"), (status = 409, description = "Frozen")))]
pub async fn update_experiment(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
    change: JsonBody<Map<String, Value>>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let (scope, now) = (caller.scope(), state.clock.now());
    let reader = scope.clone();
    let (row, campaign_id) = state
        .storage
        .scoped(&reader)
        .read(move |conn| {
            let row = stored::find(conn, &reader, &id)?;
            let campaign = row.campaign.map(|id| campaigns::find_by_id(conn, &reader, id)).transpose()?;
            Ok((row, campaign.map(|campaign| campaign.campaign_id)))
        })
        .await?;
    check_version(&request, &row)?;
    let before = ExperimentBody::of(&row, campaign_id)?;
    let after: ExperimentBody = lay_over(&before, change.0, &["experiment_id", "tenant_id"])?;
    after.check()?;
    let status = status_of(&row)?;
    let is_frozen = status != ExperimentStatus::Draft;
    if status == ExperimentStatus::Archived {
        return Err(Problem::conflict("conflict", "An archived experiment cannot be changed."));
    }
    if is_frozen && (after.definition != before.definition || after.campaign_id != before.campaign_id) {
        let why = "The definition of an experiment is frozen once it runs: abandon it and make another one.";
        return Err(Problem::conflict("conflict", why));
    }
    let (version, shown) = state
        .storage
        .scoped(&scope)
        .transaction(move |conn| {
            let written = new_row(conn, &scope, &after, &row.experiment_id, &row.salt)?;
            let new = match is_frozen {
                true => NewExperiment { name: written.name, hypothesis: written.hypothesis, ..row.clone().into() },
                false if written.tenant_id != row.tenant_id => {
                    return Err(Invalid::one("campaign_id", "is a campaign of another tenant").into());
                }
                false => written,
            };
            let updated = stored::update(conn, &scope, &row, &new, now)?;
            Ok((updated.version, shown(conn, &scope, &updated)?))
        })
        .await?;
    Ok(with_etag(version, shown))
}

/// Archives an experiment; its data stay. 409 while it runs: conclude or abandon it first.
#[utoipa::path(delete, path = "/v1/experiments/{experiment_id}", tag = "experiments", params(("experiment_id" = String, Path)), responses((status = 204, description = "Archived"), (status = 409, description = "Not from its present state")))]
pub async fn delete_experiment(state: Data<State>, caller: Caller, id: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let (scope, now) = (caller.scope(), state.clock.now());
    let reader = scope.clone();
    let row = state.storage.scoped(&reader).read(move |conn| stored::find(conn, &reader, &id)).await?;
    if status_of(&row)? != ExperimentStatus::Archived {
        transitions::check_move(&row, ExperimentStatus::Archived)?;
        let new = NewExperiment { status: ExperimentStatus::Archived.to_string(), ..row.clone().into() };
        state.storage.scoped(&scope).transaction(move |conn| stored::update(conn, &scope, &row, &new, now)).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}
