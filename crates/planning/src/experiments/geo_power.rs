//! Power of a geo test by simulation on its own history: a lift is put into windows of the past, and the share that is found is the power.

use serde::Serialize;

use super::geo::{LEAST_PRE_DAYS, mean_series, permutation_p, residuals};
use super::lot::Lot;
use super::{ExperimentError, check_share};

/// Most windows that are tried.
pub const MOST_WINDOWS: usize = 30;
/// Most lifts that are tried.
pub const MOST_LIFTS: usize = 12;
/// Random orders per test.
const DRAWS: usize = 499;

/// A geo test that is being planned.
#[derive(Debug, Clone)]
pub struct GeoPlan {
    /// History of the markets to be treated.
    pub treated: Vec<Vec<f64>>,
    /// History of the control markets.
    pub controls: Vec<Vec<f64>>,
    /// Days that the test will run.
    pub test_days: usize,
    /// Relative lifts to try.
    pub lifts: Vec<f64>,
    /// Limit of significance.
    pub alpha: f64,
    /// Power wanted.
    pub power: f64,
    /// Windows of the past to try, the latest first.
    pub windows: usize,
}

/// Power at one lift.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PowerAtLift {
    /// The lift put in.
    pub lift: f64,
    /// Share of windows in which it was found.
    pub power: f64,
    /// Windows tried.
    pub windows: usize,
}

/// What the simulation says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GeoPower {
    /// Share of windows in which something was found although nothing was put in.
    pub false_alarms: f64,
    /// Power at each lift.
    pub by_lift: Vec<PowerAtLift>,
    /// The least of the lifts tried that has the power wanted, as have all larger ones; absent when none has.
    pub minimum_detectable_lift: Option<f64>,
}

/// Simulates.
///
/// # Errors
/// [`ExperimentError`] for too little history or numbers out of range.
pub fn simulate(plan: &GeoPlan) -> Result<GeoPower, ExperimentError> {
    check_share("alpha", plan.alpha)?;
    check_share("power", plan.power)?;
    let days = plan.treated.first().map_or(0, Vec::len);
    if plan.controls.len() < 2 || plan.treated.iter().chain(&plan.controls).any(|series| series.len() != days) {
        return Err(ExperimentError::NotEnough("at least two control markets are needed, all with the same days".to_owned()));
    }
    if plan.lifts.is_empty() || plan.lifts.len() > MOST_LIFTS || plan.lifts.iter().any(|lift| !lift.is_finite() || *lift <= -1.0) {
        return Err(ExperimentError::invalid("lifts", format!("must be 1 to {MOST_LIFTS} numbers above -1")));
    }
    if plan.test_days == 0 || days < LEAST_PRE_DAYS + plan.test_days {
        let message = format!("must be at least 1 and leave {LEAST_PRE_DAYS} of the {days} days of history before the test");
        return Err(ExperimentError::invalid("test_days", message));
    }
    let windows = plan.windows.clamp(1, MOST_WINDOWS).min(days - plan.test_days - LEAST_PRE_DAYS + 1);
    let target = mean_series(&plan.treated);
    let found = |lift: f64| -> Result<f64, ExperimentError> {
        let mut count = 0_usize;
        for window in 0..windows {
            let end = days - window;
            let start = end - plan.test_days;
            let lifted: Vec<f64> =
                target[..end].iter().enumerate().map(|(day, value)| if day < start { *value } else { value * (1.0 + lift) }).collect();
            let controls: Vec<Vec<f64>> = plan.controls.iter().map(|series| series[..end].to_vec()).collect();
            let residuals = residuals(&lifted, &controls, start, 0.0)?;
            let mut lot = Lot::seeded(&["endcap-geo-power-v1", &window.to_string()]);
            count += usize::from(permutation_p(&residuals, start, DRAWS, &mut lot) <= plan.alpha);
        }
        Ok(count as f64 / windows as f64)
    };
    let mut lifts = plan.lifts.clone();
    lifts.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let mut by_lift = Vec::with_capacity(lifts.len());
    for lift in lifts {
        by_lift.push(PowerAtLift { lift, power: found(lift)?, windows });
    }
    let enough = by_lift.iter().rev().take_while(|one| one.power >= plan.power).last();
    let minimum_detectable_lift = enough.map(|one| one.lift);
    Ok(GeoPower { false_alarms: found(0.0)?, by_lift, minimum_detectable_lift })
}
