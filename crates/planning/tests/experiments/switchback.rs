//! Switchback readouts: what the lot alone says.

use planning::experiments::lot::Lot;
use planning::experiments::switchback::{BlockPair, analyse, is_treated};

use crate::{control, near};

#[test]
fn one_block_of_each_pair_is_treated_by_a_lot_that_stays() {
    let mut firsts = 0;
    for pair in 0..2_000_u64 {
        let first = is_treated("exp-1", "salt", "store-1", 2 * pair);
        assert_ne!(first, is_treated("exp-1", "salt", "store-1", 2 * pair + 1));
        assert_eq!(first, is_treated("exp-1", "salt", "store-1", 2 * pair));
        firsts += u32::from(first);
    }
    assert!((900..1100).contains(&firsts), "{firsts}");
}

#[test]
fn the_p_value_counts_flips() {
    let control = control();
    let pair = |difference: f64| BlockPair { treated: 10.0 + difference, control: 10.0 };
    // All six differences positive: of 64 flips only this one and its opposite are as extreme.
    let all: Vec<BlockPair> = [1.0, 2.0, 1.5, 0.5, 1.0, 3.0].map(pair).to_vec();
    let found = analyse(&all, 0.05, &control, "s").unwrap();
    near(found.p_value, 2.0 / 64.0, 1e-12);
    near(found.difference.value(), 1.5, 1e-12);
    assert!(found.is_exact && found.is_significant && !found.difference.interval().holds(0.0));
    assert_eq!(found.difference.sample().n.get(), 6);
    near(found.relative_lift.unwrap().value(), 0.15, 1e-12);
    assert!(analyse(&all[..4], 0.05, &control, "s").is_err());
    let five = analyse(&all[..5], 0.05, &control, "s").unwrap();
    assert_eq!((five.difference.interval().low, five.is_significant), (None, false), "five pairs cannot show anything at 5 %");
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let (control, runs) = (control(), 100);
    let mut held = 0;
    for run in 0..runs {
        let mut lot = Lot::seeded(&["switchback", &run.to_string()]);
        let pairs: Vec<BlockPair> =
            (0..12).map(|_| BlockPair { treated: 7.0 + 4.0 * lot.unit(), control: 5.0 + 4.0 * lot.unit() }).collect();
        held += u32::from(analyse(&pairs, 0.1, &control, "s").unwrap().difference.interval().holds(2.0));
    }
    assert!((83..=99).contains(&held), "{held} of {runs}");
}
