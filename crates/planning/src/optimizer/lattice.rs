//! Spends in whole steps: turns any allocation into one of multiples that keeps the rows, by
//! rounding down, filling up where a step earns most, and trading single steps.

use super::program::{Kind, Program, Sense};
use super::work::Work;

/// Largest scaled violation in whole steps: far below one step, above errors of rounding.
const EXACT: f64 = 1e-12;
/// Most arms among which single steps are traded.
const TRADED_ARMS: usize = 200;
/// Most trades.
const TRADES: usize = 200;

/// The nearest good allocation in steps, as far as the work reaches (an amount may hold any number
/// of steps); not always feasible, which the caller checks.
#[must_use]
pub fn snap(program: &Program, spend: &[f64], work: &Work) -> Vec<f64> {
    let mut state = State::new(program, program.arms.iter().zip(spend).map(|(arm, &x)| arm.floor(x)).collect(), work);
    state.meet_minimums();
    state.repair_returns();
    state.fill();
    if program.arms.len() <= TRADED_ARMS {
        state.trade();
    }
    state.spend
}

struct State<'a> {
    program: &'a Program,
    work: &'a Work,
    spend: Vec<f64>,
    usage: Vec<f64>,
    terms: Vec<Vec<(usize, f64, f64)>>,
}

impl<'a> State<'a> {
    fn new(program: &'a Program, spend: Vec<f64>, work: &'a Work) -> Self {
        work.looks(program.arms.len());
        work.operations(2 * program.terms());
        let mut terms = vec![Vec::new(); program.arms.len()];
        for (row, content) in program.rows.iter().enumerate() {
            content.terms.iter().for_each(|&(arm, cost, gain)| terms[arm].push((row, cost, gain)));
        }
        let response = program.responses(&spend);
        let usage = program.rows.iter().map(|row| row.usage(&spend, &response)).collect();
        Self { program, work, spend, usage, terms }
    }

    fn size(&self, arm: usize) -> f64 {
        let arm = &self.program.arms[arm];
        if arm.step > 0.0 { arm.step } else { ((arm.high - arm.low) / 64.0).max(1e-9) }
    }

    /// Spend after `count` steps more; none when that leaves the bounds.
    fn moved(&self, arm: usize, count: f64) -> Option<f64> {
        let bounds = &self.program.arms[arm];
        let to = match bounds.step {
            // Counted in whole steps, so that rounding errors do not pile up over many of them.
            step if step > 0.0 => ((self.spend[arm] / step).round() + count) * step,
            _ => self.spend[arm] + count * self.size(arm),
        };
        (to >= bounds.low - 1e-9 * (1.0 + bounds.low) && to <= bounds.high + 1e-9 * (1.0 + bounds.high)).then_some(to)
    }

    fn gain(&self, arm: usize, to: f64) -> f64 {
        self.work.looks(2);
        let held = &self.program.arms[arm];
        held.curve.response(to) - held.curve.response(self.spend[arm])
    }

    fn changes(&self, arm: usize, to: f64) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.work.operations(self.terms[arm].len());
        let (more, response) = (to - self.spend[arm], self.gain(arm, to));
        self.terms[arm].iter().map(move |&(row, cost, gain)| (row, cost * more - gain * response))
    }

    fn set(&mut self, arm: usize, to: f64) {
        let changes: Vec<(usize, f64)> = self.changes(arm, to).collect();
        changes.into_iter().for_each(|(row, change)| self.usage[row] += change);
        self.spend[arm] = to;
    }

    /// Whether the move breaks no row that it makes fuller.
    fn keeps_rows(&self, arm: usize, to: f64) -> bool {
        self.changes(arm, to).all(|(row, change)| change <= 0.0 || self.usage[row] + change <= self.program.rows[row].limit + EXACT)
    }

    /// Adds steps to members of rows that demand more spend.
    fn meet_minimums(&mut self) {
        for row in 0..self.program.rows.len() {
            let content = &self.program.rows[row];
            if content.kind != Kind::Spend || content.sense != Sense::AtLeast {
                continue;
            }
            while self.usage[row] > content.limit + EXACT && !self.work.is_used_up() {
                let possible = content.terms.iter().filter_map(|&(arm, ..)| {
                    let to = self.moved(arm, 1.0)?;
                    self.keeps_rows(arm, to).then(|| (arm, to, self.worth(arm, to)))
                });
                let Some((arm, to, _)) = possible.max_by(|a, b| a.2.total_cmp(&b.2)) else { break };
                self.set(arm, to);
            }
        }
    }

    /// Takes steps away where that mends a broken return row at the least loss.
    fn repair_returns(&mut self) {
        let broken = |state: &Self| {
            (0..state.usage.len())
                .find(|&row| state.program.rows[row].kind != Kind::Spend && state.usage[row] > state.program.rows[row].limit + EXACT)
        };
        for _ in 0..4 * self.program.arms.len() {
            let Some(row) = broken(self).filter(|_| !self.work.is_used_up()) else { return };
            let possible = (0..self.spend.len()).filter_map(|arm| {
                let to = self.moved(arm, -1.0)?;
                let mends = -self.changes(arm, to).find(|(changed, _)| *changed == row)?.1;
                let loss = -self.program.arms[arm].value * self.gain(arm, to);
                let allowed = self.changes(arm, to).all(|(other, change)| {
                    other == row || change <= 0.0 || self.usage[other] + change <= self.program.rows[other].limit + EXACT
                });
                (mends > 0.0 && allowed).then(|| (arm, to, mends / (loss + 1e-12)))
            });
            let Some((arm, to, _)) = possible.max_by(|a, b| a.2.total_cmp(&b.2)) else { return };
            self.set(arm, to);
        }
    }

    fn worth(&self, arm: usize, to: f64) -> f64 {
        self.program.arms[arm].value * self.gain(arm, to) / (to - self.spend[arm]).max(1e-12)
    }

    /// Adds the step that earns most for its money, as long as one fits.
    fn fill(&mut self) {
        let offers = (0..self.spend.len()).filter_map(|arm| Some(Offer { worth: self.worth(arm, self.moved(arm, 1.0)?), arm }));
        let mut heap: std::collections::BinaryHeap<Offer> = offers.collect();
        while let Some(Offer { worth, arm }) = heap.pop() {
            if self.work.is_used_up() {
                return;
            }
            let Some(to) = self.moved(arm, 1.0) else { continue };
            if worth > 0.0 && self.keeps_rows(arm, to) {
                self.set(arm, to);
                if let Some(next) = self.moved(arm, 1.0) {
                    heap.push(Offer { worth: self.worth(arm, next), arm });
                }
            }
        }
    }

    /// Moves single steps from one arm to another while that earns more.
    fn trade(&mut self) {
        for _ in 0..TRADES {
            let mut best: Option<(f64, usize, f64, usize, f64)> = None;
            for from in 0..self.spend.len() {
                if self.work.is_used_up() {
                    return;
                }
                let Some(less) = self.moved(from, -1.0) else { continue };
                let lost = self.program.arms[from].value * self.gain(from, less);
                for into in (0..self.spend.len()).filter(|into| *into != from) {
                    let Some(more) = self.moved(into, 1.0) else { continue };
                    let earned = lost + self.program.arms[into].value * self.gain(into, more);
                    if earned > 1e-9 && best.is_none_or(|held| earned > held.0) && self.trade_keeps_rows(from, less, into, more) {
                        best = Some((earned, from, less, into, more));
                    }
                }
            }
            let Some((_, from, less, into, more)) = best else { return };
            self.set(from, less);
            self.set(into, more);
        }
    }

    fn trade_keeps_rows(&self, from: usize, less: f64, into: usize, more: f64) -> bool {
        self.work.operations(2 * self.usage.len());
        let mut after = self.usage.clone();
        self.changes(from, less).chain(self.changes(into, more)).for_each(|(row, change)| after[row] += change);
        after.iter().zip(&self.program.rows).all(|(usage, row)| *usage <= row.limit + EXACT)
    }
}

#[derive(PartialEq)]
struct Offer {
    worth: f64,
    arm: usize,
}
impl Eq for Offer {}
impl PartialOrd for Offer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Offer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.worth.total_cmp(&other.worth).then(other.arm.cmp(&self.arm))
    }
}
