//! What would have to give: for a request without a solution, the smallest move of each limit that
//! alone would be enough, and when none is, the smallest common move of several. Every answer was
//! checked by solving the moved problem. The search is bounded, and says so where it did not reach
//! the smallest move.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use super::program::{Program, Sense};
use super::work::Work;
use super::{branch, conflict};

/// A limit that may move.
#[derive(Debug, Clone, PartialEq)]
pub struct Knob {
    /// Its name, as in conflicts.
    pub constraint: String,
    /// Where it is now.
    pub from: f64,
    /// `AtMost` limits move up, `AtLeast` limits move down.
    pub sense: Sense,
}

/// One limit's move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The limit.
    pub constraint: String,
    /// Where it is.
    pub from: f64,
    /// Where it would have to be.
    pub to: f64,
}

/// A way out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relaxation {
    /// The moves, all of which are needed.
    pub changes: Vec<Change>,
    /// The largest move relative to where its limit is.
    pub relative: f64,
    /// Whether it was proven that a common move of these limits that is smaller by one percent is not
    /// enough. Otherwise the search did not reach that proof: the move is enough, but a smaller one may
    /// be too.
    #[serde(default)]
    pub is_smallest: bool,
    /// In words.
    pub text: String,
}

/// Most limits that are moved at once.
const KNOBS: usize = 12;
/// How far beyond the edge a limit on a ratio is moved, as a fraction: at the edge itself a solution
/// that was found once may fail a test of feasibility by its last digit.
const MARGIN: f64 = 1e-6;
/// Arms from which fewer steps of halving must do.
const LARGE: usize = 500;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WaysOut {
    /// Ways out, the smallest relative move first.
    pub ways: Vec<Relaxation>,
    /// Why there is none, or why there may be others; absent when all single moves were tried.
    pub reason: Option<String>,
}

/// Ways out of a conflict, given by the names of its rows. `knobs` are the limits that can move,
/// `build` makes the program with all limits at the given places.
#[must_use]
pub fn smallest(rows: &[String], knobs: &[Knob], build: &dyn Fn(&[f64]) -> Program, work: &Work) -> WaysOut {
    let start: Vec<f64> = knobs.iter().map(|knob| knob.from).collect();
    let halvings = if build(&start).arms.len() > LARGE { 14 } else { 30 };
    let search = Search { knobs, build, halvings, work, unsure: Cell::new(false), ruled_out: Cell::new(0.0) };
    let mut involved = search.indices(rows);
    let mut ways: Vec<Relaxation> = Vec::new();
    let mut unanswered = 0;
    for (tried, &knob) in involved.iter().enumerate() {
        if tried >= KNOBS || work.is_used_up() {
            unanswered += 1;
            continue;
        }
        let way = search.alone(&start, knob);
        unanswered += usize::from(way.is_none() && search.unsure.get());
        ways.extend(way);
    }
    if ways.is_empty() && !work.is_used_up() {
        // Other limits stand behind the first conflict: collect them, then move all together.
        for _ in 0..KNOBS {
            let freed = search.at(&start, &involved, 1.0);
            let Some(next) = conflict::explain(&build(&freed), work) else { break };
            let before = involved.len();
            for knob in search.indices(&next.rows) {
                if !involved.contains(&knob) {
                    involved.push(knob);
                }
            }
            if involved.len() == before {
                break;
            }
        }
        ways.extend(search.together(&start, &involved));
    }
    ways.sort_by(|a, b| a.relative.total_cmp(&b.relative));
    let reason = match (ways.is_empty(), unanswered) {
        (_, many) if many > 0 => {
            Some(format!("the bound on work was reached: whether moving one of {many} further limits is enough is not known"))
        }
        (true, _) if work.is_used_up() => Some("the bound on work was reached before a way out was found".to_owned()),
        (true, _) if involved.is_empty() => Some("no limit that could move is part of the conflict".to_owned()),
        (true, _) => Some("no move of these limits was found to be enough".to_owned()),
        _ => None,
    };
    WaysOut { ways, reason }
}

struct Search<'a> {
    knobs: &'a [Knob],
    build: &'a dyn Fn(&[f64]) -> Program,
    halvings: usize,
    work: &'a Work,
    /// Whether the present search met a question that it could not answer.
    unsure: Cell<bool>,
    /// The largest fraction that the present search proved to be too small.
    ruled_out: Cell<f64>,
}

impl Search<'_> {
    fn indices(&self, rows: &[String]) -> Vec<usize> {
        (0..self.knobs.len()).filter(|&knob| rows.contains(&self.knobs[knob].constraint)).collect()
    }

    fn answer(&self, places: &[f64]) -> Option<bool> {
        if self.work.is_used_up() {
            self.unsure.set(true);
            return None;
        }
        let program = (self.build)(places);
        self.work.looks(program.arms.len());
        self.work.operations(program.terms());
        let answer = branch::is_possible(&program, self.work);
        self.unsure.set(self.unsure.get() || answer.is_none());
        answer
    }

    fn works(&self, places: &[f64]) -> bool {
        self.answer(places) == Some(true)
    }

    /// Places with some knobs moved by a fraction: `AtLeast` down to nothing at 1, `AtMost` up.
    fn at(&self, start: &[f64], moved: &[usize], fraction: f64) -> Vec<f64> {
        let mut places = start.to_vec();
        for &knob in moved {
            let from = start[knob];
            places[knob] = match self.knobs[knob].sense {
                Sense::AtLeast => from * (1.0 - fraction),
                // The mirror image: as much above as the other is below, up to 1,000 times as much.
                Sense::AtMost => from + from.max(1.0) * fraction / (1.0 - fraction).max(0.001),
            };
        }
        places
    }

    /// The least fraction that works, by halving.
    fn least(&self, start: &[f64], moved: &[usize]) -> Option<Vec<f64>> {
        let (mut low, mut high) = (0.0, 1.0);
        self.unsure.set(false);
        self.ruled_out.set(0.0);
        if !self.works(&self.at(start, moved, 1.0)) {
            return None;
        }
        for _ in 0..self.halvings {
            let middle = 0.5 * (low + high);
            match self.answer(&self.at(start, moved, middle)) {
                Some(true) => high = middle,
                Some(false) => {
                    low = middle;
                    self.ruled_out.set(middle);
                }
                None => low = middle,
            }
            if high - low <= 1e-9 || self.work.is_used_up() {
                break;
            }
        }
        let is_ratio = |knob: &usize| ["min_roas", "max_cpa"].iter().any(|name| self.knobs[*knob].constraint.starts_with(name));
        let exact = self.at(start, moved, if moved.iter().any(is_ratio) { (high + MARGIN).min(1.0) } else { high });
        let rounded: Vec<f64> =
            (0..exact.len()).map(|knob| if moved.contains(&knob) { self.outwards(knob, exact[knob]) } else { exact[knob] }).collect();
        Some(if self.works(&rounded) { rounded } else { exact })
    }

    /// Rounded away from the conflict, to five digits after the point (two for large amounts).
    fn outwards(&self, knob: usize, place: f64) -> f64 {
        let unit = if place >= 1_000.0 { 100.0 } else { 100_000.0 };
        let scaled = place * unit;
        let rounded = match self.knobs[knob].sense {
            Sense::AtLeast => (scaled + 1e-6).floor(),
            Sense::AtMost => (scaled - 1e-6).ceil(),
        };
        rounded / unit
    }

    fn alone(&self, start: &[f64], knob: usize) -> Option<Relaxation> {
        self.least(start, &[knob]).and_then(|places| self.describe(start, &places))
    }

    fn together(&self, start: &[f64], moved: &[usize]) -> Option<Relaxation> {
        let mut places = self.least(start, moved)?;
        for &knob in moved {
            let mut spared = places.clone();
            spared[knob] = start[knob];
            if self.works(&spared) {
                places = spared;
            }
        }
        // What is left may need less than all together did.
        let needed: Vec<usize> = moved.iter().copied().filter(|&knob| places[knob] != start[knob]).collect();
        if needed.len() < moved.len() {
            places = self.least(start, &needed).unwrap_or(places);
        }
        self.describe(start, &places)
    }

    fn describe(&self, start: &[f64], places: &[f64]) -> Option<Relaxation> {
        let moved: Vec<usize> = (0..places.len()).filter(|&knob| places[knob] != start[knob]).collect();
        let too_small = self.at(start, &moved, self.ruled_out.get());
        let is_close = |knob: &usize| (too_small[*knob] - start[*knob]).abs() >= 0.99 * (places[*knob] - start[*knob]).abs();
        let is_smallest = moved.iter().all(is_close);
        let changes: Vec<Change> = moved
            .into_iter()
            .map(|knob| Change { constraint: self.knobs[knob].constraint.clone(), from: start[knob], to: places[knob] })
            .collect();
        let relative = |change: &Change| (change.to - change.from).abs() / change.from.abs().max(1e-9);
        let say = |change: &Change| {
            let (verb, by) = if change.to > change.from { ("raise", change.to - change.from) } else { ("lower", change.from - change.to) };
            format!("{verb} {} from {} to {} (by {})", change.constraint, short(change.from), short(change.to), short(by))
        };
        let text = changes.iter().map(say).collect::<Vec<_>>().join(" and ");
        (!changes.is_empty()).then(|| Relaxation { is_smallest, relative: changes.iter().map(relative).fold(0.0, f64::max), text, changes })
    }
}

/// At most five digits after the point.
fn short(number: f64) -> String {
    let text = format!("{number:.5}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
