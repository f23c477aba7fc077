//! Sizes and power against statsmodels 0.15.0 (`TTestIndPower`, `NormalIndPower`, `samplesize_proportions_2indep_onetail`).

use planning::experiments::geo_power::{GeoPlan, simulate};
use planning::experiments::lot::Lot;
use planning::experiments::noncentral::noncentral_t_cdf;
use planning::experiments::power::{
    Demand, Law, design_effect, effect_for_means, power_of_means, proportion_for_size, size_for_means, size_for_proportions,
};

use crate::near;

fn demand(power: f64, alpha: f64, ratio: f64) -> Demand {
    Demand { power, alpha, sides: 2, ratio }
}

#[test]
fn sizes_are_those_of_the_textbook() {
    let usual = demand(0.8, 0.05, 1.0);
    assert_eq!(size_for_means(0.2, &usual, Law::Normal).unwrap().ceil(), 393.0);
    assert_eq!(size_for_means(0.2, &usual, Law::StudentT).unwrap().ceil(), 394.0);
    // statsmodels: effect, ratio, power, alpha, by t, by z.
    let cases = [
        (0.2, 1.0, 0.8, 0.05, 393.405_693_0, 392.443_023_26),
        (0.5, 1.0, 0.8, 0.05, 63.765_610_59, 62.790_884_16),
        (0.2, 2.0, 0.9, 0.05, 394.669_567_13, 394.028_225_93),
        (0.8, 1.0, 0.95, 0.01, 57.354_869_64, 55.669_264_0),
        (0.1, 0.5, 0.8, 0.1, 1_855.573_553_44, 1_854.671_047_4),
    ];
    for (effect, ratio, power, alpha, by_t, by_z) in cases {
        let demand = demand(power, alpha, ratio);
        near(size_for_means(effect, &demand, Law::StudentT).unwrap(), by_t, 1e-4);
        // The textbook formula leaves out the far tail, which statsmodels counts.
        near(size_for_means(effect, &demand, Law::Normal).unwrap() / by_z, 1.0, 1e-4);
    }
}

#[test]
fn power_and_detectable_effect_are_those_of_statsmodels() {
    let usual = demand(0.8, 0.05, 1.0);
    for (effect, n, expected) in [(0.2, 393.0, 0.799_594_24), (0.5, 20.0, 0.337_939_029), (0.5, 64.0, 0.801_459_557_8)] {
        near(power_of_means(effect, n, &usual, Law::StudentT).unwrap(), expected, 1e-7);
    }
    // At this effect SciPy's noncentral t has power 0.800000000; statsmodels' solver stops at 0.1773584217.
    near(effect_for_means(500.0, &usual, Law::StudentT).unwrap(), 0.177_358_322_3, 1e-9);
    near(effect_for_means(500.0, &usual, Law::Normal).unwrap(), 0.177_187_694_9, 1e-5);
    // The central distribution as a special case: P(T <= 2.228139) = 0.975 with 10 degrees of freedom.
    near(noncentral_t_cdf(2.228_138_85, 10.0, 0.0), 0.975, 1e-7);
    near(noncentral_t_cdf(12.706_204_736, 1.0, 0.0), 0.975, 1e-3);
}

#[test]
fn proportions_and_clusters() {
    let usual = demand(0.8, 0.05, 1.0);
    let n = size_for_proportions(0.10, 0.12, &usual).unwrap();
    // statsmodels 3840.847482; 3,841 per group in Fleiss.
    near(n, 3_840.847_482_4, 1e-3);
    near(proportion_for_size(0.10, n, &usual).unwrap(), 0.12, 1e-9);
    near(design_effect(50.0, 0.02).unwrap(), 1.98, 1e-12);
    assert!(size_for_means(0.0, &usual, Law::Normal).is_err());
    assert!(size_for_means(f64::NAN, &usual, Law::Normal).is_err());
    assert!(size_for_proportions(0.1, 1.2, &usual).is_err());
    assert!(design_effect(0.5, 0.1).is_err());
    assert!(power_of_means(0.2, 100.0, &Demand { sides: 3, ..usual }, Law::Normal).is_err());
}

#[test]
fn simulated_power_of_markets_grows_with_the_lift_and_rarely_cries_wolf() {
    let mut lot = Lot::seeded(&["geo power"]);
    let mut series = |level: f64| -> Vec<f64> {
        (0..70).map(|day| level * (1.0 + 0.1 * f64::from(day % 7) / 7.0) + 20.0 * (lot.unit() - 0.5)).collect()
    };
    let controls: Vec<Vec<f64>> = (0..6).map(|at| series(1000.0 + 100.0 * f64::from(at))).collect();
    let treated = vec![series(1200.0), series(1100.0)];
    let plan = GeoPlan { treated, controls, test_days: 10, lifts: vec![0.05, 0.0005, 0.02], alpha: 0.1, power: 0.8, windows: 12 };
    let found = simulate(&plan).unwrap();
    let powers: Vec<f64> = found.by_lift.iter().map(|one| one.power).collect();
    assert!(powers.windows(2).all(|pair| pair[0] <= pair[1]), "{found:?}");
    assert_eq!((powers[2], found.minimum_detectable_lift), (1.0, Some(found.by_lift.iter().find(|one| one.power >= 0.8).unwrap().lift)));
    assert!(found.false_alarms <= 0.5, "{found:?}");
    assert!(simulate(&GeoPlan { test_days: 60, ..plan }).is_err());
}
