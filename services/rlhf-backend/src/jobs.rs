//! Jobs as callers see them.

use actix_web::web::{Data, Json, Path};
use storage::jobs::{self as stored, Job};
use web::caller::Caller;
use web::problem::Problem;

use crate::feedback::may_read;
use crate::state::State;

/// One job with its progress.
#[utoipa::path(get, path = "/v1/jobs/{job_id}", tag = "jobs", params(("job_id" = String, Path)),
    responses((status = 200, body = crate::rows::JobRow, description = "State, progress 0 to 1, message, result or error"), (status = 404, description = "Not there for this caller")))]
pub async fn get_job(state: Data<State>, caller: Caller, job_id: Path<String>) -> Result<Json<Job>, Problem> {
    caller.require(may_read)?;
    let scope = caller.scope();
    Ok(Json(state.storage.scoped(&scope).read(move |conn| stored::find(conn, &scope, &job_id)).await?))
}
