//! Limited-memory BFGS (Liu and Nocedal 1989) for smooth convex functions. Deterministic: one thread,
//! fixed order of operations.

use std::collections::VecDeque;

const MEMORY: usize = 8;
/// Sufficient decrease of the line search (Armijo).
const DECREASE: f64 = 1e-4;
const MAX_HALVINGS: usize = 40;

/// A step, the change of the gradient over it, and the inverse of their inner product.
struct Correction {
    step: Vec<f64>,
    change: Vec<f64>,
    inverse: f64,
}

/// Minimises `objective` (value; writes the gradient) from `start` until no gradient entry exceeds
/// `tolerance`, no further decrease is possible, or `steps` are made.
pub(super) fn minimise(start: Vec<f64>, tolerance: f64, steps: usize, objective: impl Fn(&[f64], &mut [f64]) -> f64) -> Vec<f64> {
    let mut point = start;
    let mut gradient = vec![0.0; point.len()];
    let mut value = objective(&point, &mut gradient);
    let mut memory: VecDeque<Correction> = VecDeque::with_capacity(MEMORY);
    let (mut trial, mut trial_gradient) = (point.clone(), gradient.clone());
    for _ in 0..steps {
        if gradient.iter().all(|slope| slope.abs() <= tolerance) {
            break;
        }
        let direction = descent(&gradient, &memory);
        let slope = dot(&direction, &gradient);
        // The first step has no curvature to go by: keep it short.
        let mut length = if memory.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let mut improved = None;
        for _ in 0..MAX_HALVINGS {
            for ((to, from), along) in trial.iter_mut().zip(&point).zip(&direction) {
                *to = from + length * along;
            }
            let next = objective(&trial, &mut trial_gradient);
            if next <= value + DECREASE * length * slope {
                improved = Some(next);
                break;
            }
            length *= 0.5;
        }
        let Some(next) = improved else {
            break;
        };
        let step: Vec<f64> = trial.iter().zip(&point).map(|(to, from)| to - from).collect();
        let change: Vec<f64> = trial_gradient.iter().zip(&gradient).map(|(to, from)| to - from).collect();
        let curvature = dot(&step, &change);
        if curvature > 1e-12 {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back(Correction { step, change, inverse: 1.0 / curvature });
        }
        std::mem::swap(&mut point, &mut trial);
        std::mem::swap(&mut gradient, &mut trial_gradient);
        value = next;
    }
    point
}

/// The two-loop recursion: minus the approximate inverse Hessian times the gradient.
fn descent(gradient: &[f64], memory: &VecDeque<Correction>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for correction in memory.iter().rev() {
        let share = correction.inverse * dot(&correction.step, &direction);
        add(&mut direction, -share, &correction.change);
        shares.push(share);
    }
    if let Some(last) = memory.back() {
        let scale = 1.0 / (last.inverse * dot(&last.change, &last.change));
        direction.iter_mut().for_each(|along| *along *= scale);
    }
    for (correction, share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = correction.inverse * dot(&correction.change, &direction);
        add(&mut direction, share - back, &correction.step);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(x, y)| *x += factor * y);
}
