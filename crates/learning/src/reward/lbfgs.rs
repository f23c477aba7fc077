//! Limited-memory BFGS (Liu and Nocedal 1989) for smooth convex functions. Deterministic: fixed order of operations. A search asks for values
//! one point after the other and does not look them up itself, so that several searches can be answered by one reading of the data.

use std::collections::VecDeque;

const MEMORY: usize = 8;
/// Sufficient decrease of the line search (Armijo).
const DECREASE: f64 = 1e-4;
const MAX_SHORTENINGS: usize = 40;

/// When a search ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// No entry of the gradient exceeds this.
    pub(super) tolerance: f64,
    /// Two steps one after the other lower the value by less than this.
    pub(super) decrease: f64,
    /// So many steps are made.
    pub(super) steps: usize,
}

/// A step, the change of the gradient over it, and the inverse of their inner product.
struct Correction {
    step: Vec<f64>,
    change: Vec<f64>,
    inverse: f64,
}

/// The search for the lowest point of one function.
pub(super) struct Search {
    limits: Limits,
    /// About how strongly the function curves along each axis by itself, above 0: a better guess makes fewer steps.
    curvature: Vec<f64>,
    point: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
    memory: VecDeque<Correction>,
    direction: Vec<f64>,
    slope: f64,
    length: f64,
    shortened: usize,
    trial: Vec<f64>,
    made: usize,
    last_decrease: f64,
    is_done: bool,
}

impl Search {
    /// From a point.
    pub(super) fn new(start: Vec<f64>, curvature: Vec<f64>, limits: Limits) -> Self {
        Self {
            limits,
            curvature,
            value: f64::NAN,
            gradient: Vec::new(),
            memory: VecDeque::with_capacity(MEMORY),
            direction: Vec::new(),
            slope: 0.0,
            length: 0.0,
            shortened: 0,
            trial: start.clone(),
            point: start,
            made: 0,
            last_decrease: f64::INFINITY,
            is_done: false,
        }
    }

    /// The point whose value is wanted next; `None` at the end.
    pub(super) fn wanted(&self) -> Option<&[f64]> {
        (!self.is_done).then_some(&self.trial)
    }

    /// The lowest point found.
    pub(super) fn into_point(self) -> Vec<f64> {
        self.point
    }

    /// Takes value and gradient at the point that was wanted.
    pub(super) fn take(&mut self, value: f64, gradient: Vec<f64>) {
        if self.direction.is_empty() {
            (self.value, self.gradient) = (value, gradient);
        } else if value <= self.value + DECREASE * self.length * self.slope {
            self.step(value, gradient);
        } else {
            self.shorten(value);
            return;
        }
        self.turn();
    }

    /// Goes to the trial point.
    fn step(&mut self, value: f64, gradient: Vec<f64>) {
        let step: Vec<f64> = self.trial.iter().zip(&self.point).map(|(to, from)| to - from).collect();
        let change: Vec<f64> = gradient.iter().zip(&self.gradient).map(|(to, from)| to - from).collect();
        let bend = dot(&step, &change);
        if bend > 1e-12 {
            if self.memory.len() == MEMORY {
                self.memory.pop_front();
            }
            self.memory.push_back(Correction { step, change, inverse: 1.0 / bend });
        }
        std::mem::swap(&mut self.point, &mut self.trial);
        let decrease = self.value - value;
        self.is_done = decrease.max(self.last_decrease) < self.limits.decrease;
        (self.value, self.gradient, self.last_decrease) = (value, gradient, decrease);
        self.made += 1;
    }

    /// Chooses the next direction, or ends.
    fn turn(&mut self) {
        self.is_done |= self.made >= self.limits.steps || self.gradient.iter().all(|slope| slope.abs() <= self.limits.tolerance);
        if self.is_done {
            return;
        }
        self.direction = descent(&self.gradient, &self.memory, &self.curvature);
        self.slope = dot(&self.direction, &self.gradient);
        (self.length, self.shortened) = (1.0, 0);
        self.look();
    }

    /// Tries a shorter step along the same direction: to the lowest point of the parabola through what is known.
    fn shorten(&mut self, value: f64) {
        let parabola = -self.slope * self.length / (2.0 * ((value - self.value) / self.length - self.slope));
        let (least, most) = (0.1 * self.length, 0.5 * self.length);
        self.length = if parabola.is_finite() { parabola.clamp(least, most) } else { most };
        self.shortened += 1;
        self.is_done = self.shortened >= MAX_SHORTENINGS;
        self.look();
    }

    fn look(&mut self) {
        self.trial.resize(self.point.len(), 0.0);
        for ((to, from), along) in self.trial.iter_mut().zip(&self.point).zip(&self.direction) {
            *to = from + self.length * along;
        }
    }
}

/// The two-loop recursion: minus the approximate inverse Hessian times the gradient.
fn descent(gradient: &[f64], memory: &VecDeque<Correction>, curvature: &[f64]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for correction in memory.iter().rev() {
        let share = correction.inverse * dot(&correction.step, &direction);
        add(&mut direction, -share, &correction.change);
        shares.push(share);
    }
    let scale = memory.back().map_or(1.0, |last| {
        let size: f64 = last.change.iter().zip(curvature).map(|(change, curvature)| change * change / curvature).sum();
        1.0 / (last.inverse * size)
    });
    direction.iter_mut().zip(curvature).for_each(|(along, curvature)| *along *= scale / curvature);
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
