//! The list of reward models as a file: the columns of the page, for whoever compares models elsewhere.

use serde_json::{Value, json};
use web::tabular::{Column, Kind};

use super::Card;
use crate::tables;
use crate::training::CardFigures;

/// The columns: those of the page.
pub(super) fn columns() -> Vec<Column> {
    let text = ["model_id", "task_type", "retailer_id", "is_active", "training_date"].map(|name| (name, Kind::Text));
    let whole = ["version", "training_pairs_count", "training_judgments_count", "training_feedback_count"].map(|name| (name, Kind::Whole));
    let real = ["accuracy", "accuracy_low", "accuracy_high", "longer_text_wins", "log_loss", "calibration_error", "inter_rater_agreement"]
        .map(|name| (name, Kind::Real));
    let shadow = [
        ("shadow_since", Kind::Text),
        ("shadow_n_decided", Kind::Whole),
        ("shadow_accuracy", Kind::Real),
        ("beside_model_id", Kind::Text),
        ("beside_n_pairs", Kind::Whole),
        ("beside_n_same_choice", Kind::Whole),
        ("beside_n_decided", Kind::Whole),
        ("beside_accuracy", Kind::Real),
        ("beside_active_accuracy", Kind::Real),
    ];
    tables::columns(&[&text[..], &whole, &[("n_decided", Kind::Whole)], &real, &[("failed_gates", Kind::Text)], &shadow].concat())
}

/// A model as a row of these columns.
pub(super) fn cells(columns: &[Column], card: Card) -> Vec<Value> {
    let figures: Option<CardFigures> = serde_json::from_value(card.model.metrics.0.clone()).ok();
    let mut row = json!(card);
    if let Some(shadow) = &card.shadow {
        row["shadow_n_decided"] = json!(shadow.n_decided);
        row["shadow_accuracy"] = json!(shadow.accuracy);
        if let Some(beside) = json!(shadow.beside_active).as_object() {
            beside.iter().for_each(|(name, value)| row[format!("beside_{name}")] = value.clone());
        }
    }
    row["failed_gates"] = json!(card.failed_gates.join("; "));
    row["is_active"] = json!(card.model.is_active.to_string());
    if let Some(figures) = figures {
        row["longer_text_wins"] = json!(figures.baselines.iter().find(|one| one.name == "longer_text_wins").and_then(|one| one.accuracy));
        let interval = figures.accuracy_interval();
        if let Some(held_out) = figures.held_out {
            row["accuracy"] = json!(held_out.accuracy);
            row["accuracy_low"] = json!(interval.map(|ends| ends.low));
            row["accuracy_high"] = json!(interval.map(|ends| ends.high));
            row["n_decided"] = json!(held_out.n_decided);
            row["log_loss"] = json!(held_out.log_loss);
            row["calibration_error"] = json!(held_out.calibration_error);
        }
    }
    tables::cells(columns, &row)
}
