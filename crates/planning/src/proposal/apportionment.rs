//! From real-valued spends to whole micros (or whole steps) that add up exactly: largest
//! remainders, kept within the bounds of arms and the limits of placements and audiences.

use super::PlanningInput;
use super::evidence::{Evidence, MICROS};

/// What rounding must keep.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// Least and most of each arm.
    pub bounds: (i64, i64),
    /// Most of sets of arms.
    pub caps: Vec<(i64, Vec<usize>)>,
    /// Least of sets of arms.
    pub floors: Vec<(i64, Vec<usize>)>,
    /// Amounts are multiples of this.
    pub unit: i64,
}

/// Rounds the ideal spends (currency units, one for each open arm). `None` when the whole budget
/// must be spent and the limits, rounded, do not allow it.
#[must_use]
pub fn to_micros(input: &PlanningInput, evidence: &Evidence, ideal: &[f64]) -> Option<Vec<i64>> {
    let budget = input.budget_micros;
    let mut frame =
        Frame { bounds: input.constraints.arm_bounds(budget), unit: input.constraints.step_micros.unwrap_or(1).max(1), ..Frame::default() };
    for limit in input.constraints.share_limits() {
        let covered = evidence.arms.iter().enumerate().filter(|(_, arm)| {
            let arm = &input.arms[arm.position];
            limit.covers(&arm.placement_type, &arm.audience_segment)
        });
        let members = covered.map(|(index, _)| index).collect();
        let side = if limit.is_least { &mut frame.floors } else { &mut frame.caps };
        side.push((limit.micros(budget), members));
    }
    let ideal: Vec<f64> = ideal.iter().map(|units| units * MICROS).collect();
    let sum: f64 = ideal.iter().sum();
    let most = input.constraints.whole_budget(budget);
    let whole = input.constraints.spend_all || (frame.unit == 1 && (sum - budget as f64).abs() <= 1e-7 * budget as f64);
    let target = if whole { most } else { (sum.round() as i64).min(most) };
    let rounded = apportion(&ideal, &frame, target);
    let total: i64 = rounded.iter().sum();
    (total <= budget && (total == most || !input.constraints.spend_all)).then_some(rounded)
}

/// Largest-remainder rounding of `ideal` to multiples of the unit within the frame and, as far as
/// that allows, with the sum `target`.
#[must_use]
pub fn apportion(ideal: &[f64], frame: &Frame, target: i64) -> Vec<i64> {
    let unit = frame.unit.max(1);
    let low = frame.bounds.0.div_euclid(unit) * unit + if frame.bounds.0 % unit == 0 { 0 } else { unit };
    let high = frame.bounds.1 - frame.bounds.1 % unit;
    let down = |x: &f64| ((x / unit as f64 + 1e-9).floor() as i64 * unit).min(high).max(low);
    let mut parts: Vec<i64> = ideal.iter().map(down).collect();
    for (limit, members) in &frame.caps {
        let used: i64 = members.iter().map(|&member| parts[member]).sum();
        take_back(&mut parts, members, low, unit, used - limit);
    }
    let mut caps_of: Vec<Vec<usize>> = vec![Vec::new(); ideal.len()];
    let mut room: Vec<i64> = Vec::new();
    for (cap, (limit, members)) in frame.caps.iter().enumerate() {
        members.iter().for_each(|&member| caps_of[member].push(cap));
        room.push(limit - members.iter().map(|&member| parts[member]).sum::<i64>());
    }
    let mut order: Vec<usize> = (0..parts.len()).collect();
    let remainder = |index: usize| ideal[index] / unit as f64 - (ideal[index] / unit as f64).floor();
    order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)).then(a.cmp(&b)));
    let mut give = |parts: &mut Vec<i64>, index: usize, wanted: i64| -> i64 {
        let room_of_caps = caps_of[index].iter().map(|&cap| room[cap]).min().unwrap_or(i64::MAX);
        let step = wanted.min(high - parts[index]).min(room_of_caps).max(0);
        let step = step - step % unit;
        parts[index] += step;
        caps_of[index].iter().for_each(|&cap| room[cap] -= step);
        step
    };
    let mut missing = target - parts.iter().sum::<i64>();
    for (limit, members) in &frame.floors {
        let mut short = limit - members.iter().map(|&member| parts[member]).sum::<i64>();
        // Rounding took less than a unit from each member.
        for &index in order.iter().filter(|index| members.contains(index)) {
            if short > 0 {
                let given = give(&mut parts, index, unit * short.div_euclid(unit) + if short % unit == 0 { 0 } else { unit });
                short -= given;
                missing -= given;
            }
        }
    }
    // First one unit each by remainder, then whatever is still missing wherever there is room.
    for most in [unit, i64::MAX] {
        for &index in &order {
            // An arm the solver left empty stays empty in the first pass.
            if missing > 0 && (most == i64::MAX || ideal[index] > 0.0) {
                missing -= give(&mut parts, index, most.min(missing));
            }
        }
    }
    if missing < 0 {
        let in_floors = |index: &usize| frame.floors.iter().any(|(_, members)| members.contains(index));
        let free: Vec<usize> = (0..parts.len()).filter(|index| !in_floors(index)).collect();
        take_back(&mut parts, &free, low, unit, -missing);
    }
    parts
}

/// Takes up to `surplus` (rounded up to units) from the largest members first, leaving each at
/// least `low`.
fn take_back(parts: &mut [i64], members: &[usize], low: i64, unit: i64, surplus: i64) {
    let mut left = surplus.max(0);
    let mut order = members.to_vec();
    order.sort_by_key(|&member| (std::cmp::Reverse(parts[member]), member));
    for member in order {
        let wanted = left + (unit - left % unit) % unit;
        let step = wanted.min(parts[member] - low).max(0);
        parts[member] -= step;
        left = (left - step).max(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_thirds_make_a_whole() {
        let third = 100.0 / 3.0;
        let frame = Frame { bounds: (0, 100), unit: 1, ..Frame::default() };
        assert_eq!(apportion(&[third, third, third], &frame, 100), [34, 33, 33]);
    }

    #[test]
    fn caps_hold_after_rounding() {
        let frame = Frame { bounds: (0, 60), caps: vec![(50, vec![0])], unit: 1, ..Frame::default() };
        assert_eq!(apportion(&[50.6, 49.4, 0.0], &frame, 100), [50, 50, 0]);
    }

    #[test]
    fn steps_and_floors_hold_after_rounding() {
        let frame = Frame { bounds: (0, 100), floors: vec![(20, vec![1, 2])], unit: 10, ..Frame::default() };
        assert_eq!(apportion(&[79.0, 12.0, 9.0], &frame, 100), [80, 10, 10]);
    }
}
