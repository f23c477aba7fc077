//! Several measures over the same periods on one axis: solid, dashed and dotted, so that colour is never the only difference.

use std::fmt::Write as _;

use super::{escape, fraction, short};

/// One measure over the periods of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name in the description and on the dots.
    pub name: &'static str,
    /// A value for each period; absent is not measured and leaves a gap.
    pub values: Vec<Option<f64>>,
}

/// How large a chart is drawn: one for wide pages, one for telephones, where scaled text could not be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    class: &'static str,
    width: f64,
    height: f64,
    labels: usize,
}

impl Shape {
    /// For pages of a desk.
    pub const WIDE: Self = Self { class: "chart chart-at-desk", width: 1040.0, height: 300.0, labels: 12 };
    /// For a telephone.
    pub const NARROW: Self = Self { class: "chart chart-in-hand", width: 360.0, height: 240.0, labels: 4 };
}

const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 30.0;
/// More dots than this would be a band; then only values without neighbours get one.
const MOST_DOTS: usize = 62;

/// Lines over labelled periods, from zero, broken where nothing was measured.
#[must_use]
pub fn lines(title: &str, labels: &[String], series: &[Series], shape: Shape) -> String {
    let known = || series.iter().flat_map(|one| one.values.iter().flatten().copied().filter(|v| v.is_finite()));
    let high = nice_ceiling(known().fold(0.0, f64::max));
    let low = -nice_ceiling(-known().fold(0.0, f64::min));
    let span = if high > low { high - low } else { 1.0 };
    let x = |i: usize| LEFT + (shape.width - LEFT - RIGHT) * fraction(i, labels.len());
    let y = |v: f64| TOP + (shape.height - TOP - BOTTOM) * (1.0 - (v - low) / span);
    let (shown, said) = (escape(title), escape(&describe(labels, series)));
    let mut svg = format!(
        "<svg class=\"{}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{shown}. {said}\"><desc>{said}</desc>",
        shape.class, shape.width, shape.height
    );
    for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let value = low + span * part;
        let _ = write!(
            svg,
            "<line class=\"chart-axis\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{2:.1}\" y2=\"{2:.1}\"/><text class=\"chart-text\" x=\"{3:.1}\" y=\"{4:.1}\" text-anchor=\"end\">{1}</text>",
            shape.width - RIGHT,
            short(value),
            y(value),
            LEFT - 8.0,
            y(value) + 4.0
        );
    }
    for (number, one) in series.iter().enumerate() {
        draw(&mut svg, number + 1, one, labels, &x, &y);
    }
    let every = labels.len().div_ceil(shape.labels).max(1);
    for (i, label) in labels.iter().enumerate().step_by(every) {
        let anchor = match i {
            0 if labels.len() > 1 => "start",
            last if last > 0 && last + 1 == labels.len() => "end",
            _ => "middle",
        };
        let _ = write!(
            svg,
            "<text class=\"chart-text\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            x(i),
            shape.height - 8.0,
            escape(label)
        );
    }
    svg.push_str("</svg>");
    svg
}

fn draw(svg: &mut String, number: usize, one: &Series, labels: &[String], x: &impl Fn(usize) -> f64, y: &impl Fn(f64) -> f64) {
    let indexed: Vec<(usize, Option<f64>)> = one.values.iter().map(|v| v.filter(|v| v.is_finite())).enumerate().collect();
    let has_dots = indexed.len() <= MOST_DOTS;
    for run in indexed.split(|(_, value)| value.is_none()) {
        let points: Vec<String> = run.iter().filter_map(|(i, value)| value.map(|v| format!("{:.1},{:.1}", x(*i), y(v)))).collect();
        if points.len() > 1 {
            let _ = write!(svg, "<polyline class=\"chart-line chart-series-{number}\" points=\"{}\"/>", points.join(" "));
        }
        if !has_dots && run.len() > 1 {
            continue;
        }
        for (i, value) in run {
            let (Some(value), label) = (value, labels.get(*i).map_or("", String::as_str)) else { continue };
            let _ = write!(
                svg,
                "<circle class=\"chart-dot chart-dot-{number}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}</title></circle>",
                x(*i),
                y(*value),
                escape(&format!("{label}, {}: {}", one.name, short(*value)))
            );
        }
    }
}

fn describe(labels: &[String], series: &[Series]) -> String {
    let (Some(first), Some(last)) = (labels.first(), labels.last()) else { return "Nothing was measured.".to_owned() };
    let mut said = format!("{first} to {last}.");
    for one in series {
        let highest = one
            .values
            .iter()
            .zip(labels)
            .filter_map(|(value, label)| value.filter(|v| v.is_finite()).map(|v| (v, label)))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let _ = match highest {
            Some((value, label)) => write!(said, " {}: highest {} at {label}.", one.name, short(value)),
            None => write!(said, " {}: not measured.", one.name),
        };
    }
    said
}

/// The smallest of 1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8 times a power of ten that is not under a value: quarters of it are round.
fn nice_ceiling(value: f64) -> f64 {
    if value.is_nan() || value <= 0.0 || value.is_infinite() {
        return 0.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0].into_iter().map(|step| step * power).find(|one| *one >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["1 Mar", "2 Mar", "3 Mar", "4 Mar"].map(str::to_owned).into()
    }

    #[test]
    fn gaps_stay_gaps_and_each_measure_has_its_own_line() {
        let spend = Series { name: "Spend", values: vec![Some(1.0), Some(2.0), None, Some(3.0)] };
        let revenue = Series { name: "Revenue", values: vec![Some(7.0), Some(9.0), Some(8.0), Some(7.5)] };
        let svg = lines("Money", &labels(), &[spend, revenue], Shape::WIDE);
        assert_eq!(svg.matches("chart-line chart-series-1").count(), 1);
        assert_eq!(svg.matches("chart-line chart-series-2").count(), 1);
        assert_eq!(svg.matches("<circle").count(), 7);
        assert!(svg.contains("1 Mar to 4 Mar. Spend: highest 3 at 4 Mar. Revenue: highest 9 at 2 Mar."), "{svg}");
    }

    #[test]
    fn empty_odd_and_hostile_input_is_drawn_without_harm() {
        let odd = Series { name: "<b>", values: vec![Some(f64::NAN), None, Some(f64::INFINITY), Some(-4.0)] };
        let svg = lines("<script>", &labels(), &[odd], Shape::NARROW);
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<script>") && !svg.contains("<b>"), "{svg}");
        assert!(lines("None", &[], &[], Shape::WIDE).contains("Nothing was measured."));
    }

    #[test]
    fn the_axis_ends_at_a_round_number_not_under_the_highest_value() {
        for (value, ceiling) in [(0.0, 0.0), (0.93, 1.0), (1.1, 1.2), (4_321.0, 6_000.0), (9_999.0, 10_000.0), (10_000.0, 10_000.0)] {
            assert!((nice_ceiling(value) - ceiling).abs() < 1e-9, "{value}: {}", nice_ceiling(value));
        }
    }
}
