//! How fast a campaign spends its budget, as its page shows it.

use chrono::NaiveDate;
use planning::figure::Figure;
use planning::pacing::pace;
use storage::campaigns::Campaign;
use storage::performance::spend::Spend;
use web::chart;

use crate::pacing::flight;
use crate::pages::figures::Shown;
use crate::pages::words::{money, percent, reason};

/// The meter and the figures beside it.
pub(super) struct ShownPacing {
    pub meter: String,
    pub figures: Vec<Shown>,
}

/// The pacing of a campaign on a day.
pub(super) fn pacing(campaign: &Campaign, spend: &Spend, as_of: NaiveDate, currency: Option<&str>) -> ShownPacing {
    let pacing = pace(&flight(campaign, as_of, spend));
    let share = |label, figure: Figure<f64>, note: &str| Shown {
        label,
        value: figure.value.map(percent),
        note: if figure.value.is_some() { note.to_owned() } else { reason(figure.reason).to_owned() },
    };
    let amount = |label, figure: Figure<i64>, note: &str| Shown {
        label,
        value: figure.value.map(|micros| money(micros, currency)),
        note: if figure.value.is_some() { note.to_owned() } else { reason(figure.reason).to_owned() },
    };
    let index = Shown {
        label: "Pacing index",
        value: pacing.pacing_index.value.map(|value| format!("{value:.2}")),
        note: match pacing.pacing_index.value {
            Some(value) if value > 1.1 => "ahead of plan".to_owned(),
            Some(value) if value < 0.9 => "behind plan".to_owned(),
            Some(_) => "on plan".to_owned(),
            None => reason(pacing.pacing_index.reason).to_owned(),
        },
    };
    ShownPacing {
        meter: chart::meter(pacing.actual_share.value, pacing.expected_share.value),
        figures: vec![
            share("Days passed", pacing.expected_share, "of the campaign’s days"),
            share("Budget spent", pacing.actual_share, "spend / budget"),
            amount("Expected by now", pacing.expected_spend_micros, "budget × days passed"),
            index,
            amount("Projected at the end", pacing.projected_end_spend_micros, "at the pace of the last 7 days"),
        ],
    }
}
