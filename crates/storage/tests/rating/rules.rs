//! Rules of rating that need no database: blind orders, places in the queue, means of a record.

use chrono::{DateTime, Utc};
use storage::assignments::blind_order;
use storage::queue::{Weights, position, uncertainty_of};
use storage::raters::{Step, mean_after};

#[test]
fn blind_orders_are_fair_and_repeatable() {
    let mut first_is_a = 0;
    for n in 0..2000 {
        let id = format!("asg_{n}");
        let order = blind_order(&id, 2);
        assert_eq!(order, blind_order(&id, 2));
        first_is_a += usize::from(order == [0, 1]);
    }
    // Within five standard deviations of half.
    assert!((888..1112).contains(&first_is_a), "{first_is_a}");
    let mut three = blind_order("asg_x", 3);
    three.sort_unstable();
    assert_eq!(three, [0, 1, 2]);
}

#[test]
fn a_day_of_waiting_priority_and_uncertainty_bring_a_task_forward() {
    let weights = Weights::default();
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let base = position(&weights, 50, 0.5, at("2026-01-15T12:00:00Z"));
    assert!(position(&weights, 60, 0.5, at("2026-01-15T12:00:00Z")) < base);
    assert!(position(&weights, 50, 0.9, at("2026-01-15T12:00:00Z")) < base);
    let older = position(&weights, 50, 0.5, at("2026-01-14T12:00:00Z"));
    assert!((base - older - weights.age).abs() < 1e-9);
    assert!((uncertainty_of(Some(0.9), Some(0.75), 0.0) - 0.25).abs() < 1e-12, "judgments say more than the model");
}

#[test]
fn a_mean_goes_forward_and_back() {
    let one = mean_after(None, 0, 0.5, Step::Forward);
    let two = mean_after(one, 1, 1.0, Step::Forward);
    assert!((two.unwrap() - 0.75).abs() < 1e-12);
    assert!((mean_after(two, 2, 1.0, Step::Back).unwrap() - 0.5).abs() < 1e-12);
    assert_eq!(mean_after(one, 1, 0.5, Step::Back), None);
}
