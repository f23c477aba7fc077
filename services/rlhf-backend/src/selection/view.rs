//! Tasks as a reward model sees them.

use learning::features::{Features, candidate_features};
use learning::reward::model::RewardModel;
use learning::selection::View;
use peers::tasks::CheckResult;
use storage::selections::Unjudged;

use crate::scoring::to_feature_checks;
use crate::training::material::context_of;

/// How a model sees a task: its most informative pair, when there are three candidates. `None` for a model without an ensemble.
#[must_use]
pub fn view_of(task: &Unjudged, model: &RewardModel) -> Option<View> {
    let retailer = task.retailer_id.as_deref();
    let checks: Vec<CheckResult> = serde_json::from_value(task.auto_checks.0.clone()).unwrap_or_default();
    let context = context_of(&task.context_snippets.0);
    let candidates = [Some(&task.candidate_a), Some(&task.candidate_b), task.candidate_c.as_ref()];
    let described: Vec<Features> = candidates
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(place, candidate)| {
            candidate_features(&candidate.0, &to_feature_checks(checks.iter().filter(|check| check.candidate == place)), &context)
        })
        .collect();
    let pairs = (0..described.len()).flat_map(|first| (first + 1..described.len()).map(move |second| (first, second)));
    let views = pairs.filter_map(|(first, second)| View::for_retailer(model, &described[first], &described[second], retailer));
    views.reduce(|best, next| if next.information > best.information { next } else { best })
}
