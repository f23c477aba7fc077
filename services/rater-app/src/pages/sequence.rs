//! The evidence of a sequential test as a small chart: from nothing known towards one of the two bounds.

use std::fmt::Write as _;

use learning::calibration::SequentialTest;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 110.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 92.0;
const LEFT: f64 = 8.0;
const RIGHT: f64 = 312.0;
/// Items across the chart at least, so that a short path looks short.
const LEAST_ITEMS: usize = 12;

/// A test as it stands, ready for a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceView {
    /// Of what.
    pub title: String,
    /// Where it stands, in a sentence.
    pub words: String,
    /// The chart; numbers and fixed words only, so safe in a page.
    pub svg: String,
}

/// The chart of `answers` (whether each equals the expert's), in order.
#[must_use]
pub fn sequence(title: String, answers: &[bool], test: &SequentialTest) -> SequenceView {
    let path = test.path(answers);
    let (fail, pass) = test.bounds();
    let right = answers.iter().filter(|is_right| **is_right).count();
    let now = path.last().copied().unwrap_or(0.0);
    let way = |bound: f64| (now / bound).clamp(0.0, 1.0) * 100.0;
    let words = match answers.len() {
        0 => "No item answered yet.".to_owned(),
        n if now >= pass => format!("Passed: {right} of {n} as the expert."),
        n if now <= fail => format!("Not passed: {right} of {n} as the expert."),
        n if now >= 0.0 => format!("{right} of {n} as the expert: {:.0} % of the way to passing.", way(pass)),
        n => format!("{right} of {n} as the expert: {:.0} % of the way to not passing.", way(fail)),
    };
    let svg = draw(&path, answers, (fail, pass), &words);
    SequenceView { title, words, svg }
}

fn draw(path: &[f64], answers: &[bool], (fail, pass): (f64, f64), words: &str) -> String {
    let y = |value: f64| BOTTOM - (BOTTOM - TOP) * ((value.clamp(fail, pass) - fail) / (pass - fail));
    let step = (RIGHT - LEFT) / path.len().max(LEAST_ITEMS) as f64;
    let x = |n: usize| LEFT + step * n as f64;
    let mut svg = format!(
        "<svg class=\"sequence\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Evidence so far. {words}\">\
         <line class=\"sequence-pass\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{TOP}\" y2=\"{TOP}\"/>\
         <line class=\"sequence-fail\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{BOTTOM}\" y2=\"{BOTTOM}\"/>\
         <line class=\"chart-axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{zero:.1}\" y2=\"{zero:.1}\"/>\
         <text class=\"sequence-text\" x=\"{LEFT}\" y=\"{:.0}\">✓ passed from here up</text>\
         <text class=\"sequence-text\" x=\"{LEFT}\" y=\"{:.0}\">✗ not passed from here down</text><path class=\"chart-line\" d=\"M{LEFT} {zero:.1}",
        TOP - 5.0,
        BOTTOM + 14.0,
        zero = y(0.0),
    );
    for (n, value) in path.iter().enumerate() {
        let _ = write!(svg, " L{:.1} {:.1}", x(n + 1), y(*value));
    }
    svg.push_str("\"/>");
    for (n, (value, is_right)) in path.iter().zip(answers).enumerate() {
        let _ = match is_right {
            true => write!(svg, "<circle class=\"sequence-right\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>", x(n + 1), y(*value)),
            false => write!(
                svg,
                "<rect class=\"sequence-wrong\" x=\"{:.1}\" y=\"{:.1}\" width=\"6\" height=\"6\"/>",
                x(n + 1) - 3.0,
                y(*value) - 3.0
            ),
        };
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_follow_the_evidence() {
        let test = SequentialTest::default();
        let words = |answers: &[bool]| sequence("All".to_owned(), answers, &test).words;
        assert_eq!(words(&[]), "No item answered yet.");
        // ln(0.85 / 0.60) = 0.348; passing needs ln(0.95 / 0.05) = 2.944, so nine right answers pass and eight do not (Wald 1945).
        assert_eq!(words(&[true; 8]), "8 of 8 as the expert: 95 % of the way to passing.");
        assert_eq!(words(&[true; 9]), "Passed: 9 of 9 as the expert.");
        // ln(0.15 / 0.40) = -0.981; three wrong answers reach -2.944, which is the bound.
        assert_eq!(words(&[false; 2]), "0 of 2 as the expert: 67 % of the way to not passing.");
        assert_eq!(words(&[false; 4]), "Not passed: 0 of 4 as the expert.");
    }
}
