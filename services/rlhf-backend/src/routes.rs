//! Every route on one screen.

use actix_web::web::{Data, ServiceConfig, delete, get, head, patch, post, put};
use utoipa::OpenApi;

use crate::state::State;
use crate::{
    adapters, artifacts, audit, exports, feedback, internal, jobs, key_figures, pages, reward_models, scoring, selection, webhooks,
};

/// Routes for people and programs.
pub fn configure_public(routes: &mut ServiceConfig, state: &State) {
    routes
        .app_data(Data::new(state.clone()))
        .app_data(state.access.clone())
        .route("/v1/feedback", post().to(feedback::create_feedback))
        .route("/v1/feedback", get().to(feedback::reading::list_feedback))
        .route("/v1/feedback/batch", post().to(feedback::create_feedback_batch))
        .route("/v1/feedback/stats", get().to(feedback::reading::get_feedback_statistics))
        .route("/v1/feedback/tasks", get().to(feedback::rules::list_feedback_tasks))
        .route("/v1/feedback/rules/{brand_id}", get().to(feedback::rules::get_feedback_rule))
        .route("/v1/feedback/rules/{brand_id}", put().to(feedback::rules::set_feedback_rule))
        .route("/v1/feedback/{feedback_id}", get().to(feedback::reading::get_feedback))
        .route("/v1/exports/{profile}", get().to(exports::export_dataset))
        .route("/v1/exports/{profile}/provenance", get().to(exports::export_provenance))
        .route("/v1/exports/{profile}/manifest", get().to(exports::get_export_manifest))
        .route("/v1/artifacts/{bucket}", get().to(artifacts::list_artifacts))
        .route("/v1/artifacts/{bucket}/{path:.*}/sign", post().to(artifacts::sign_artifact))
        .route("/v1/artifacts/{bucket}/{path:.*}", put().to(artifacts::put_artifact))
        .route("/v1/artifacts/{bucket}/{path:.*}", get().to(artifacts::get_artifact))
        .route("/v1/artifacts/{bucket}/{path:.*}", head().to(artifacts::get_artifact))
        .route("/v1/artifacts/{bucket}/{path:.*}", delete().to(artifacts::delete_artifact))
        .route("/v1/adapters", post().to(adapters::register_adapter))
        .route("/v1/adapters", get().to(adapters::list_adapters))
        .route("/v1/adapters/{adapter_id}", get().to(adapters::get_adapter))
        .route("/v1/adapters/{adapter_id}/versions/{version}", delete().to(adapters::remove_adapter_version))
        .route("/v1/reward-models/train", post().to(reward_models::train_reward_model))
        .route("/v1/reward-models", get().to(reward_models::list_reward_models))
        .route("/v1/reward-models/{model_id}", get().to(reward_models::get_reward_model))
        .route("/v1/reward-models/{model_id}/activate", post().to(reward_models::activate_reward_model))
        .route("/v1/reward-models/{model_id}/rollback", post().to(reward_models::rollback_reward_model))
        .route("/v1/reward-models/{model_id}/watch", get().to(reward_models::watch_reward_model))
        .route("/v1/reward-models/{model_id}/shadow", post().to(reward_models::begin_shadow))
        .route("/v1/reward-models/{model_id}/shadow", delete().to(reward_models::end_shadow))
        .route("/v1/active-learning", get().to(selection::get_active_learning))
        .route("/v1/active-learning/rounds", post().to(selection::choose_tasks))
        .route("/v1/audit-log", get().to(audit::list_audit_log))
        .route("/v1/jobs/{job_id}", get().to(jobs::get_job))
        .route("/v1/score", post().to(scoring::score_candidates))
        .route("/v1/rlhf-metrics", get().to(key_figures::list_rlhf_metrics))
        .route("/v1/rlhf-metrics/compute", post().to(key_figures::compute_rlhf_metrics))
        .route("/v1/rlhf-metrics/sources", get().to(key_figures::list_rlhf_metrics_sources))
        .route("/v1/webhooks", post().to(webhooks::create_webhook))
        .route("/v1/webhooks", get().to(webhooks::list_webhooks))
        .route("/v1/webhooks/{webhook_id}", get().to(webhooks::get_webhook))
        .route("/v1/webhooks/{webhook_id}", patch().to(webhooks::update_webhook))
        .route("/v1/webhooks/{webhook_id}", delete().to(webhooks::delete_webhook))
        .route("/v1/webhooks/{webhook_id}/rotate-secret", post().to(webhooks::rotate_webhook_secret))
        .route("/v1/webhooks/{webhook_id}/test", post().to(webhooks::test_webhook))
        .route("/v1/webhooks/{webhook_id}/replay", post().to(webhooks::log::replay_failed_webhook_deliveries))
        .route("/v1/webhook-event-types", get().to(webhooks::list_webhook_event_types))
        .route("/v1/webhook-deliveries", get().to(webhooks::log::list_webhook_deliveries))
        .route("/v1/webhook-deliveries/{delivery_id}", get().to(webhooks::log::get_webhook_delivery))
        .route("/v1/webhook-deliveries/{delivery_id}/replay", post().to(webhooks::log::replay_webhook_delivery))
        .route("/v1/webhook-deliveries/{delivery_id}/send-now", post().to(webhooks::log::send_webhook_delivery_now))
        .route("/", get().to(pages::brands::show_brands))
        .route("/feedback/{brand_id}", get().to(pages::feedback::show_feedback))
        .route("/dashboard", get().to(pages::dashboard::show_dashboard))
        .route("/key-figures/{figure}", get().to(pages::key_figures::show_figure))
        .route("/models", get().to(pages::models::show_models))
        .route("/models/{model_id}", get().to(pages::model_card::show_model_card))
        .route("/adapters", get().to(pages::adapters::show_adapters))
        .route("/active-learning", get().to(pages::selection::show_active_learning))
        .route("/webhooks", get().to(pages::webhooks::show_webhooks))
        .route("/webhooks/deliveries", get().to(pages::deliveries::show_deliveries))
        .route("/webhooks/deliveries/{delivery_id}", get().to(pages::deliveries::show_delivery))
        .route("/exports", get().to(pages::exports::show_exports));
    web::layout::serve_files(routes, &pages::FILES);
}

/// Routes for the other services.
pub fn configure_internal(routes: &mut ServiceConfig, state: &State) {
    routes
        .app_data(Data::new(state.clone()))
        .route(peers::score::PATH, post().to(internal::score))
        .route(peers::judgments::PATH, post().to(internal::take_judgments))
        .route(peers::feedback::PATH, post().to(feedback::taking::take_feedback));
}

/// The public API.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Endcap RLHF backend", description = "Feedback, dataset exports, reward models and key figures."),
    paths(
        feedback::create_feedback,
        feedback::create_feedback_batch,
        feedback::reading::list_feedback,
        feedback::reading::get_feedback,
        feedback::reading::get_feedback_statistics,
        feedback::rules::get_feedback_rule,
        feedback::rules::set_feedback_rule,
        feedback::rules::list_feedback_tasks,
        audit::list_audit_log,
        exports::export_dataset,
        exports::export_provenance,
        exports::get_export_manifest,
        artifacts::put_artifact,
        artifacts::get_artifact,
        artifacts::delete_artifact,
        artifacts::list_artifacts,
        artifacts::sign_artifact,
        adapters::register_adapter,
        adapters::list_adapters,
        adapters::get_adapter,
        adapters::remove_adapter_version,
        reward_models::train_reward_model,
        reward_models::list_reward_models,
        reward_models::get_reward_model,
        reward_models::activate_reward_model,
        reward_models::rollback_reward_model,
        reward_models::watch_reward_model,
        reward_models::begin_shadow,
        reward_models::end_shadow,
        selection::get_active_learning,
        selection::choose_tasks,
        jobs::get_job,
        scoring::score_candidates,
        key_figures::list_rlhf_metrics,
        key_figures::compute_rlhf_metrics,
        key_figures::list_rlhf_metrics_sources,
        webhooks::create_webhook,
        webhooks::list_webhooks,
        webhooks::get_webhook,
        webhooks::update_webhook,
        webhooks::delete_webhook,
        webhooks::rotate_webhook_secret,
        webhooks::test_webhook,
        webhooks::list_webhook_event_types,
        webhooks::log::list_webhook_deliveries,
        webhooks::log::get_webhook_delivery,
        webhooks::log::replay_webhook_delivery,
        webhooks::log::send_webhook_delivery_now,
        webhooks::log::replay_failed_webhook_deliveries,
    )
)]
struct Api;
