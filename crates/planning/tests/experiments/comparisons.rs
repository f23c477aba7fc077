//! A/B readouts against SciPy 1.17.1 and statsmodels 0.15.0, and simulations of what happens to those who look every day.

use planning::experiments::ab::{Analysis, ArmSums, Metric, Question, analyse};
use planning::experiments::iroas::{TwoDifferences, fieller};
use planning::experiments::lot::Lot;
use planning::experiments::proportions::{katz_ratio, newcombe, pooled_p};
use planning::experiments::sequential::half_width;
use planning::experiments::srm::check_ratio;

use crate::{control, near};

fn arm(name: &str, values: &[f64]) -> ArmSums {
    ArmSums {
        name: name.to_owned(),
        n: values.len() as u64,
        sum: values.iter().sum(),
        sum_squares: values.iter().map(|value| value * value).sum(),
        ..ArmSums::default()
    }
}

/// An arm with this mean and standard deviation.
fn arm_of(name: &str, n: u64, mean: f64, deviation: f64) -> ArmSums {
    let count = n as f64;
    let sum_squares = deviation * deviation * (count - 1.0) + count * mean * mean;
    ArmSums { name: name.to_owned(), n, sum: mean * count, sum_squares, ..ArmSums::default() }
}

fn successes(name: &str, n: u64, k: f64) -> ArmSums {
    ArmSums { name: name.to_owned(), n, sum: k, sum_squares: k, ..ArmSums::default() }
}

fn normal(lot: &mut Lot) -> f64 {
    (-2.0 * (1.0 - lot.unit()).ln()).sqrt() * (std::f64::consts::TAU * lot.unit()).cos()
}

#[test]
fn ratio_checks_are_those_of_scipy() {
    let cases: [(&[u64], &[f64], f64, bool); 5] = [
        // The counts of a well-known case at a large site: half a percent apart and surely wrong.
        (&[821_588, 815_482], &[1.0, 1.0], 1.821_792_87e-6, true),
        (&[5000, 5200], &[0.5, 0.5], 0.047_670_380_7, false),
        (&[1000, 1100, 1050], &[1.0, 1.0, 1.0], 0.092_462_476_1, false),
        (&[4900, 5100], &[1.0, 1.0], 0.045_500_263_9, false),
        (&[9000, 1100], &[9.0, 1.0], 0.002_834_749_08, true),
    ];
    for (observed, weights, p, is_mismatch) in cases {
        let found = check_ratio(observed, weights).unwrap();
        near(found.p_value / p, 1.0, 1e-5);
        assert_eq!(found.is_mismatch, is_mismatch, "{observed:?}");
    }
    assert!(check_ratio(&[0, 0], &[1.0, 1.0]).is_err());
    assert!(check_ratio(&[5, 5], &[1.0, 0.0]).is_err());
}

#[test]
fn welch_and_proportions_are_those_of_the_reference() {
    let control = control();
    let question = Question { metric: Metric::Mean, analysis: Analysis::Fixed, alpha: 0.05, weights: &[1.0, 1.0], control: &control };
    let found = analyse(&[arm_of("control", 25, 22.1, 4.5), arm_of("treated", 30, 20.6, 3.0)], &question).unwrap();
    near(found.comparisons[0].p_value, 0.162_186_389, 1e-7);
    near(found.comparisons[0].difference.value(), -1.5, 1e-9);
    assert!(found.winner.is_none(), "nothing is won without significance");
    assert_eq!(found.comparisons[0].difference.sample().n.get(), 55);

    // 56 of 70 against 48 of 80: Newcombe's own example, without continuity correction.
    let interval = newcombe(56.0, 70.0, 48.0, 80.0, 0.05);
    near(interval.low.unwrap(), 0.052_431_472_4, 1e-8);
    near(interval.high.unwrap(), 0.333_872_654, 1e-8);
    let ratio = katz_ratio(56.0, 70.0, 48.0, 80.0, 0.05);
    near(ratio.low.unwrap(), 1.076_626_422_8, 1e-8);
    near(ratio.high.unwrap(), 1.651_248_511_3, 1e-8);
    near(pooled_p(56.0, 70.0, 48.0, 80.0), 0.008, 1e-3);
    let question = Question { metric: Metric::Proportion, ..question };
    let found = analyse(&[successes("control", 80, 48.0), successes("treated", 70, 56.0)], &question).unwrap();
    assert_eq!(found.winner.as_deref(), Some("treated"));
    let impossible = [successes("control", 80, 48.0), successes("treated", 70, 71.0)];
    assert!(analyse(&impossible, &question).is_err());
}

#[test]
fn wrong_counts_take_the_winner_away() {
    let control = control();
    let question = Question { metric: Metric::Mean, analysis: Analysis::Fixed, alpha: 0.05, weights: &[1.0, 1.0], control: &control };
    let found = analyse(&[arm_of("control", 5000, 10.0, 3.0), arm_of("treated", 5400, 11.0, 3.0)], &question).unwrap();
    assert!(found.comparisons[0].p_value < 1e-9 && found.sample_ratio.is_mismatch);
    assert_eq!((found.comparisons[0].is_significant, found.comparisons[0].is_significant_reason), (false, Some("sample_ratio_mismatch")));
    assert_eq!(found.winner, None, "{}", found.winner_reason);
}

#[test]
fn a_covariate_takes_away_the_variance_it_explains() {
    let mut lot = Lot::seeded(&["cuped"]);
    let mut sums = |name: &str, effect: f64| {
        let rows: Vec<(f64, f64)> = (0..2000)
            .map(|_| {
                let before = 50.0 + 10.0 * normal(&mut lot);
                (before, before + effect + 5.0 * normal(&mut lot))
            })
            .collect();
        let values: Vec<f64> = rows.iter().map(|row| row.1).collect();
        let of = |product: fn(&(f64, f64)) -> f64| rows.iter().map(product).sum::<f64>();
        ArmSums { covariate: Some([of(|row| row.0), of(|row| row.0 * row.0), of(|row| row.0 * row.1)]), ..arm(name, &values) }
    };
    let arms = [sums("control", 0.0), sums("treated", 1.0)];
    let control = control();
    let question = Question { metric: Metric::Mean, analysis: Analysis::Fixed, alpha: 0.05, weights: &[1.0, 1.0], control: &control };
    let adjusted = analyse(&arms, &question).unwrap();
    let plain = analyse(&arms.clone().map(|arm| ArmSums { covariate: None, ..arm }), &question).unwrap();
    let used = adjusted.covariate.unwrap();
    // Made so that theta is 1 and 100 of 125 parts of the variance are the covariate's.
    near(used.theta, 1.0, 0.03);
    near(used.variance_reduction, 0.8, 0.02);
    let width = |interval: planning::experiments::finding::Interval| interval.high.unwrap() - interval.low.unwrap();
    let (narrow, wide) = (width(adjusted.comparisons[0].difference.interval()), width(plain.comparisons[0].difference.interval()));
    near(narrow / wide, 0.2_f64.sqrt(), 0.03);
    assert!(adjusted.comparisons[0].difference.interval().holds(1.0));
}

#[test]
fn incremental_return_is_a_ratio_with_its_own_uncertainty() {
    // Fieller with an exact denominator is the numerator's interval divided by it.
    let given = TwoDifferences { top: 12.0, top_variance: 4.0, bottom: 3.0, bottom_variance: 0.0, covariance: 0.0 };
    let interval = fieller(&given, 2.0, 0.95);
    near(interval.low.unwrap(), (12.0 - 4.0) / 3.0, 1e-12);
    near(interval.high.unwrap(), (12.0 + 4.0) / 3.0, 1e-12);
    let unknown = fieller(&TwoDifferences { bottom_variance: 9.0, ..given }, 2.0, 0.95);
    assert_eq!((unknown.low, unknown.high), (None, None), "a denominator that may be 0 allows every ratio");

    let control = control();
    let question = Question { metric: Metric::Mean, analysis: Analysis::Fixed, alpha: 0.05, weights: &[1.0, 1.0], control: &control };
    let mut arms = [arm_of("control", 1000, 10.0, 3.0), arm_of("treated", 1000, 12.0, 3.0)];
    arms[0].spend = Some((0.0, None));
    arms[1].spend = Some((500.0, None));
    let found = analyse(&arms, &question).unwrap();
    let iroas = found.comparisons[0].iroas.as_ref().unwrap();
    near(iroas.value(), 4.0, 1e-12);
    near(found.comparisons[0].incremental_spend.unwrap(), 500.0, 1e-9);
    // sqrt(9/1000 + 9/1000) / 0.5.
    near(found.comparisons[0].iroas_standard_error.unwrap(), 0.018_f64.sqrt() / 0.5, 1e-12);
    assert!(iroas.interval().holds(4.0) && !iroas.control().text().is_empty());
}

/// Looks at a test of 2 x 1,500 units every 25 units, from 100 on: how often 0 (the truth is `effect`) is left out at some look, by the
/// interval for one look and by the one for all.
fn share_of_errors(effect: f64) -> (f64, f64) {
    let (runs, mut naive, mut sequential) = (400, 0, 0);
    for run in 0..runs {
        let mut lot = Lot::seeded(&["peeking", &run.to_string()]);
        let (mut sums, mut squares) = ([0.0; 2], [0.0; 2]);
        let mut wrong = [false; 2];
        for n in 1..=1500 {
            for at in 0..2 {
                let value = 3.0 * normal(&mut lot) + if at == 1 { effect } else { 0.0 };
                sums[at] += value;
                squares[at] += value * value;
            }
            if n >= 100 && n % 25 == 0 {
                let count = f64::from(n);
                let variance: f64 = (0..2).map(|at| (squares[at] - sums[at] * sums[at] / count) / (count - 1.0) / count).sum();
                let off = ((sums[1] - sums[0]) / count - effect).abs();
                wrong[0] |= off > 1.96 * variance.sqrt();
                wrong[1] |= off > half_width(variance, 2.0 * count, 3000.0, 0.05).unwrap();
            }
        }
        naive += usize::from(wrong[0]);
        sequential += usize::from(wrong[1]);
    }
    (naive as f64 / f64::from(runs), sequential as f64 / f64::from(runs))
}

#[test]
fn who_looks_every_day_errs_often_without_and_seldom_with_the_sequential_interval() {
    let (naive, sequential) = share_of_errors(0.0);
    assert!(naive > 0.15, "looking again and again must hurt, or this test shows nothing: {naive}");
    assert!(sequential <= 0.05, "{sequential}");
    // The same is the coverage of the interval when there is an effect.
    let (_, sequential) = share_of_errors(0.4);
    assert!(sequential <= 0.05, "{sequential}");
}

#[test]
fn a_sequential_readout_finds_a_large_effect_and_waits_for_units() {
    let control = control();
    let question = Question {
        metric: Metric::Proportion,
        analysis: Analysis::Sequential { planned_units: 4000 },
        alpha: 0.05,
        weights: &[1.0, 1.0],
        control: &control,
    };
    let found = analyse(&[successes("control", 1000, 100.0), successes("treated", 1000, 180.0)], &question).unwrap();
    let one = &found.comparisons[0];
    assert!(one.is_significant && found.winner.as_deref() == Some("treated"), "{one:?}");
    assert_eq!(one.p_value < 0.05, !one.difference.interval().holds(0.0), "test and interval agree");
    assert!(analyse(&[successes("control", 99, 10.0), successes("treated", 1000, 180.0)], &question).is_err());
}
