//! What people have said about the plans of a set, in a line for each plan.

use storage::feedback::Feedback;

/// Thumbs and ratings of one plan in words; nothing when nobody said anything.
#[must_use]
pub fn said_of(rows: &[Feedback], plan_id: &str) -> Vec<String> {
    let own: Vec<&Feedback> = rows.iter().filter(|row| row.metadata.get("plan_id").and_then(|id| id.as_str()) == Some(plan_id)).collect();
    let of = |kind: &str| own.iter().filter(|row| row.feedback_type == kind).count();
    let ratings: Vec<f64> = own.iter().filter_map(|row| row.rating).map(f64::from).collect();
    let mut parts = Vec::new();
    for (n, word) in [(of("thumbs_up"), "good"), (of("thumbs_down"), "bad")] {
        if n > 0 {
            parts.push(format!("{n} said {word}"));
        }
    }
    if !ratings.is_empty() {
        let mean = ratings.iter().sum::<f64>() / ratings.len() as f64;
        parts.push(format!("rated {mean:.1} of 5 (n = {})", ratings.len()));
    }
    if parts.is_empty() { Vec::new() } else { vec![parts.join(", ")] }
}
