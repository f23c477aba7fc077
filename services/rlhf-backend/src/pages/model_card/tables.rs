//! The tables of a card as files, with all their digits: they are on that page alone.

use learning::reward::card::{Bin, Card, Comparison, Difference, Figures};
use serde_json::{Value, json};
use web::tabular::Kind;

use super::super::csv_address;
use crate::training::CardFigures;

/// The columns of a comparison, after those that say with what.
const COMPARED: [(&str, Kind); 7] = [
    ("accuracy_difference", Kind::Real),
    ("accuracy_low", Kind::Real),
    ("accuracy_high", Kind::Real),
    ("log_loss_difference", Kind::Real),
    ("log_loss_low", Kind::Real),
    ("log_loss_high", Kind::Real),
    ("n_decided", Kind::Whole),
];

/// Reliability by predicted chance.
pub(super) fn bins(card: &Card) -> String {
    let columns = ["above", "to", "n", "predicted", "came_true"].map(|name| (name, if name == "n" { Kind::Whole } else { Kind::Real }));
    let row = |bin: &Bin| vec![json!(bin.above), json!(bin.to), json!(bin.n), json!(bin.predicted), json!(bin.observed)];
    csv_address(&columns, &card.bins.iter().map(row).collect::<Vec<_>>())
}

/// The figures by retailer.
pub(super) fn slices(card: &Card) -> String {
    let reals = ["accuracy", "accuracy_low", "accuracy_high", "log_loss"].map(|name| (name, Kind::Real));
    let columns = [&[("retailer_id", Kind::Text), ("n_decided", Kind::Whole)][..], &reals].concat();
    let row = |(name, figures): (&String, &Figures)| {
        let ends = figures.accuracy.map(|interval| (interval.low, interval.high));
        let (low, high) = (ends.map(|ends| ends.0), ends.map(|ends| ends.1));
        let of = &figures.metrics;
        vec![json!(name), json!(of.n_decided), json!(of.accuracy), json!(low), json!(high), json!(of.log_loss)]
    };
    csv_address(&columns, &card.by_retailer.iter().map(row).collect::<Vec<_>>())
}

/// What it was compared with on the same pairs.
pub(super) fn against(card: &Card, stored: Option<&CardFigures>) -> String {
    let columns = [&[("compared_with", Kind::Text), ("model_id", Kind::Text)][..], &COMPARED].concat();
    let row = |what: &str, model_id: Option<&str>, comparison: &Comparison| {
        let mut row = vec![json!(what), json!(model_id)];
        row.extend(compared(comparison, model_id.is_some()));
        row
    };
    let models = [
        ("active_model", stored.and_then(|figures| figures.against_active.as_ref())),
        ("active_model_on_later_pairs", stored.and_then(|figures| figures.against_active_later.as_ref())),
    ];
    let models = models.into_iter().filter_map(|(what, one)| one.map(|one| row(what, Some(&one.model_id), &one.difference)));
    let rows: Vec<Vec<Value>> = std::iter::once(row("longer_text_wins", None, &card.against_longer)).chain(models).collect();
    csv_address(&columns, &rows)
}

/// What it showed in the shadow, beside the active model.
pub(super) fn beside(model_id: &str, difference: &Comparison, same_choice: f64) -> String {
    let columns = [&[("active_model_id", Kind::Text), ("same_choice", Kind::Real)][..], &COMPARED].concat();
    let mut row = vec![json!(model_id), json!(same_choice)];
    row.extend(compared(difference, true));
    csv_address(&columns, &[row])
}

/// A rule of thumb gives no probabilities, so nothing is lost or won in log loss against it.
fn compared(comparison: &Comparison, has_probabilities: bool) -> impl Iterator<Item = Value> {
    let ends = |difference: Option<Difference>| {
        let interval = difference.and_then(|difference| difference.interval);
        [json!(difference.map(|one| one.value)), json!(interval.map(|ends| ends.low)), json!(interval.map(|ends| ends.high))]
    };
    let log_loss = ends(comparison.log_loss.filter(|_| has_probabilities));
    ends(comparison.accuracy).into_iter().chain(log_loss).chain([json!(comparison.n_decided)])
}
