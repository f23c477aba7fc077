//! The concave envelope of each arm's curve in one or two pieces, each smooth: the chord of an S-shaped curve, and what is concave.

use super::program::{Program, ProgramArm};

/// A concave piece of an arm's envelope: what `share` of its `width` adds to the response at `from`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// Place of the arm in its program.
    pub arm: usize,
    from: f64,
    /// Spend from its begin to its end.
    pub width: f64,
    /// Response over the width when the piece is a chord.
    chord: Option<f64>,
    /// Response at its begin.
    base: f64,
}

impl Segment {
    /// Response, slope and curvature at a share of the width, by share.
    pub fn look(&self, arm: &ProgramArm, share: f64) -> (f64, f64, f64) {
        if let Some(rise) = self.chord {
            return (rise * share, rise, 0.0);
        }
        let (response, slope, curvature) = arm.curve.derivatives(self.from + share * self.width);
        (response - self.base, slope * self.width, curvature * self.width * self.width)
    }
}

/// The pieces of all arms that have something to decide, in the order of the arms.
pub(super) fn segments(program: &Program) -> Vec<Segment> {
    let mut segments = Vec::new();
    for (index, arm) in program.arms.iter().enumerate() {
        let (low, high) = (arm.low, arm.high);
        if high <= low {
            continue;
        }
        let touch = arm.curve.touching_point(low, high);
        let (base, top) = (arm.curve.response(low), arm.curve.response(touch));
        if touch > low {
            segments.push(Segment { arm: index, from: low, width: touch - low, chord: Some(top - base), base });
        }
        if touch < high {
            segments.push(Segment { arm: index, from: touch, width: high - touch, chord: None, base: top });
        }
    }
    segments
}
