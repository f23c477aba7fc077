//! What choosing brings, measured on the tasks that raters have judged by now.

use std::collections::HashMap;

use domain::task::TaskType;
use learning::selection::lift::{LEAST_PROMPTS, Lift, NoLift, measure};
use serde::{Deserialize, Serialize};
use storage::selections;

use super::round::{TypeReport, compute};
use crate::scoring::active::find_model;
use crate::state::State;
use crate::training::material::{MAX_PAIRS, Pair, collect};
use crate::training::{TrainingError, TrainingInput, to_example};

/// Judged tasks of both arms that enter, the newest.
const MOST_JUDGED: i64 = 4_000;

/// Pairs from elsewhere that both compared models learn from too, the newest.
const MOST_EARLIER: usize = 2_000;

/// Judged tasks by arm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// That were chosen.
    pub informative: usize,
    /// That were drawn.
    pub random: usize,
}

/// What is known of the lift.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// The figures.
    pub lift: Option<Lift>,
    /// Why there are none.
    pub no_lift: Option<String>,
    /// The judged tasks behind them.
    pub judged: Judged,
}

/// The lift of a kind of task; that of the report before, as long as fewer than a tenth more tasks were judged since.
///
/// # Errors
/// As any query; [`TrainingError::Stopped`] when the computation ended unexpectedly.
pub async fn lift(state: &State, task_type: TaskType, before: Option<TypeReport>, seed: u64) -> Result<Measured, TrainingError> {
    let arms = state.storage.read(move |conn| selections::judged_arms(conn, task_type.as_ref(), MOST_JUDGED)).await?;
    let count = |arm: &str| arms.values().filter(|own| own.as_str() == arm).count();
    let judged = Judged { informative: count("informative"), random: count("random") };
    if judged.informative < LEAST_PROMPTS || judged.random < LEAST_PROMPTS {
        let few = NoLift::TooFew { informative: judged.informative, random: judged.random };
        return Ok(Measured { no_lift: Some(few.to_string()), judged, lift: None });
    }
    if let Some(before) = before.filter(|before| is_near(before.judged, judged) && (before.lift.is_some() || before.no_lift.is_some())) {
        return Ok(Measured { lift: before.lift, no_lift: before.no_lift, judged: before.judged });
    }
    // The setting of the general model; without one that of a retailer's is as good as none.
    let setting = match find_model(state, task_type, None).await? {
        Ok(loaded) => loaded.model.setting,
        Err(reason) => return Ok(Measured { no_lift: Some(format!("lift is not known: {reason}")), judged, lift: None }),
    };
    let input = TrainingInput { task_type: task_type.to_string(), retailer_id: None, seed, note: None };
    let pairs = collect(&state.storage, &input, MAX_PAIRS).await?.rows;
    let result = compute(move || {
        let (earlier, informative, random) = by_arm(pairs, &arms);
        let examples = |pairs: Vec<Pair>| pairs.iter().map(to_example).collect::<Vec<_>>();
        measure(&examples(earlier), &examples(informative), &examples(random), setting, seed)
    })
    .await?;
    Ok(match result {
        Ok(lift) => Measured { lift: Some(lift), no_lift: None, judged },
        Err(reason) => Measured { lift: None, no_lift: Some(reason.to_string()), judged },
    })
}

fn is_near(before: Judged, now: Judged) -> bool {
    let near = |before: usize, now: usize| now >= before && now * 10 < before * 11;
    near(before.informative, now.informative) && near(before.random, now.random)
}

/// Pairs that came in otherwise, chosen and drawn ones.
fn by_arm(pairs: Vec<Pair>, arms: &HashMap<String, String>) -> (Vec<Pair>, Vec<Pair>, Vec<Pair>) {
    let (mut earlier, mut informative, mut random) = (Vec::new(), Vec::new(), Vec::new());
    for pair in pairs {
        match arms.get(&pair.source).map(String::as_str) {
            Some("informative") => informative.push(pair),
            Some("random") => random.push(pair),
            _ => earlier.push(pair),
        }
    }
    let surplus = earlier.len().saturating_sub(MOST_EARLIER);
    earlier.drain(..surplus);
    (earlier, informative, random)
}
