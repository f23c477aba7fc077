//! The tables, written once: the same columns in all three databases (a test compares them with the migrations).
//!
//! One file per area, as in the migrations. The tables are lifted up to this level, because a query names tables and not areas.

#![allow(missing_docs)]

mod access;
mod campaign;
mod catalog;
mod learning;
mod measurement;
mod operations;
mod rating;

pub use access::*;
pub use campaign::*;
pub use catalog::*;
pub use learning::*;
pub use measurement::*;
pub use operations::*;
pub use rating::*;

diesel::joinable!(campaign_creatives -> campaigns (campaign));
diesel::joinable!(campaign_history -> campaigns (campaign));
diesel::joinable!(performance_metrics -> campaigns (campaign));
diesel::joinable!(performance_revisions -> campaigns (campaign));
diesel::joinable!(performance_rollups -> campaigns (campaign));
diesel::joinable!(campaign_plans -> campaigns (campaign));
diesel::joinable!(import_errors -> imports (import));
diesel::joinable!(reflection_logs -> campaigns (campaign));
diesel::joinable!(response_calibrations -> experiments (experiment));
diesel::joinable!(experiment_observations -> experiments (experiment));

diesel::allow_tables_to_appear_in_same_query!(
    campaigns,
    campaign_creatives,
    campaign_history,
    performance_metrics,
    performance_revisions,
    performance_rollups,
    campaign_plans,
    reflection_logs
);
diesel::allow_tables_to_appear_in_same_query!(
    rating_tasks,
    judgments,
    task_assignments,
    golden_set_items,
    task_consensus,
    task_queue,
    task_selections,
    rater_profiles,
    rater_standings,
    rater_qualifications,
    expert_reviews
);
diesel::allow_tables_to_appear_in_same_query!(artifacts, adapter_versions);
diesel::allow_tables_to_appear_in_same_query!(brands, feedback, feedback_rules, feedback_tasks, feedback_counters);
diesel::allow_tables_to_appear_in_same_query!(imports, import_errors);
diesel::allow_tables_to_appear_in_same_query!(campaign_plans, task_consensus);
diesel::allow_tables_to_appear_in_same_query!(experiments, experiment_observations, response_calibrations);
