//! The budget optimiser over HTTP: the problem and the answer of `endcap optimize`.

use actix_web::web::{Data, Json};
use domain::role::Role;
use planning::optimizer::problem::{MAX_ARMS, Problem as BudgetProblem};
use planning::optimizer::{Solution, solve};
use web::caller::Caller;
use web::json::JsonBody;
use web::problem::Problem;

use crate::state::State;

/// Distributes a budget over arms with saturating response curves. An answer is proven optimal, best known with an upper bound, or
/// infeasible with the constraints that cannot hold together.
#[utoipa::path(post, path = "/v1/optimize", tag = "plans", request_body = Object, responses((status = 200, body = Object, description = "`{status, objective, upper_bound, allocation, binding, conflict, gap, constraints, marginal_roas, closed, relaxation, present}`")))]
pub async fn optimize(state: Data<State>, caller: Caller, problem: JsonBody<BudgetProblem>) -> Result<Json<Solution>, Problem> {
    caller.require(Role::may_plan)?;
    if problem.0.arms.len() > MAX_ARMS {
        return Err(Problem::invalid_field("arms", format!("must hold at most {MAX_ARMS} arms")));
    }
    let solution = state.solve(&caller.scope(), move || solve(&problem.0)).await?;
    solution.map(Json).map_err(|wrong| Problem::invalid_field(wrong.path, wrong.message))
}
