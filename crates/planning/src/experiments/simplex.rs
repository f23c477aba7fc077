//! Least squares with weights that are not negative and add up to one: accelerated projected gradient, then an exact active-set finish.

use super::ExperimentError;

/// Rounds of projected gradient before the active set is looked at, and between looks.
const ROUNDS: usize = 400;
/// Looks at the active set at most.
const LOOKS: usize = 25;
/// Relative tolerance of the optimality conditions.
const TOLERANCE: f64 = 1e-10;

/// The point of the unit simplex nearest to `point` (Duchi et al. 2008).
#[must_use]
pub fn project(point: &[f64]) -> Vec<f64> {
    let mut sorted = point.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (at, value) in sorted.iter().enumerate() {
        sum += value;
        let candidate = (sum - 1.0) / (at + 1) as f64;
        if value - candidate > 0.0 {
            shift = candidate;
        }
    }
    point.iter().map(|value| (value - shift).max(0.0)).collect()
}

/// Weights w on the simplex that make `|sum_j w_j columns_j - target|^2` least.
///
/// # Errors
/// [`ExperimentError`] without columns, for columns of different lengths, or for numbers that are not finite.
pub fn simplex_least_squares(columns: &[Vec<f64>], target: &[f64]) -> Result<Vec<f64>, ExperimentError> {
    let all_finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
    if columns.is_empty() || target.is_empty() {
        return Err(ExperimentError::NotEnough("there is no control series or no period to fit".to_owned()));
    }
    if !all_finite(target) || columns.iter().any(|column| column.len() != target.len() || !all_finite(column)) {
        return Err(ExperimentError::invalid("series", "must be finite and of one length"));
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let gram: Vec<Vec<f64>> = columns.iter().map(|one| columns.iter().map(|other| dot(one, other)).collect()).collect();
    let linear: Vec<f64> = columns.iter().map(|column| dot(column, target)).collect();
    Ok(solve(&gram, &linear))
}

fn times(gram: &[Vec<f64>], w: &[f64]) -> Vec<f64> {
    gram.iter().map(|row| row.iter().zip(w).map(|(a, b)| a * b).sum()).collect()
}

fn solve(gram: &[Vec<f64>], linear: &[f64]) -> Vec<f64> {
    let count = linear.len();
    let scale = gram.iter().enumerate().map(|(at, row)| row.get(at).copied().unwrap_or(0.0)).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let lipschitz = largest_eigenvalue(gram).max(scale * 1e-12);
    let mut w = vec![1.0 / count as f64; count];
    for _ in 0..LOOKS {
        w = descend(gram, linear, lipschitz, w);
        if let Some(exact) = finish(gram, linear, &w, scale) {
            return exact;
        }
    }
    w
}

/// Accelerated projected gradient with restarts (Beck and Teboulle 2009; O'Donoghue and Candès 2015).
fn descend(gram: &[Vec<f64>], linear: &[f64], lipschitz: f64, start: Vec<f64>) -> Vec<f64> {
    let (mut w, mut ahead, mut t) = (start.clone(), start, 1.0_f64);
    for _ in 0..ROUNDS {
        let slope = times(gram, &ahead);
        let stepped: Vec<f64> = ahead.iter().zip(slope.iter().zip(linear)).map(|(x, (g, q))| x - (g - q) / lipschitz).collect();
        let next = project(&stepped);
        let turned: f64 = ahead.iter().zip(&next).zip(&w).map(|((a, n), o)| (a - n) * (n - o)).sum();
        if turned > 0.0 {
            t = 1.0;
        }
        let next_t = 0.5 * (1.0 + (1.0 + 4.0 * t * t).sqrt());
        let momentum = if turned > 0.0 { 0.0 } else { (t - 1.0) / next_t };
        ahead = next.iter().zip(&w).map(|(n, o)| n + momentum * (n - o)).collect();
        let moved = next.iter().zip(&w).map(|(n, o)| (n - o).abs()).fold(0.0, f64::max);
        w = next;
        t = next_t;
        if moved < 1e-15 {
            break;
        }
    }
    w
}

/// The exact optimum on the columns in use, when it is the optimum of all: no weight is negative and no unused column would help.
fn finish(gram: &[Vec<f64>], linear: &[f64], w: &[f64], scale: f64) -> Option<Vec<f64>> {
    let used: Vec<usize> = w.iter().enumerate().filter(|(_, weight)| **weight > 1e-9).map(|(at, _)| at).collect();
    // Minimise over the columns in use under sum = 1: [G 1; 1' 0] [w; m] = [q; 1].
    let size = used.len() + 1;
    let mut system: Vec<Vec<f64>> = Vec::with_capacity(size);
    for &row in &used {
        let mut line: Vec<f64> = used.iter().map(|&column| gram[row][column] / scale).collect();
        line.extend([1.0, linear[row] / scale]);
        system.push(line);
    }
    let mut last = vec![1.0; used.len()];
    last.extend([0.0, 1.0]);
    system.push(last);
    let solution = eliminate(system)?;
    let mut exact = vec![0.0; w.len()];
    for (&at, value) in used.iter().zip(&solution) {
        if *value < -1e-12 {
            return None;
        }
        exact[at] = value.max(0.0);
    }
    let total: f64 = exact.iter().sum();
    exact.iter_mut().for_each(|weight| *weight /= total);
    let slope: Vec<f64> = times(gram, &exact).iter().zip(linear).map(|(g, q)| (g - q) / scale).collect();
    let level = used.iter().map(|&at| slope[at]).fold(f64::INFINITY, f64::min);
    slope.iter().all(|value| *value >= level - TOLERANCE * (1.0 + level.abs())).then_some(exact)
}

/// Solves a square system given with its right side as last column; none when it is singular.
fn eliminate(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let size = rows.len();
    for pivot in 0..size {
        let best = (pivot..size).max_by(|a, b| rows[*a][pivot].abs().total_cmp(&rows[*b][pivot].abs()))?;
        if rows[best][pivot].abs() < 1e-13 {
            return None;
        }
        rows.swap(pivot, best);
        let (done, open) = rows.split_at_mut(pivot + 1);
        let line = done.last()?;
        for row in open {
            let factor = row[pivot] / line[pivot];
            row.iter_mut().zip(line).skip(pivot).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut solution = vec![0.0; size];
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|later| rows[at][later] * solution[later]).sum();
        solution[at] = (rows[at][size] - known) / rows[at][at];
    }
    Some(solution)
}

/// By power iteration, raised a little so that a step of its inverse is safe.
fn largest_eigenvalue(gram: &[Vec<f64>]) -> f64 {
    let mut vector: Vec<f64> = (0..gram.len()).map(|at| 1.0 + (at % 7) as f64 * 0.1).collect();
    let mut value = 0.0;
    for _ in 0..60 {
        let next = times(gram, &vector);
        let length = next.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length <= 0.0 {
            return 0.0;
        }
        value = length / vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector = next.iter().map(|x| x / length).collect();
    }
    let trace: f64 = gram.iter().enumerate().map(|(at, row)| row[at]).sum();
    (value * 1.05).min(trace)
}
