//! Work is counted instead of timed: equal problems get equal answers however busy the machine is,
//! and no problem holds a processor for long.

use std::cell::Cell;

use super::program::Program;

/// Simple operations (a term of a row, a cell of the simplex) that take about as long as one look
/// at one arm's curve.
const OPERATIONS: u64 = 32;
/// Looks at the whole problem that any search may take, however large the problem is.
const ROUNDS: u64 = 1_000;
/// Looks that the best multiple of a step takes at one curve.
const MULTIPLES: usize = 6;
/// Looks for explaining why a problem has no solution and what would have to give.
const EXPLAINING: u64 = 12_000_000;
/// Looks at the whole problem that explaining may take, however large the problem is.
const EXPLAINING_ROUNDS: u64 = 300;

/// A bound on the work for one question, counted in looks at one arm's curve.
#[derive(Debug)]
pub struct Work {
    most: u64,
    done: Cell<u64>,
}

impl Work {
    /// At most so many looks.
    #[must_use]
    pub fn up_to(looks: u64) -> Self {
        Self { most: looks.saturating_mul(OPERATIONS), done: Cell::new(0) }
    }

    /// For one search: at most so many looks, but enough to go over a large problem.
    #[must_use]
    pub fn for_search(program: &Program, looks: u64) -> Self {
        Self::up_to(looks.max(ROUNDS.saturating_mul(program.size())))
    }

    /// For explaining why a program has no solution and what would have to give.
    #[must_use]
    pub fn for_explaining(program: &Program) -> Self {
        Self::up_to(EXPLAINING.max(EXPLAINING_ROUNDS.saturating_mul(program.size())))
    }

    /// Counts looks at curves.
    pub fn looks(&self, count: usize) {
        self.add((count as u64).saturating_mul(OPERATIONS));
    }

    /// Counts a look at each arm of a program.
    pub fn round(&self, program: &Program) {
        self.looks(program.arms.len() * if program.has_steps() { MULTIPLES } else { 1 });
        self.operations(2 * program.terms());
    }

    /// Counts simple operations.
    pub fn operations(&self, count: usize) {
        self.add(count as u64);
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.done.get() >= self.most
    }

    /// What is left, in looks.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.most.saturating_sub(self.done.get()) / OPERATIONS
    }

    /// What was allowed at first, in looks.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.most / OPERATIONS
    }

    /// What was done, in looks.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.get() / OPERATIONS
    }

    /// Asks something that may use so many looks of what is left.
    pub fn within<T>(&self, looks: u64, ask: impl FnOnce(&Self) -> T) -> T {
        let left = self.most.saturating_sub(self.done.get());
        let part = Self { most: left.min(looks.saturating_mul(OPERATIONS)), done: Cell::new(0) };
        let answer = ask(&part);
        self.add(part.done.get());
        answer
    }

    fn add(&self, operations: u64) {
        self.done.set(self.done.get().saturating_add(operations));
    }
}
