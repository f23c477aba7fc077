//! What would have to give: for a request without a solution, the smallest move of each limit that
//! alone would be enough, and when none is, the smallest common move of several. Every answer was
//! checked by solving the moved problem.

use serde::{Deserialize, Serialize};

use super::program::{Program, Sense};
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

/// Ways out, the smallest relative move first. `knobs` are the limits that can move, `build` makes
/// the program with all limits at the given places; `None` where there is none.
#[must_use]
pub fn smallest(knobs: &[Knob], build: &dyn Fn(&[f64]) -> Option<Program>) -> Vec<Relaxation> {
    let start: Vec<f64> = knobs.iter().map(|knob| knob.from).collect();
    let Some(program) = build(&start) else { return Vec::new() };
    let Some(found) = conflict::explain(&program) else { return Vec::new() };
    let halvings = if program.arms.len() > LARGE { 14 } else { 30 };
    let search = Search { knobs, build, halvings };
    let mut involved = search.indices(&found.rows);
    let mut ways: Vec<Relaxation> = involved.iter().take(KNOBS).filter_map(|&knob| search.alone(&start, knob)).collect();
    if ways.is_empty() {
        // Other limits stand behind the first conflict: collect them, then move all together.
        for _ in 0..KNOBS {
            let freed = search.at(&start, &involved, 1.0);
            let Some(next) = build(&freed).and_then(|program| conflict::explain(&program)) else { break };
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
    ways
}

struct Search<'a> {
    knobs: &'a [Knob],
    build: &'a dyn Fn(&[f64]) -> Option<Program>,
    halvings: usize,
}

impl Search<'_> {
    fn indices(&self, rows: &[String]) -> Vec<usize> {
        (0..self.knobs.len()).filter(|&knob| rows.contains(&self.knobs[knob].constraint)).collect()
    }

    fn works(&self, places: &[f64]) -> bool {
        (self.build)(places).is_some_and(|program| branch::is_possible(&program) == Some(true))
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
        if !self.works(&self.at(start, moved, 1.0)) {
            return None;
        }
        for _ in 0..self.halvings {
            let middle = 0.5 * (low + high);
            if self.works(&self.at(start, moved, middle)) {
                high = middle
            } else {
                low = middle
            }
            if high - low <= 1e-9 {
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
        let moved = (0..places.len()).filter(|&knob| places[knob] != start[knob]);
        let changes: Vec<Change> =
            moved.map(|knob| Change { constraint: self.knobs[knob].constraint.clone(), from: start[knob], to: places[knob] }).collect();
        let relative = |change: &Change| (change.to - change.from).abs() / change.from.abs().max(1e-9);
        let say = |change: &Change| {
            let (verb, by) = if change.to > change.from { ("raise", change.to - change.from) } else { ("lower", change.from - change.to) };
            format!("{verb} {} from {} to {} (by {})", change.constraint, short(change.from), short(change.to), short(by))
        };
        let text = changes.iter().map(say).collect::<Vec<_>>().join(" and ");
        (!changes.is_empty()).then(|| Relaxation { relative: changes.iter().map(relative).fold(0.0, f64::max), text, changes })
    }
}

/// At most five digits after the point.
fn short(number: f64) -> String {
    let text = format!("{number:.5}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
