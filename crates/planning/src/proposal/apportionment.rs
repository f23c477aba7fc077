//! From real-valued spends to whole micros that add up exactly: largest remainders, kept within
//! the bounds of arms and the caps of placement types.

use super::PlanningInput;
use super::constraints::most_micros;
use super::evidence::{Evidence, MICROS};

/// Rounds the ideal spends (currency units, one for each open arm). `None` when the whole budget
/// must be spent and the caps, rounded to micros, do not allow it.
#[must_use]
pub fn to_micros(input: &PlanningInput, evidence: &Evidence, ideal: &[f64]) -> Option<Vec<i64>> {
    let budget = input.budget_micros;
    let (low, high) = input.constraints.arm_bounds(budget);
    let caps: Vec<(i64, Vec<usize>)> = input
        .constraints
        .max_share_per_placement
        .iter()
        .map(|(placement, share)| {
            let members = evidence.arms.iter().enumerate();
            let members = members.filter(|(_, arm)| input.arms[arm.position].placement_type == *placement);
            (most_micros(*share, budget), members.map(|(index, _)| index).collect())
        })
        .collect();
    let ideal: Vec<f64> = ideal.iter().map(|units| units * MICROS).collect();
    let sum: f64 = ideal.iter().sum();
    let whole = input.constraints.spend_all || (sum - budget as f64).abs() <= 1e-7 * budget as f64;
    let target = if whole { budget } else { (sum.round() as i64).min(budget) };
    let rounded = apportion(&ideal, (low, high), &caps, target);
    let total: i64 = rounded.iter().sum();
    (total <= budget && (total == budget || !input.constraints.spend_all)).then_some(rounded)
}

/// Largest-remainder rounding of `ideal` to whole numbers within `bounds`, disjoint group `caps`
/// and, as far as those allow, with the sum `target`.
#[must_use]
pub fn apportion(ideal: &[f64], bounds: (i64, i64), caps: &[(i64, Vec<usize>)], target: i64) -> Vec<i64> {
    let (low, high) = bounds;
    let mut parts: Vec<i64> = ideal.iter().map(|x| (x.floor() as i64).max(low).min(high)).collect();
    let mut room: Vec<i64> = vec![i64::MAX; caps.len()];
    let mut cap_of: Vec<Option<usize>> = vec![None; ideal.len()];
    for (cap, (limit, members)) in caps.iter().enumerate() {
        members.iter().for_each(|&member| cap_of[member] = Some(cap));
        let used: i64 = members.iter().map(|&member| parts[member]).sum();
        let freed = take_back(&mut parts, members, low, used - limit);
        room[cap] = limit - (used - freed);
    }
    let mut missing = target - parts.iter().sum::<i64>();
    if missing < 0 {
        let everyone: Vec<usize> = (0..parts.len()).collect();
        take_back(&mut parts, &everyone, low, -missing);
        return parts;
    }
    let mut order: Vec<usize> = (0..parts.len()).collect();
    let remainder = |index: usize| ideal[index] - ideal[index].floor();
    order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)).then(a.cmp(&b)));
    // First one micro each by remainder, then whatever is still missing wherever there is room.
    for most in [1, i64::MAX] {
        for &index in &order {
            let group = cap_of[index].map_or(i64::MAX, |cap| room[cap]);
            // An arm the solver left empty stays empty in the first pass.
            let wanted = most == i64::MAX || ideal[index] > 0.0;
            let step = most.min(missing).min(high - parts[index]).min(group).max(0);
            if wanted && step > 0 {
                parts[index] += step;
                missing -= step;
                if let Some(cap) = cap_of[index] {
                    room[cap] -= step;
                }
            }
        }
    }
    parts
}

/// Takes up to `surplus` from the largest members first, leaving each at least `low`; returns
/// what was taken.
fn take_back(parts: &mut [i64], members: &[usize], low: i64, surplus: i64) -> i64 {
    let mut left = surplus.max(0);
    let mut order = members.to_vec();
    order.sort_by_key(|&member| (std::cmp::Reverse(parts[member]), member));
    for member in order {
        let step = left.min(parts[member] - low).max(0);
        parts[member] -= step;
        left -= step;
    }
    surplus.max(0) - left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_thirds_make_a_whole() {
        let third = 100.0 / 3.0;
        assert_eq!(apportion(&[third, third, third], (0, 100), &[], 100), [34, 33, 33]);
    }

    #[test]
    fn caps_hold_after_rounding() {
        let parts = apportion(&[50.6, 49.4, 0.0], (0, 60), &[(50, vec![0])], 100);
        assert_eq!(parts, [50, 50, 0]);
    }
}
