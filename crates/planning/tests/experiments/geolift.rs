//! Meta's walkthrough of GeoLift: chicago and portland treated on days 91 to 105 of 105.

use std::collections::BTreeMap;

use planning::experiments::geo::{GeoQuestion, Panel, analyse};
use planning::experiments::simplex::simplex_least_squares;

use crate::{control, near};

fn series() -> BTreeMap<String, Vec<f64>> {
    let mut found: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in include_str!("../data/geolift_test.csv").lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        found.entry(cells[0].to_owned()).or_default().push(cells[1].parse().unwrap());
    }
    found
}

fn panel() -> Panel {
    let is_treated = |name: &str| ["chicago", "portland"].contains(&name);
    let (treated, others): (Vec<_>, Vec<_>) = series().into_iter().partition(|(name, _)| is_treated(name));
    let (control_names, controls) = others.into_iter().unzip();
    Panel { treated: treated.into_iter().map(|(_, series)| series).collect(), control_names, controls, pre_days: 90 }
}

#[test]
fn the_published_result_is_reproduced() {
    let (panel, control) = (panel(), control());
    assert_eq!((panel.treated.len(), panel.controls.len(), panel.treated[0].len()), (2, 38, 105));
    let found = analyse(&panel, &GeoQuestion { alpha: 0.1, control: &control, seed: "geolift" }).unwrap();
    near(found.att.value(), 155.556, 2e-3);
    near(found.lift.as_ref().unwrap().value(), 0.054, 5e-4);
    near(found.incremental.value(), 4667.0, 0.5);
    // Published as 0.01 from 1,000 random orders.
    near(found.p_value, 0.01, 0.005);
    near(found.p_value_moving_block, 0.0476, 1e-3);
    assert!(found.rejects_no_effect);
    // The effect differs much from day to day, so that the mean effect is known less well than the p-value suggests.
    let interval = found.att.interval();
    near(interval.low.unwrap(), -16.2, 1.0);
    near(interval.high.unwrap(), 282.7, 1.0);
    assert!(!found.mean_effect_excludes_zero);
    near(found.robustness.pre_rmspe, 95.87, 0.05);
    near(found.robustness.placebo_in_time.unwrap(), 3.06, 0.05);
    near(found.weights.iter().map(|(_, weight)| weight).sum::<f64>(), 1.0, 1e-5);
    assert!(found.weights.iter().all(|(_, weight)| *weight >= 0.0));
    assert_eq!((found.days, found.markets), ([90, 15], [2, 38]));
    let shown = serde_json::to_value(&found).unwrap();
    assert_eq!((shown["att"]["sample"]["n"].as_u64(), shown["att"]["control"].as_str()), (Some(4200), Some(control.text())));
    // 7 of 38 control cities have at least as large a ratio of gaps after to gaps before.
    near(found.robustness.placebo_p_value, 8.0 / 39.0, 1e-9);
}

#[test]
fn without_reducing_by_the_mean_the_result_is_another_one() {
    let panel = panel();
    let target: Vec<f64> = (0..105).map(|day| (panel.treated[0][day] + panel.treated[1][day]) / 2.0).collect();
    let fitted: Vec<Vec<f64>> = panel.controls.iter().map(|series| series[..90].to_vec()).collect();
    let weights = simplex_least_squares(&fitted, &target[..90]).unwrap();
    let gap = |day: usize| target[day] - panel.controls.iter().zip(&weights).map(|(series, weight)| series[day] * weight).sum::<f64>();
    near((90..105).map(gap).sum::<f64>() / 15.0, 122.7, 0.1);
}
