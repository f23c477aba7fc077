//! How fast a campaign spends its budget, as its page shows it.

use chrono::NaiveDate;
use planning::figure::Figure;
use planning::pacing::{Flight, pace};
use storage::campaigns::Campaign;
use storage::performance::summary::SummaryRow;
use web::chart;

use crate::pages::figures::Shown;
use crate::pages::words::{money, percent, reason};

/// The meter and the figures beside it.
pub(super) struct ShownPacing {
    pub meter: String,
    pub figures: Vec<Shown>,
}

/// The pacing of a campaign on a day.
pub(super) fn pacing(campaign: &Campaign, days: &[SummaryRow], as_of: NaiveDate, currency: Option<&str>) -> ShownPacing {
    let last = campaign.end_date.map_or(as_of, |end| end.min(as_of));
    let week = last.checked_sub_days(chrono::Days::new(6));
    let spend_from = |from: Option<NaiveDate>| {
        let dated = days.iter().filter_map(|row| Some((row.group.first()?.parse::<NaiveDate>().ok()?, row.spend_micros?)));
        dated.filter(|(day, _)| *day <= last && from.is_none_or(|from| *day >= from)).map(|(_, micros)| micros).reduce(i64::saturating_add)
    };
    let pacing = pace(&Flight {
        budget_micros: campaign.total_budget_micros,
        start: campaign.start_date,
        end: campaign.end_date,
        as_of,
        spend_micros: spend_from(campaign.start_date),
        trailing_week_micros: week.and_then(|week| spend_from(Some(week))),
    });
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
