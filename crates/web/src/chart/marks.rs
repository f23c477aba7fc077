//! Bars for table cells: the figure stands beside them as text, so that they are hidden from those who listen.

use std::fmt::Write as _;

const OPEN: &str = "viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">";

/// A bar of so much of its track (1 is all of it), with a mark where it should be. What is not known is left out.
#[must_use]
pub fn meter(share: Option<f64>, mark: Option<f64>) -> String {
    let mut svg = format!("<svg class=\"meter\" {OPEN}<rect class=\"meter-track\" width=\"100\" height=\"10\"/>");
    if let Some(share) = share.filter(|share| share.is_finite()) {
        let class = if share > 1.0 { "meter-over" } else { "meter-fill" };
        let _ = write!(svg, "<rect class=\"{class}\" width=\"{:.2}\" height=\"10\"/>", at(share));
    }
    if let Some(mark) = mark.filter(|mark| mark.is_finite()) {
        let x = at(mark).clamp(0.6, 99.4);
        let _ = write!(svg, "<line class=\"meter-mark\" x1=\"{x:.2}\" x2=\"{x:.2}\" y1=\"0\" y2=\"10\"/>");
    }
    svg.push_str("</svg>");
    svg
}

/// Bars one below the other on a common scale, in the colours of the chart's lines.
#[must_use]
pub fn bars(values: &[Option<f64>], scale: f64) -> String {
    let mut svg = format!("<svg class=\"bars\" {OPEN}");
    let height = 10.0 / values.len().max(1) as f64;
    for (number, value) in values.iter().enumerate() {
        if let Some(value) = value.filter(|value| value.is_finite() && scale > 0.0) {
            let _ = write!(
                svg,
                "<rect class=\"bar bar-{}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\"/>",
                number + 1,
                height * number as f64 + height * 0.06,
                at(value / scale),
                height * 0.88
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

/// A value within its interval on a common scale from `scale.0` to `scale.1`.
#[must_use]
pub fn interval(value: Option<f64>, ends: Option<(f64, f64)>, scale: (f64, f64)) -> String {
    let mut svg = format!("<svg class=\"interval\" {OPEN}<line class=\"interval-axis\" x1=\"0\" x2=\"100\" y1=\"5\" y2=\"5\"/>");
    let span = scale.1 - scale.0;
    let place = |value: f64| if span > 0.0 { at((value - scale.0) / span) } else { 50.0 };
    if let Some((low, high)) = ends.filter(|(low, high)| low.is_finite() && high.is_finite()) {
        let (from, to) = (place(low), place(high));
        let _ = write!(svg, "<rect class=\"interval-range\" x=\"{from:.2}\" y=\"2\" width=\"{:.2}\" height=\"6\"/>", (to - from).max(0.5));
    }
    if let Some(value) = value.filter(|value| value.is_finite()) {
        let x = place(value).clamp(0.5, 99.5);
        let _ = write!(svg, "<line class=\"interval-value\" x1=\"{x:.2}\" x2=\"{x:.2}\" y1=\"0\" y2=\"10\"/>");
    }
    svg.push_str("</svg>");
    svg
}

fn at(share: f64) -> f64 {
    share.clamp(0.0, 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_drawn_and_nothing_leaves_the_track() {
        assert!(!meter(None, None).contains("meter-fill") && !meter(None, None).contains("meter-mark"));
        let over = meter(Some(1.7), Some(2.0));
        assert!(over.contains("meter-over\" width=\"100.00\"") && over.contains("x1=\"99.40\""), "{over}");
        assert!(!meter(Some(f64::NAN), Some(f64::INFINITY)).contains("NaN"));
        assert_eq!(bars(&[Some(5.0), None], 10.0).matches("<rect").count(), 1);
        assert!(bars(&[Some(5.0), Some(10.0)], 10.0).contains("bar-2\" y=\"5.30\" width=\"100.00\""));
        assert!(!bars(&[Some(5.0)], 0.0).contains("<rect"));
    }

    #[test]
    fn an_interval_keeps_its_place_on_the_common_scale() {
        let svg = interval(Some(3.0), Some((2.0, 4.0)), (0.0, 8.0));
        assert!(svg.contains("x=\"25.00\" y=\"2\" width=\"25.00\"") && svg.contains("x1=\"37.50\""), "{svg}");
        assert!(!interval(Some(1.0), None, (1.0, 1.0)).contains("NaN"));
    }
}
