//! The factor of a small dense system, in which the interior point finds its directions.

/// A lower triangular factor of a symmetric positive definite matrix.
pub(super) struct Cholesky {
    size: usize,
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors the lower triangle of a row-major matrix. A pivot that rounding has made vanish gets
    /// so large a one that its row does not move.
    pub fn of(mut matrix: Vec<f64>, size: usize) -> Option<Self> {
        let largest = (0..size).map(|row| matrix[row * size + row]).fold(0.0, f64::max);
        for row in 0..size {
            let (above, own) = matrix.split_at_mut(row * size);
            for column in 0..=row {
                let before = if column == row { &own[..column] } else { &above[column * size..column * size + column] };
                let sum: f64 = before.iter().zip(&own[..column]).map(|(a, b)| a * b).sum();
                let left = own[column] - sum;
                own[column] = if column < row {
                    left / above[column * size + column]
                } else if left > 1e-30 * largest {
                    left.sqrt()
                } else if left.is_finite() {
                    1e64
                } else {
                    return None;
                };
            }
        }
        Some(Self { size, lower: matrix })
    }

    /// Turns a right-hand side into the solution of the system.
    pub fn solve(&self, right: &mut [f64]) {
        let size = self.size;
        for row in 0..size {
            let known: f64 = self.lower[row * size..row * size + row].iter().zip(&right[..row]).map(|(a, b)| a * b).sum();
            right[row] = (right[row] - known) / self.lower[row * size + row];
        }
        for row in (0..size).rev() {
            right[row] /= self.lower[row * size + row];
            let value = right[row];
            right[..row].iter_mut().zip(&self.lower[row * size..row * size + row]).for_each(|(cell, entry)| *cell -= entry * value);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn solves_a_system() {
        let mut right = vec![10.0, 11.0];
        Cholesky::of(vec![4.0, 0.0, 2.0, 3.0], 2).unwrap().solve(&mut right);
        // 4 x + 2 y = 10, 2 x + 3 y = 11.
        assert!((right[0] - 1.0).abs() < 1e-12 && (right[1] - 3.0).abs() < 1e-12, "{right:?}");
        assert!(Cholesky::of(vec![f64::NAN], 1).is_none());
    }

    #[test]
    fn a_row_without_anything_does_not_move() {
        let mut right = vec![8.0, 5.0];
        Cholesky::of(vec![4.0, 0.0, 0.0, 0.0], 2).unwrap().solve(&mut right);
        assert!((right[0] - 2.0).abs() < 1e-12 && right[1].abs() < 1e-60, "{right:?}");
    }
}
