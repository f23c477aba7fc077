//! The pages of the rater app: what people see on port 8002. Drawn on the server; one script each, from our own origin.
//!
//! A page asks storage what it shows first; its script then talks to the same API that programs use.

pub mod accounts;
pub mod board;
pub mod calibration;
pub mod figures;
pub mod files;
pub mod history;
pub mod home;
pub mod leaderboard;
pub mod login;
pub mod own;
pub mod rate;
pub mod recovery;
pub mod review;
pub mod sequence;
pub mod stats;

use actix_web::web::{ServiceConfig, get, post, resource};

/// Every page and static file of this service.
pub fn configure(routes: &mut ServiceConfig) {
    web::layout::serve_files(routes, &files::FILES);
    routes
        .service(resource("/").route(get().to(home::home)))
        .service(resource("/login").route(get().to(login::login)))
        .service(resource("/login/create").route(post().to(login::create_account)))
        .service(resource("/forgotten-password").route(get().to(recovery::forgotten_password)).route(post().to(recovery::send_mail)))
        .service(resource(crate::recovery::PAGE).route(get().to(recovery::new_password)))
        .service(resource("/accounts").route(get().to(accounts::accounts)))
        .service(resource("/accounts/{account_id}").route(get().to(accounts::account)))
        .service(resource("/accounts/{account_id}/confirm").route(post().to(accounts::confirm_account)))
        .service(resource("/accounts/{account_id}/refuse").route(post().to(accounts::refuse_account)))
        .service(resource("/calibration").route(get().to(calibration::calibration)))
        .service(resource("/rate").route(get().to(rate::rate)))
        .service(resource("/history").route(get().to(history::history)))
        .service(resource("/leaderboard").route(get().to(leaderboard::leaderboard)))
        .service(resource("/review").route(get().to(review::review)))
        .service(resource("/stats").route(get().to(stats::stats)))
        .service(resource("/stats/raters/{rater_id}/act").route(post().to(stats::ladder::act_on_rater)))
        .service(resource("/stats/raters/{rater_id}/retry").route(post().to(stats::ladder::retry_of_rater)))
        .service(resource("/stats/actions/{action_id}/reverse").route(post().to(stats::ladder::reverse_on_rater)))
        .service(resource("/stats/{table}.csv").route(get().to(stats::table_as_csv)));
}
