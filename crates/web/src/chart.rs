//! Small charts as SVG, drawn on the server, with a title and a description for those who cannot see them.
//!
//! Templates print the result with `|safe`: every text in it is escaped here, and colours come from classes of `endcap.css`.

mod lines;
mod marks;

use std::fmt::Write as _;

pub use lines::{Series, Shape, lines};
pub use marks::{bars, interval, meter};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;
/// Most labels under the horizontal axis.
const MOST_LABELS: usize = 8;

/// One labelled value; `None` is not measured and leaves a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Label under the axis.
    pub label: String,
    /// Value; absent is not zero.
    pub value: Option<f64>,
}

impl Point {
    /// A point; values that are not finite count as not measured.
    pub fn new(label: impl Into<String>, value: Option<f64>) -> Self {
        Self { label: label.into(), value: value.filter(|v| v.is_finite()) }
    }
}

/// A tiny line without axes, for table cells.
#[must_use]
pub fn sparkline(title: &str, values: &[Option<f64>]) -> String {
    let values: Vec<Option<f64>> = values.iter().map(|v| v.filter(|v| v.is_finite())).collect();
    let (low, high) = bounds(&values, false);
    let x = |i: usize| 2.0 + 96.0 * fraction(i, values.len());
    let y = |v: f64| 22.0 - 20.0 * (v - low) / (high - low);
    let mut svg = open("sparkline", "0 0 100 24", title, &describe(&values));
    draw_runs(&mut svg, &values, x, y);
    svg.push_str("</svg>");
    svg
}

/// A line over labelled points, broken where nothing was measured.
#[must_use]
pub fn line(title: &str, points: &[Point]) -> String {
    let values: Vec<Option<f64>> = points.iter().map(|p| p.value).collect();
    let (low, high) = bounds(&values, false);
    let x = |i: usize| LEFT + (WIDTH - LEFT - RIGHT) * fraction(i, points.len());
    let y = |v: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (v - low) / (high - low));
    let mut svg = open("chart", &format!("0 0 {WIDTH} {HEIGHT}"), title, &describe(&values));
    draw_axis(&mut svg, low, high, y);
    draw_runs(&mut svg, &values, x, y);
    for (i, point) in points.iter().enumerate() {
        if let Some(value) = point.value {
            let tip = format!("{}: {}", point.label, short(value));
            let _ = write!(
                svg,
                "<circle class=\"chart-dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}</title></circle>",
                x(i),
                y(value),
                escape(&tip)
            );
        }
    }
    draw_labels(&mut svg, points, x);
    svg.push_str("</svg>");
    svg
}

/// Upright bars from zero.
#[must_use]
pub fn bar(title: &str, points: &[Point]) -> String {
    let values: Vec<Option<f64>> = points.iter().map(|p| p.value).collect();
    let (low, high) = bounds(&values, true);
    // Counts get whole numbers at all three marks of the axis.
    let is_count = values.iter().flatten().all(|v| v.fract() == 0.0);
    let high = if is_count && low == 0.0 && high % 2.0 == 1.0 { high + 1.0 } else { high };
    let step = (WIDTH - LEFT - RIGHT) / points.len().max(1) as f64;
    let x = |i: usize| LEFT + step * (i as f64 + 0.5);
    let y = |v: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (v - low) / (high - low));
    let mut svg = open("chart", &format!("0 0 {WIDTH} {HEIGHT}"), title, &describe(&values));
    draw_axis(&mut svg, low, high, y);
    let width = (step * 0.7).min(64.0);
    for (i, point) in points.iter().enumerate() {
        if let Some(value) = point.value {
            let (upper, lower) = (y(value.max(0.0)), y(value.min(0.0)));
            let tip = format!("{}: {}", point.label, short(value));
            let _ = write!(
                svg,
                "<rect class=\"chart-bar\" x=\"{:.1}\" y=\"{upper:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"3\"><title>{}</title></rect>",
                x(i) - width / 2.0,
                (lower - upper).max(1.0),
                escape(&tip)
            );
        }
    }
    draw_labels(&mut svg, points, x);
    svg.push_str("</svg>");
    svg
}

fn open(class: &str, view_box: &str, title: &str, description: &str) -> String {
    let (title, description) = (escape(title), escape(description));
    format!(
        "<svg class=\"{class}\" viewBox=\"{view_box}\" role=\"img\" aria-label=\"{title}. {description}\"><title>{title}</title><desc>{description}</desc>"
    )
}

fn describe(values: &[Option<f64>]) -> String {
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    let (Some(first), Some(last)) = (known.first(), known.last()) else { return "Nothing was measured.".to_owned() };
    let low = known.iter().copied().fold(f64::INFINITY, f64::min);
    let high = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{} values from {} to {}; first {}, last {}.", known.len(), short(low), short(high), short(*first), short(*last))
}

/// Lowest and highest value, never equal, with zero when wanted.
fn bounds(values: &[Option<f64>], with_zero: bool) -> (f64, f64) {
    let start = if with_zero { (0.0, 0.0) } else { (f64::INFINITY, f64::NEG_INFINITY) };
    let (low, high) = values.iter().flatten().fold(start, |(low, high), v| (low.min(*v), high.max(*v)));
    match (low.is_finite(), low < high) {
        (false, _) => (0.0, 1.0),
        (true, true) => (low, high),
        (true, false) => (low - low.abs().max(1.0) * 0.5, high + high.abs().max(1.0) * 0.5),
    }
}

fn fraction(i: usize, n: usize) -> f64 {
    if n < 2 { 0.5 } else { i as f64 / (n - 1) as f64 }
}

fn draw_runs(svg: &mut String, values: &[Option<f64>], x: impl Fn(usize) -> f64, y: impl Fn(f64) -> f64) {
    let indexed: Vec<(usize, Option<f64>)> = values.iter().copied().enumerate().collect();
    for run in indexed.split(|(_, value)| value.is_none()) {
        let points: Vec<String> = run.iter().filter_map(|(i, value)| value.map(|v| format!("{:.1},{:.1}", x(*i), y(v)))).collect();
        if points.len() > 1 {
            let _ = write!(svg, "<polyline class=\"chart-line\" points=\"{}\"/>", points.join(" "));
        }
    }
}

fn draw_axis(svg: &mut String, low: f64, high: f64, y: impl Fn(f64) -> f64) {
    for part in [0.0, 0.5, 1.0] {
        let value = low + (high - low) * part;
        let at = y(value);
        let _ = write!(svg, "<line class=\"chart-axis\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>", WIDTH - RIGHT);
        let _ = write!(
            svg,
            "<text class=\"chart-text\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            short(value)
        );
    }
}

fn draw_labels(svg: &mut String, points: &[Point], x: impl Fn(usize) -> f64) {
    let every = points.len().div_ceil(MOST_LABELS).max(1);
    for (i, point) in points.iter().enumerate().step_by(every) {
        let label: String = point.label.chars().take(14).collect();
        let _ = write!(
            svg,
            "<text class=\"chart-text\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(i),
            HEIGHT - 8.0,
            escape(&label)
        );
    }
}

/// A number in at most five characters or so: 12.3k, 4.5M, 0.123.
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        a if a >= 1e9 => (value / 1e9, "B"),
        a if a >= 1e6 => (value / 1e6, "M"),
        a if a >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = if scaled.abs() >= 100.0 { format!("{scaled:.0}") } else { format!("{scaled:.3}") };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_leaves_a_gap_and_is_not_zero() {
        let points = [Some(1.0), Some(2.0), None, Some(3.0), Some(4.0)].map(|v| Point::new("d", v));
        let svg = line("Judgments", &points);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(svg.contains("4 values from 1 to 4; first 1, last 4."), "{svg}");
        assert!(line("Empty", &[]).contains("Nothing was measured."));
    }

    #[test]
    fn texts_cannot_become_markup_and_odd_values_cannot_become_nan() {
        let svg = bar("<script>", &[Point::new("\"><b>", Some(f64::NAN)), Point::new("a'b", Some(-5.0)), Point::new("c", Some(0.0))]);
        assert!(!svg.contains("<script>") && !svg.contains("<b>") && !svg.contains("NaN"), "{svg}");
        assert!(!sparkline("one", &[Some(3.0)]).contains("NaN"));
    }
}
