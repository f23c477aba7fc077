//! Every route of the service, on one screen. Health, version, metrics and the API document are added by `web::server`.

use actix_web::guard;
use actix_web::middleware::from_fn;
use actix_web::web::{self as route, Data, ServiceConfig};
use utoipa::OpenApi;

use crate::state::State;
use crate::{
    accounts, another_try, assignments, auth_absent, check_figures, cross_origin, golden, history, integrity, judgments, leaderboard, live,
    pages, quality, raters, reviews, session, tasks,
};

/// The public listener.
pub fn configure_public(routes: &mut ServiceConfig, state: &State) {
    let hub = state.hub.clone();
    routes
        .app_data(Data::new(state.clone()))
        .app_data(state.access.clone())
        .service(
            route::scope("/auth/v1")
                .wrap(from_fn(cross_origin::allow))
                .route("/signup", route::post().to(accounts::sign_up))
                .route("/token", route::post().to(accounts::issue_token))
                .route("/recover", route::post().to(accounts::recover))
                .route("/logout", route::post().to(accounts::logout))
                .route("/user", route::get().to(accounts::get_user))
                .route("/user", route::put().to(accounts::update_user))
                .route("/health", route::get().to(accounts::auth_health))
                .default_service(route::to(auth_absent::refuse)),
        )
        .route("/session", route::post().to(session::start_session))
        .route("/session", route::delete().to(session::end_session))
        .route("/session/refresh", route::post().to(session::refresh_session))
        .route("/session/end", route::post().to(session::end_session))
        .route("/v1/tasks", route::post().to(tasks::create_tasks))
        .route("/v1/tasks", route::get().to(tasks::list_tasks))
        .route("/v1/tasks/{task_id}", route::get().to(tasks::get_task))
        .route("/v1/assignments/next", route::post().to(assignments::next_assignment))
        .route("/v1/assignments/{assignment_id}/heartbeat", route::post().to(assignments::extend_assignment))
        .route("/v1/assignments/{assignment_id}/release", route::post().to(assignments::release_assignment))
        .route("/v1/assignments/{assignment_id}/skip", route::post().to(assignments::skip_assignment))
        .route("/v1/assignments/{assignment_id}/draft", route::put().to(assignments::save_draft))
        .route("/v1/assignments/{assignment_id}/judgment", route::post().to(judgments::submit_judgment))
        .route("/v1/judgments", route::get().to(history::list_own_judgments))
        .route("/v1/judgments/{judgment_id}/undo", route::post().to(judgments::undo_judgment))
        .route("/v1/raters/me", route::get().to(raters::get_own_rater))
        .route("/v1/raters/me", route::patch().to(raters::update_own_rater))
        .route("/v1/raters/me/answers", route::get().to(reviews::answers::list_answers))
        .route("/v1/raters/{rater_id}/stats", route::get().to(raters::get_rater_stats))
        .route("/v1/raters/{rater_id}/qualifications/{task_type}/reset", route::post().to(another_try::reset_qualification))
        .route("/v1/leaderboard", route::get().to(leaderboard::get_leaderboard))
        .route("/v1/reviews/next", route::get().to(reviews::next_review))
        .route("/v1/reviews", route::get().to(reviews::queue::list_reviews))
        .route("/v1/reviews/{task_id}", route::get().to(reviews::open_review))
        .route("/v1/reviews/{task_id}", route::post().to(reviews::review_task))
        .route("/v1/reviews/{task_id}/blind", route::post().to(reviews::record_blind))
        .route("/v1/golden", route::post().to(golden::create_golden))
        .route("/v1/golden", route::get().to(golden::list_golden))
        .route("/v1/golden/{task_id}/promote", route::post().to(golden::promote_golden))
        .route("/v1/golden/{task_id}/retire", route::post().to(golden::retire_golden))
        .route("/v1/golden/{task_id}/keep", route::post().to(golden::questions::keep_golden))
        .route("/v1/quality/errors", route::get().to(reviews::figures::get_errors))
        .route("/v1/quality/agreement", route::get().to(quality::get_agreement))
        .route("/v1/quality/checks", route::get().to(check_figures::get_checks))
        .route("/v1/quality/consensus/{task_id}", route::get().to(quality::get_consensus))
        .route("/v1/quality/raters", route::get().to(integrity::api::list_raters))
        .route("/v1/quality/actions", route::get().to(integrity::api::list_actions))
        .route("/v1/quality/actions", route::post().to(integrity::api::create_action))
        .route("/v1/quality/actions/{action_id}/reverse", route::post().to(integrity::api::reverse_action))
        .configure(pages::configure)
        .service(
            route::scope("")
                .guard(guard::fn_guard(|context| {
                    let path = context.head().uri.path();
                    path.starts_with("/realtime/") || path.starts_with("/socket/")
                }))
                .wrap(from_fn(live::look_up_key))
                .wrap(from_fn(cross_origin::allow))
                .configure(move |routes| realtime::http::configure(routes, hub)),
        );
}

/// The private listener, for our other services.
pub fn configure_internal(routes: &mut ServiceConfig, state: &State) {
    routes.app_data(Data::new(state.clone())).route(peers::tasks::PATH, route::post().to(tasks::create_task_internally));
}

/// The public API.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Endcap rater app", description = "Sign-in, rating tasks, judgments, review, quality and realtime events."),
    paths(
        accounts::sign_up,
        accounts::issue_token,
        accounts::recover,
        accounts::logout,
        accounts::get_user,
        accounts::update_user,
        accounts::auth_health,
        session::start_session,
        session::refresh_session,
        session::end_session,
        tasks::create_tasks,
        tasks::list_tasks,
        tasks::get_task,
        assignments::next_assignment,
        assignments::extend_assignment,
        assignments::release_assignment,
        assignments::skip_assignment,
        assignments::save_draft,
        judgments::submit_judgment,
        judgments::undo_judgment,
        history::list_own_judgments,
        raters::get_own_rater,
        raters::update_own_rater,
        reviews::answers::list_answers,
        raters::get_rater_stats,
        another_try::reset_qualification,
        leaderboard::get_leaderboard,
        reviews::next_review,
        reviews::queue::list_reviews,
        reviews::open_review,
        reviews::record_blind,
        reviews::review_task,
        golden::create_golden,
        golden::list_golden,
        golden::promote_golden,
        golden::retire_golden,
        golden::questions::keep_golden,
        reviews::figures::get_errors,
        quality::get_agreement,
        check_figures::get_checks,
        quality::get_consensus,
        integrity::api::list_raters,
        integrity::api::list_actions,
        integrity::api::create_action,
        integrity::api::reverse_action,
    )
)]
struct Document;
