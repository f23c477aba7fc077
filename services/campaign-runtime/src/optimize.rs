//! The budget optimiser over HTTP: the problem and the answer of `endcap optimize`.

use actix_web::web::{Data, Json};
use domain::role::Role;
use planning::optimizer::problem::Problem as BudgetProblem;
use planning::optimizer::{Solution, solve};
use web::caller::Caller;
use web::json::{BodyLimit, JsonBody};
use web::problem::Problem;

use crate::state::State;

/// Most lines (arms) of one request; `endcap optimize` takes more.
pub const MAX_LINES: usize = 10_000;
/// What the largest request needs with every field of every line and a place in many groups.
pub const MAX_BODY_BYTES: usize = 16 << 20;

/// The largest body of this route: other JSON bodies are smaller by far, unless the installation says otherwise.
#[must_use]
pub fn body_limit(state: &State) -> BodyLimit {
    BodyLimit(MAX_BODY_BYTES.max(state.settings.limits.max_body_bytes))
}

/// Distributes a budget over arms with saturating response curves. An answer is proven optimal, best known with an upper bound, or
/// infeasible with the constraints that cannot hold together. Work is bounded: `unproven` and `relaxation_reason` say what the bound
/// left open. At most 10,000 arms, 200 groups and 200 limits, in a body of at most 16 MiB.
#[utoipa::path(post, path = "/v1/optimize", tag = "plans", request_body = Object,
    responses((status = 200, body = Object, description = "`{status, objective, upper_bound, allocation, binding, conflict, gap, constraints, marginal_roas, closed, relaxation, relaxation_reason, unproven, present}`"),
        (status = 413, description = "The body has more than 16 MiB"),
        (status = 422, description = "A field is wrong, or there are more arms, groups or limits than accepted")))]
pub async fn optimize(state: Data<State>, caller: Caller, problem: JsonBody<BudgetProblem>) -> Result<Json<Solution>, Problem> {
    caller.require(Role::may_plan)?;
    if problem.0.arms.len() > MAX_LINES {
        return Err(Problem::invalid_field("arms", format!("must hold at most {MAX_LINES} arms, not {}", problem.0.arms.len())));
    }
    let solution = state.solve(&caller.scope(), move || solve(&problem.0)).await?;
    solution.map(Json).map_err(|wrong| Problem::invalid_field(wrong.path, wrong.message))
}
