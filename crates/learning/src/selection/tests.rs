//! Batches: of tasks that are alike one is asked, gains are those of the joint information, and the random floor is blind.

use std::collections::HashSet;

use super::*;

fn view(variance: f64, direction: &[(u64, f64)]) -> View {
    View { information: variance / 8.0, uncertainty: 1.0, variance, precision: 0.25, direction: direction.to_vec() }
}

fn rules(batch: usize, random_share: f64) -> Rules {
    Rules { batch, random_share, seed: 7 }
}

#[test]
fn of_tasks_that_are_alike_one_is_asked_before_a_lesser_one_that_is_new() {
    // Three copies of the widest spread, one of the opposite direction (which tells the same), one less spread but new.
    let pool = [view(9.0, &[(0, 1.0)]), view(9.0, &[(0, 1.0)]), view(8.9, &[(0, 1.0)]), view(8.9, &[(0, -1.0)]), view(4.0, &[(1, 1.0)])];
    let order: Vec<usize> = choose(&pool, &rules(5, 0.0)).iter().map(|pick| pick.index).collect();
    assert_eq!(order[..2], [0, 4]);
}

#[test]
fn gains_are_those_of_the_joint_information() {
    // Two comparisons with correlation 0.6: by hand, ln det(I + K/4) / 2 of K = [[4, 1.2], [1.2, 1]].
    let pool = [view(4.0, &[(0, 1.0)]), view(1.0, &[(0, 0.6), (1, 0.8)])];
    let total: f64 = choose(&pool, &rules(2, 0.0)).iter().map(|pick| pick.gain).sum();
    let determinant: f64 = (1.0 + 1.0) * (1.0 + 0.25) - (1.2_f64 / 4.0).powi(2);
    assert!((total - determinant.ln() / 2.0).abs() < 1e-12, "{total}");
}

#[test]
fn the_floor_is_drawn_blindly_and_stands_evenly_in_the_batch() {
    let pool: Vec<View> = (0..200_u32).map(|n| view(f64::from(n) + 1.0, &[(u64::from(n), 1.0)])).collect();
    let mut times = vec![0_u32; pool.len()];
    for seed in 0..400 {
        let picks = choose(&pool, &Rules { batch: 50, random_share: 0.2, seed });
        assert_eq!(picks.iter().map(|pick| pick.index).collect::<HashSet<_>>().len(), 50, "none twice");
        for tenth in picks.chunks(10) {
            assert_eq!(tenth.iter().filter(|pick| pick.arm == Arm::Random).count(), 2);
        }
        picks.iter().filter(|pick| pick.arm == Arm::Random).for_each(|pick| times[pick.index] += 1);
    }
    // 10 of 200 each time: 20 draws expected of every task, also of those that the model finds most and least worth asking.
    let (low, high) = (times[..20].iter().sum::<u32>(), times[180..].iter().sum::<u32>());
    assert!((300..500).contains(&low) && (300..500).contains(&high), "{low} {high}");
    assert_eq!(choose(&pool, &rules(50, 0.2)), choose(&pool, &rules(50, 0.2)), "the same seed, the same batch");
}

#[test]
fn small_pools_and_odd_rules_are_taken_whole() {
    let pool = [view(1.0, &[]), view(0.0, &[]), View { precision: 0.0, ..view(3.0, &[(5, 1.0)]) }];
    for share in [0.0, 0.5, 1.0, 7.0, -1.0] {
        assert_eq!(choose(&pool, &rules(10, share)).len(), 3, "{share}");
    }
    assert!(choose(&[], &rules(10, 0.2)).is_empty() && choose(&pool, &rules(0, 0.2)).is_empty());
}
