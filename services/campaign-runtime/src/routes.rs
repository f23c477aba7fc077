//! Every route of the service on one screen.

use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig, delete, get, patch, post, put, resource};
use utoipa::OpenApi;

use crate::state::State;
use crate::{
    analytics, api_keys, brands, bulk, campaigns, clones, creatives, experiments, exports, imports, optimize, pacing, pages, performance,
    plans, reflections, retailer_keys,
};
use crate::{retailers, segments, skus, transitions};

/// The public API.
#[derive(OpenApi)]
#[openapi(
    info(title = "Endcap campaign runtime", description = "Catalog, campaigns, performance, analytics and plans."),
    paths(
        api_keys::create_api_key,
        api_keys::list_api_keys,
        api_keys::get_api_key,
        api_keys::revoke_api_key,
        retailers::create_retailer,
        retailers::list_retailers,
        retailers::get_retailer,
        retailers::update_retailer,
        retailers::delete_retailer,
        brands::create_brand,
        brands::list_brands,
        brands::get_brand,
        brands::update_brand,
        brands::delete_brand,
        skus::create_sku,
        skus::list_skus,
        skus::get_sku,
        skus::update_sku,
        skus::delete_sku,
        segments::create_audience_segment,
        segments::list_audience_segments,
        segments::get_audience_segment,
        segments::update_audience_segment,
        segments::delete_audience_segment,
        campaigns::create_campaign,
        campaigns::list_campaigns,
        campaigns::get_campaign,
        campaigns::update_campaign,
        campaigns::delete_campaign,
        transitions::transition_campaign,
        transitions::list_campaign_history,
        clones::clone_campaign,
        creatives::check_creative,
        creatives::create_creative,
        creatives::list_creatives,
        creatives::get_creative,
        creatives::update_creative,
        creatives::delete_creative,
        retailer_keys::set_retailer_key,
        retailer_keys::delete_retailer_key,
        bulk::change_campaigns,
        performance::record_performance,
        performance::rows::list_performance,
        performance::rows::list_performance_revisions,
        analytics::analyse_performance,
        analytics::funnel::show_funnel,
        analytics::anomalies::find_anomalies,
        pacing::get_pacing,
        pacing::list_pacing,
        exports::export_table,
        imports::import_table,
        imports::list_imports,
        imports::get_import,
        imports::list_import_errors,
        retailers::get_retailer_mapping,
        plans::create_plans,
        plans::list_plans,
        plans::choose_plan,
        plans::feedback::give_plan_feedback,
        optimize::optimize,
        experiments::create_experiment,
        experiments::list_experiments,
        experiments::get_experiment,
        experiments::update_experiment,
        experiments::delete_experiment,
        experiments::power::analyse_power,
        experiments::transitions::transition_experiment,
        experiments::assignments::assign_units,
        experiments::assignments::get_assignment,
        experiments::observations::record_observations,
        experiments::results::get_results,
        reflections::create_reflection_log,
        reflections::list_reflection_logs,
        reflections::get_reflection_log,
    )
)]
struct Api;

/// The public API as a document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

/// Routes for people and programs.
pub fn configure_public(routes: &mut ServiceConfig, state: &State) {
    routes.app_data(state.access.clone()).app_data(Data::new(state.clone()));
    for (path, page) in [
        ("/", get().to(pages::list::show_list)),
        ("/campaigns/new", get().to(pages::form::show_new_campaign)),
        ("/campaigns/{id}", get().to(pages::campaign::show_campaign)),
        ("/campaigns/{id}/edit", get().to(pages::form::show_campaign_form)),
        ("/campaigns/{id}/plans", get().to(pages::plans::show_plans)),
        ("/imports", get().to(pages::imports::show_imports)),
        ("/imports/{id}", get().to(pages::imports::show_import)),
    ] {
        routes.service(resource(path).route(page).wrap(from_fn(pages::refusal::as_page)));
    }
    web::layout::serve_files(routes, &pages::FILES);
    let list = |path, create, all| (path, create, all);
    for (path, create, all) in [
        list("/v1/api-keys", post().to(api_keys::create_api_key), get().to(api_keys::list_api_keys)),
        list("/v1/retailers", post().to(retailers::create_retailer), get().to(retailers::list_retailers)),
        list("/v1/brands", post().to(brands::create_brand), get().to(brands::list_brands)),
        list("/v1/skus", post().to(skus::create_sku), get().to(skus::list_skus)),
        list("/v1/audience-segments", post().to(segments::create_audience_segment), get().to(segments::list_audience_segments)),
        list("/v1/campaigns", post().to(campaigns::create_campaign), get().to(campaigns::list_campaigns)),
        list("/v1/reflection-logs", post().to(reflections::create_reflection_log), get().to(reflections::list_reflection_logs)),
        list("/v1/experiments", post().to(experiments::create_experiment), get().to(experiments::list_experiments)),
        list(
            "/v1/experiments/{id}/assignments",
            post().to(experiments::assignments::assign_units),
            get().to(experiments::assignments::get_assignment),
        ),
        list("/v1/campaigns/{id}/plans", post().to(plans::create_plans), get().to(plans::list_plans)),
    ] {
        routes.service(resource(path).route(create).route(all));
    }
    // Before the resource of one campaign, whose path would take the word for an id.
    routes.service(resource("/v1/campaigns/bulk").route(post().to(bulk::change_campaigns)));
    // Before `/v1/experiments/{id}`, which would take the word for an id.
    routes.service(resource("/v1/experiments/power").route(post().to(experiments::power::analyse_power)));
    for (path, one, change, remove) in [
        (
            "/v1/retailers/{id}",
            get().to(retailers::get_retailer),
            patch().to(retailers::update_retailer),
            delete().to(retailers::delete_retailer),
        ),
        ("/v1/brands/{id}", get().to(brands::get_brand), patch().to(brands::update_brand), delete().to(brands::delete_brand)),
        ("/v1/skus/{id}", get().to(skus::get_sku), patch().to(skus::update_sku), delete().to(skus::delete_sku)),
        (
            "/v1/audience-segments/{id}",
            get().to(segments::get_audience_segment),
            patch().to(segments::update_audience_segment),
            delete().to(segments::delete_audience_segment),
        ),
        (
            "/v1/campaigns/{id}",
            get().to(campaigns::get_campaign),
            patch().to(campaigns::update_campaign),
            delete().to(campaigns::delete_campaign),
        ),
        (
            "/v1/experiments/{id}",
            get().to(experiments::get_experiment),
            patch().to(experiments::update_experiment),
            delete().to(experiments::delete_experiment),
        ),
    ] {
        routes.service(resource(path).route(one).route(change).route(remove));
    }
    routes
        .service(resource("/v1/api-keys/{id}").route(get().to(api_keys::get_api_key)).route(delete().to(api_keys::revoke_api_key)))
        .service(resource("/v1/reflection-logs/{id}").route(get().to(reflections::get_reflection_log)))
        .service(resource("/v1/experiments/{id}/transitions").route(post().to(experiments::transitions::transition_experiment)))
        .service(resource("/v1/experiments/{id}/observations").route(post().to(experiments::observations::record_observations)))
        .service(resource("/v1/experiments/{id}/results").route(get().to(experiments::results::get_results)))
        .service(resource("/v1/campaigns/{id}/transitions").route(post().to(transitions::transition_campaign)))
        .service(resource("/v1/campaigns/{id}/history").route(get().to(transitions::list_campaign_history)))
        .service(resource("/v1/creatives/check").route(post().to(creatives::check_creative)))
        .service(
            resource("/v1/campaigns/{id}/creatives")
                .route(post().to(creatives::create_creative))
                .route(get().to(creatives::list_creatives)),
        )
        .service(
            resource("/v1/campaigns/{id}/creatives/{creative_id}")
                .route(get().to(creatives::get_creative))
                .route(put().to(creatives::update_creative))
                .route(delete().to(creatives::delete_creative)),
        )
        .service(
            resource("/v1/retailers/{id}/api-key")
                .route(put().to(retailer_keys::set_retailer_key))
                .route(delete().to(retailer_keys::delete_retailer_key)),
        )
        .service(resource("/v1/campaigns/{id}/clone").route(post().to(clones::clone_campaign)))
        .service(
            resource("/v1/campaigns/{id}/performance")
                .route(post().to(performance::record_performance))
                .route(get().to(performance::rows::list_performance)),
        )
        .service(resource("/v1/campaigns/{id}/performance/revisions").route(get().to(performance::rows::list_performance_revisions)))
        .service(resource("/v1/campaigns/{id}/pacing").route(get().to(pacing::get_pacing)))
        .service(resource("/v1/campaigns/{id}/plans/{plan_id}/choose").route(post().to(plans::choose_plan)))
        .service(resource("/v1/campaigns/{id}/plans/{plan_id}/feedback").route(post().to(plans::feedback::give_plan_feedback)))
        .service(resource("/v1/analytics/performance").route(get().to(analytics::analyse_performance)))
        .service(resource("/v1/imports").route(get().to(imports::list_imports)))
        .service(resource("/v1/imports/{table}").route(post().to(imports::import_table)).route(get().to(imports::get_import)))
        .service(resource("/v1/imports/{import_id}/errors").route(get().to(imports::list_import_errors)))
        .service(resource("/v1/retailers/{id}/mapping").route(get().to(retailers::get_retailer_mapping)))
        .service(resource("/v1/analytics/funnel").route(get().to(analytics::funnel::show_funnel)))
        .service(resource("/v1/analytics/anomalies").route(get().to(analytics::anomalies::find_anomalies)))
        .service(resource("/v1/analytics/pacing").route(get().to(pacing::list_pacing)))
        .service(resource("/v1/exports/{table}").route(get().to(exports::export_table)))
        .service(resource("/v1/optimize").app_data(optimize::body_limit(state)).route(post().to(optimize::optimize)));
}

/// Routes for the other services: none yet, since nobody asks this service for behaviour.
pub fn configure_internal(_: &mut ServiceConfig, _: &State) {}
