//! The table of key figures: names, definitions and the rows that each is made of. What is computed, shown and documented all comes from it.

use storage::rlhf_metrics::sources::Rows;

/// What a figure counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Whole things.
    Count,
    /// 0 to 1.
    Share,
    /// 0 to 100.
    Percent,
    /// A coefficient or a ratio.
    Ratio,
    /// Hours.
    Hours,
    /// Days.
    Days,
    /// An amount with a currency.
    Money,
}

impl Unit {
    /// In the API and the documentation.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Share => "share",
            Self::Percent => "percent",
            Self::Ratio => "ratio",
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Money => "money",
        }
    }
}

/// One key figure.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its name in the API and the CSV.
    pub name: &'static str,
    /// Its name on pages.
    pub title: &'static str,
    /// What it counts in.
    pub unit: Unit,
    /// How it is computed. A day is a day in UTC; with a retailer only what belongs to it.
    pub definition: &'static str,
    /// Tables that it is read from.
    pub tables: &'static [&'static str],
    /// The rows that it is made of; `None` when no rows can answer it.
    pub rows: Option<Rows>,
}

const fn figure(
    name: &'static str,
    title: &'static str,
    unit: Unit,
    rows: Option<Rows>,
    tables: &'static [&'static str],
    definition: &'static str,
) -> Figure {
    Figure { name, title, unit, definition, tables, rows }
}

/// All key figures, in the order in which they are shown.
pub const FIGURES: [Figure; 16] = [
    figure(
        "inter_rater_reliability",
        "Agreement of raters (alpha)",
        Unit::Ratio,
        Some(Rows::Work),
        &["judgments", "rating_tasks"],
        "Krippendorff's alpha (nominal) of the day's judgments that count, golden items left out; n is the number of judgments",
    ),
    figure(
        "golden_set_accuracy",
        "Accuracy on golden items",
        Unit::Share,
        Some(Rows::Golden),
        &["judgments", "rating_tasks"],
        "judgments of golden items that equal the expert's / judgments of golden items",
    ),
    figure(
        "percent_tasks_escalated",
        "Tasks that needed an expert",
        Unit::Percent,
        Some(Rows::Work),
        &["judgments", "rating_tasks"],
        "100 x tasks judged that day that a rater escalated or an expert had to decide / tasks judged that day",
    ),
    figure(
        "cost_per_accepted_judgment",
        "Cost of an accepted judgment",
        Unit::Money,
        Some(Rows::Paid),
        &["judgments", "rating_tasks", "rater_profiles", "expert_reviews"],
        "(judgments x cost of a judgment + rater hours x cost of a rater's hour + expert hours x cost of an expert's hour) / judgments that count and are no golden items; golden items and judgments taken out of the count cost and are not accepted; simulated raters are left out of both",
    ),
    figure(
        "total_judgments",
        "Judgments",
        Unit::Count,
        Some(Rows::Judgments),
        &["judgments"],
        "judgments of the day that count, golden items included",
    ),
    figure(
        "active_raters",
        "Active raters",
        Unit::Count,
        Some(Rows::Judgments),
        &["judgments"],
        "raters with a judgment that day that counts, simulated ones included",
    ),
    figure(
        "tasks_completed",
        "Tasks completed",
        Unit::Count,
        Some(Rows::Completed),
        &["rating_tasks"],
        "tasks completed that day, golden items left out",
    ),
    figure(
        "expert_hours_saved",
        "Expert hours saved",
        Unit::Hours,
        Some(Rows::Saved),
        &["rating_tasks", "expert_reviews"],
        "tasks completed that day without an expert x mean hours of an expert's decision over the 90 days up to the end of the day, all retailers together; n is the number of tasks",
    ),
    figure(
        "tool_call_compile_pass_rate",
        "Tool calls that pass all checks",
        Unit::Share,
        Some(Rows::Created("tool_call_qa")),
        &["rating_tasks"],
        "candidates of the day's tool_call_qa tasks that pass every automatic check / candidates checked",
    ),
    figure(
        "policy_pass_rate_first_submit",
        "Ads that keep the policy at first",
        Unit::Share,
        Some(Rows::Created("policy_compliance")),
        &["rating_tasks"],
        "candidates of the day's policy_compliance tasks that pass every automatic check as first submitted / candidates checked",
    ),
    figure(
        "time_to_onboard_days",
        "Time to onboard a retailer",
        Unit::Days,
        Some(Rows::Onboarded),
        &["rating_tasks", "task_consensus", "retailers"],
        "mean days from a retailer's entry to the first field mapping that people approved (a decided schema_mapping task), over retailers for whom that day was the first",
    ),
    figure(
        "latency_per_rl_iteration_hours",
        "From model to model",
        Unit::Hours,
        Some(Rows::Deployed),
        &["reward_models"],
        "mean hours from the first activation of the model before to that of a model first put to work that day; a roll back changes neither",
    ),
    figure(
        "incremental_roas",
        "Incremental return on ad spend",
        Unit::Ratio,
        Some(Rows::Experiments),
        &["experiments", "response_calibrations", "campaigns"],
        "sum of incremental revenue / sum of incremental spend over the experiments concluded that day that proved a return (each against its control), in one currency; interval from their standard errors",
    ),
    figure(
        "incremental_revenue",
        "Incremental revenue",
        Unit::Money,
        Some(Rows::Experiments),
        &["experiments", "response_calibrations", "campaigns"],
        "sum of return on spend x incremental spend over the experiments concluded that day that proved a return, in one currency",
    ),
    figure(
        "tool_call_exact_match_rate",
        "Tool calls as expected",
        Unit::Share,
        None,
        &[],
        "tool calls equal to the expected call / tool calls; absent: no expected calls are stored to compare with",
    ),
    figure(
        "schema_mapping_f1",
        "F1 of schema mappings",
        Unit::Ratio,
        None,
        &[],
        "harmonic mean of precision and recall of mapped fields; absent: no reference mappings are stored to compare with",
    ),
];

/// The figure of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.name == name)
}

/// The table of the documentation.
#[must_use]
pub fn render_table() -> String {
    let mut text = String::from("| figure | unit | definition | read from |\n|---|---|---|---|\n");
    for one in &FIGURES {
        let tables: Vec<String> = one.tables.iter().map(|table| format!("`{table}`")).collect();
        let tables = if tables.is_empty() { "nothing".to_owned() } else { tables.join(", ") };
        text.push_str(&format!("| `{}` | {} | {} | {tables} |\n", one.name, one.unit.word(), one.definition));
    }
    text
}
