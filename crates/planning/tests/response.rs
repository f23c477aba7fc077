//! Curves on simulated truth: how often intervals hold it, what experiments do to the level, which
//! prior stands in, and a public simulated set.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use planning::optimizer::curve::Hill;
use planning::random::Random;
use planning::response::calibration::Calibration;
use planning::response::{NotIdentifiable, Observation, Origin, PRIOR_MERIDIAN, PRIOR_OVERALL, fit};

/// Weeks of spend between a fifth and twice the mean, with a carry-over and noise in proportion.
fn simulate(random: &mut Random, truth: Hill, carry_over: f64, weeks: usize, noise: f64) -> Vec<Observation> {
    let mut held = 100.0;
    (0..weeks)
        .map(|_| {
            let spend = 20.0 + 180.0 * random.uniform();
            held = (1.0 - carry_over) * spend + carry_over * held;
            let revenue = truth.response(held) * (1.0 + noise * random.normal());
            Observation { spend: Some(spend), revenue: Some(revenue.max(0.0)) }
        })
        .collect()
}

#[test]
fn intervals_hold_the_truth_about_as_often_as_they_say() {
    let mut random = Random::new(2026, 1);
    let (mut held, mut asked) = (0, 0);
    for case in 0..150 {
        let truth = Hill { beta: 400.0 + 800.0 * random.uniform(), alpha: [0.8, 1.0, 1.3][case % 3], k: 80.0 + 200.0 * random.uniform() };
        let history = simulate(&mut random, truth, [0.0, 0.3][case % 2], 52, 0.15);
        let curve = &fit(&[history], &[]).unwrap()[0];
        assert_eq!(curve.origin, Origin::Fitted);
        for x in [60.0, 110.0, 180.0] {
            let (low, high) = curve.interval(x, 0.9);
            asked += 1;
            held += usize::from((low..=high).contains(&truth.response(x)));
        }
    }
    let coverage = f64::from(held as u32) / f64::from(asked);
    assert!((0.8..=0.99).contains(&coverage), "90 % intervals held the truth in {coverage:.3} of {asked} cases");
}

#[test]
fn carry_over_and_saturation_are_recovered() {
    let mut random = Random::new(5, 1);
    let truth = Hill { beta: 900.0, alpha: 1.0, k: 150.0 };
    let curve = &fit(&[simulate(&mut random, truth, 0.5, 150, 0.03)], &[]).unwrap()[0];
    assert!((curve.carry_over - 0.5).abs() <= 0.25, "{}", curve.carry_over);
    assert!((curve.revenue(100.0) - truth.response(100.0)).abs() < 0.05 * truth.response(100.0));
    assert!(curve.hill.slope(200.0) < 0.5 * curve.hill.slope(20.0), "more spend returns less");
}

#[test]
fn an_experiment_sets_the_level() {
    let mut random = Random::new(9, 1);
    let truth = Hill { beta: 1_000.0, alpha: 1.0, k: 150.0 };
    let attributed = simulate(&mut random, truth, 0.0, 60, 0.05);
    let before = &fit(std::slice::from_ref(&attributed), &[]).unwrap()[0];
    let half = before.revenue(100.0) / 100.0 * 0.5;
    let found = |error: f64| Calibration { arm: 0, roas: half, standard_error: error, spend_level: 100.0, source: "exp-1".to_owned() };
    let sharp = &fit(std::slice::from_ref(&attributed), &[found(0.02 * half)]).unwrap()[0];
    assert!((sharp.revenue(100.0) / 100.0 - half).abs() < 0.02 * half, "{}", sharp.revenue(100.0) / 100.0);
    assert_eq!(sharp.calibrated_by, ["exp-1"]);
    let vague = &fit(std::slice::from_ref(&attributed), &[found(20.0 * half)]).unwrap()[0];
    assert!((vague.revenue(100.0) - before.revenue(100.0)).abs() < 0.05 * before.revenue(100.0));
    let middle = &fit(&[attributed], &[found(half)]).unwrap()[0];
    assert!(middle.revenue(100.0) < before.revenue(100.0) && middle.revenue(100.0) > sharp.revenue(100.0));
    assert!(middle.standard_error(100.0).unwrap() > sharp.standard_error(100.0).unwrap());
}

#[test]
fn the_prior_is_named() {
    let short: Vec<Observation> = (1..4).map(|week| Observation { spend: Some(100.0 * f64::from(week)), revenue: Some(300.0) }).collect();
    let curve = &fit(std::slice::from_ref(&short), &[]).unwrap()[0];
    assert_eq!((curve.origin, curve.verdict, curve.prior), (Origin::Pooled, Some(NotIdentifiable::TooFewPeriods), Some(PRIOR_MERIDIAN)));
    let half_saturation = curve.hill.k / curve.mean_spend.unwrap();
    assert!((1.2..3.2).contains(&half_saturation) && curve.hill.alpha == 1.0, "{half_saturation}");
    let mut random = Random::new(3, 1);
    let long = simulate(&mut random, Hill { beta: 900.0, alpha: 1.0, k: 150.0 }, 0.0, 60, 0.05);
    assert_eq!(fit(&[long, short], &[]).unwrap()[1].prior, Some(PRIOR_OVERALL));
}

#[test]
fn draws_scatter_as_the_error_says() {
    let mut random = Random::new(11, 1);
    let curve = fit(&[simulate(&mut random, Hill { beta: 900.0, alpha: 1.0, k: 150.0 }, 0.0, 60, 0.2)], &[]).unwrap().remove(0);
    let drawn: Vec<f64> = (0..4_000).map(|_| curve.draw(&mut random).response(120.0)).collect();
    let mean = drawn.iter().sum::<f64>() / 4_000.0;
    let deviation = (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4_000.0).sqrt();
    let error = curve.standard_error(120.0).unwrap();
    assert!((deviation / error - 1.0).abs() < 0.1, "{deviation} {error}");
}

/// Robyn's simulated weekly set (MIT, see tests/data/README.md): revenue of all channels together,
/// so a channel alone explains part of it. What must hold: search spend has an effect that
/// saturates, and the curve is told apart from noise.
#[test]
fn robyn_set_gives_saturating_curves() {
    let text = std::fs::read_to_string(format!("{}/tests/data/robyn_simulated_weekly.csv", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').map(|name| name.trim_matches('"')).collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let column = |name: &str| -> Vec<f64> {
        let at = header.iter().position(|found| *found == name).unwrap();
        rows.iter().map(|row| row[at].trim_matches('"').parse().unwrap_or(0.0)).collect()
    };
    let revenue = column("revenue");
    let base = revenue.iter().copied().fold(f64::INFINITY, f64::min);
    let channel = |name: &str| -> Vec<Observation> {
        column(name)
            .into_iter()
            .zip(&revenue)
            .map(|(spend, revenue)| Observation { spend: Some(spend), revenue: Some(revenue - base) })
            .collect()
    };
    assert_eq!(rows.len(), 208);
    let curve = &fit(&[channel("search_S")], &[]).unwrap()[0];
    assert_eq!(curve.origin, Origin::Fitted);
    let mean = curve.mean_spend.unwrap();
    assert!(curve.revenue(mean) > 0.0 && curve.hill.slope(2.0 * mean) < 0.7 * curve.hill.slope(0.5 * mean));
    let (low, high) = curve.interval(mean, 0.95);
    assert!(low > 0.5 * curve.revenue(mean) && high < 1.5 * curve.revenue(mean), "{low} {high}");
}
