//! What an experiment compares, as it is written: checked as a whole, kept as it is, frozen and hashed when the experiment starts.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::invalid::Invalid;
use planning::experiments::assignment::{self, BUCKETS};
use planning::experiments::geo::LEAST_PRE_DAYS;
use planning::experiments::switchback::LEAST_PAIRS;
use serde::{Deserialize, Serialize};

use crate::input::check_text;

/// Most markets of a geo test, treated and control together.
pub const MOST_MARKETS: usize = 100;
/// Most days of a geo test, before and during.
pub const MOST_DAYS: i64 = 1_000;
/// Most units of a switchback test.
pub const MOST_UNITS: usize = 500;
/// Most blocks of a unit, and of all units together.
pub const MOST_BLOCKS: u64 = 2_000;
/// Most blocks of all units together.
pub const MOST_BLOCKS_IN_ALL: u64 = 100_000;

/// What is compared, with whom, for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What is measured.
    pub metric: Metric,
    /// What the control is, in words; it stands beside every figure.
    pub control_definition: String,
    /// Probability of finding an effect when there is none; 0.05 when absent.
    #[serde(default = "usual_alpha")]
    pub alpha: f64,
    /// The line of the campaign whose response the result calibrates; the campaign as a whole when absent.
    pub line: Option<Line>,
    /// How units are compared.
    pub design: Design,
}

fn usual_alpha() -> f64 {
    0.05
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// What kind of number it is.
    pub kind: MetricKind,
    /// ISO 4217 code of revenue and of spend.
    pub currency: Option<String>,
}

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Any number per unit.
    Mean,
    /// Whether a unit did something.
    Proportion,
    /// Money per unit, in units of the currency: has an incremental return on spend.
    Revenue,
}

/// A line of a campaign.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Placement type; empty for all.
    #[serde(default)]
    pub placement_type: String,
    /// Audience segment; empty for all.
    #[serde(default)]
    pub audience_segment: String,
}

/// How units are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Design {
    /// Units are assigned to arms by a hash.
    Ab(AbDesign),
    /// Treated markets against a synthetic control of other markets.
    Geo(GeoDesign),
    /// Blocks of time are treated by lot.
    Switchback(SwitchbackDesign),
}

/// When an A/B test may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Analysis {
    /// Once, after the planned end.
    Fixed,
    /// At any time: intervals are wider and hold at every look.
    Sequential,
}

/// Arms and an end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AbDesign {
    /// 2 to 10 arms, the control first; shares in parts of ten thousand.
    pub arms: Vec<ArmBody>,
    /// When it may be read.
    pub analysis: Analysis,
    /// Last day.
    pub planned_end: NaiveDate,
    /// Units in all arms at the end; a sequential analysis needs it, and is sharpest there.
    pub planned_units: Option<u64>,
}

/// An arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmBody {
    /// Its name.
    pub name: String,
    /// Parts of ten thousand.
    pub share: u32,
}

/// Markets and periods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoDesign {
    /// Markets that get the treatment.
    pub treatment: Vec<String>,
    /// Markets that do not.
    pub control: Vec<String>,
    /// First day of the period before.
    pub pre_start: NaiveDate,
    /// Its last day.
    pub pre_end: NaiveDate,
    /// First day of the test.
    pub post_start: NaiveDate,
    /// Its last day.
    pub post_end: NaiveDate,
}

/// Units and blocks of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchbackDesign {
    /// Units that switch.
    pub units: Vec<String>,
    /// First day; blocks begin at its midnight, UTC.
    pub start: NaiveDate,
    /// Hours of a block.
    pub block_hours: u32,
    /// Blocks of a unit, an even number.
    pub blocks: u64,
    /// Hours at the beginning of each block that are left out, because the block before still works.
    #[serde(default)]
    pub washout_hours: u32,
}

impl AbDesign {
    /// What is wrong with a day of an experiment that began on `began`: only days from then to the last one count.
    #[must_use]
    pub fn outside(&self, began: Option<NaiveDate>, day: NaiveDate) -> Option<String> {
        if let Some(began) = began.filter(|began| day < *began) {
            return Some(format!(
                "is before {began} (UTC), the day on which the experiment began; what was measured before goes into the covariate"
            ));
        }
        (day > self.planned_end)
            .then(|| format!("is after {}, the last day of the experiment (planned_end); leave the row out", self.planned_end))
    }
}

impl SwitchbackDesign {
    /// The block that an instant is in, and the hours since its beginning.
    #[must_use]
    pub fn block_at(&self, at: DateTime<Utc>) -> Option<(u64, u32)> {
        let hours = (at - self.start.and_time(chrono::NaiveTime::MIN).and_utc()).num_seconds().div_euclid(3600);
        let hours = u64::try_from(hours).ok()?;
        let block = hours / u64::from(self.block_hours.max(1));
        (block < self.blocks).then(|| (block, (hours % u64::from(self.block_hours.max(1))) as u32))
    }

    /// Whether rows of whole days say enough.
    #[must_use]
    pub fn is_daily(&self) -> bool {
        self.block_hours.is_multiple_of(24) && self.washout_hours.is_multiple_of(24)
    }
}

impl Design {
    /// The word in the row.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ab(_) => "ab",
            Self::Geo(_) => "geo",
            Self::Switchback(_) => "switchback",
        }
    }

    /// When the experiment begins, where its definition says so.
    #[must_use]
    pub fn begins(&self) -> Option<NaiveDate> {
        match self {
            Self::Ab(_) => None,
            Self::Geo(geo) => Some(geo.post_start),
            Self::Switchback(switchback) => Some(switchback.start),
        }
    }

    /// Refuses to start what could not collect anything: an A/B test whose last day is over. A geo or switchback test may be a look back
    /// on days that are over, which its result says.
    ///
    /// # Errors
    /// [`Invalid`] on `planned_end`.
    pub fn check_start(&self, today: NaiveDate) -> Result<(), Invalid> {
        match self {
            Self::Ab(ab) if ab.planned_end < today => {
                let why = format!(
                    "is {}, and that day is over (today is {today}, UTC): the result could be read at once; set a last day that is still to \
                     come with PATCH, then start",
                    ab.planned_end
                );
                Err(Invalid::one("definition.design.planned_end", why))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is read at one time only, after its end: a second reading of more observations would be a second chance to err.
    #[must_use]
    pub fn is_read_once(&self) -> bool {
        self.readable_from().is_some()
    }

    /// From when its result may be read; none when at any time.
    #[must_use]
    pub fn readable_from(&self) -> Option<DateTime<Utc>> {
        let after = |day: NaiveDate| day.checked_add_days(Days::new(1)).unwrap_or(day).and_time(chrono::NaiveTime::MIN).and_utc();
        match self {
            Self::Ab(ab) => (ab.analysis == Analysis::Fixed).then(|| after(ab.planned_end)),
            Self::Geo(geo) => Some(after(geo.post_end)),
            Self::Switchback(one) => {
                let hours = i64::try_from(one.blocks).unwrap_or(i64::MAX).saturating_mul(i64::from(one.block_hours));
                let start = one.start.and_time(chrono::NaiveTime::MIN).and_utc();
                Some(TimeDelta::try_hours(hours).and_then(|length| start.checked_add_signed(length)).unwrap_or(start))
            }
        }
    }
}

impl Definition {
    /// Checks all of it.
    ///
    /// # Errors
    /// [`Invalid`] naming every field that is wrong.
    pub fn check(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        check_text(&mut invalid, "definition.metric.name", &self.metric.name, 100);
        check_text(&mut invalid, "definition.control_definition", &self.control_definition, 1_000);
        if let Some(currency) = &self.metric.currency {
            invalid.merge(domain::money::check_currency("definition.metric.currency", currency));
        } else if self.metric.kind == MetricKind::Revenue {
            invalid.add("definition.metric.currency", "is required for revenue, for example \"USD\"");
        }
        if !(self.alpha >= 0.0001 && self.alpha <= 0.5) {
            invalid.add("definition.alpha", "must be 0.0001 to 0.5");
        }
        if let Some(line) = &self.line {
            for (field, text) in [("placement_type", &line.placement_type), ("audience_segment", &line.audience_segment)] {
                if text.chars().count() > 100 {
                    invalid.add(format!("definition.line.{field}"), "must be at most 100 characters");
                }
            }
        }
        match &self.design {
            Design::Ab(design) => check_ab(&mut invalid, design),
            Design::Geo(design) => check_geo(&mut invalid, design),
            Design::Switchback(design) => check_switchback(&mut invalid, design),
        }
        invalid.into_result()
    }
}

fn check_ab(invalid: &mut Invalid, design: &AbDesign) {
    if let Err(error) = assignment::check_arms(&arms(design)) {
        invalid.add("definition.design.arms", error.to_string().trim_start_matches("arms: ").to_owned());
    }
    for (at, arm) in design.arms.iter().enumerate() {
        check_text(invalid, &format!("definition.design.arms[{at}].name"), &arm.name, 100);
    }
    check_days(invalid, &[("planned_end", design.planned_end)]);
    match (design.analysis, design.planned_units) {
        (Analysis::Sequential, None) => invalid.add("definition.design.planned_units", "is required for a sequential analysis"),
        (_, Some(units)) if !(100..=1_000_000_000_000).contains(&units) => {
            invalid.add("definition.design.planned_units", "must be 100 to 1,000,000,000,000");
        }
        _ => {}
    }
}

/// The arms as the assignment takes them.
#[must_use]
pub fn arms(design: &AbDesign) -> Vec<assignment::Arm> {
    design.arms.iter().map(|arm| assignment::Arm { name: arm.name.clone(), share: arm.share.min(BUCKETS + 1) }).collect()
}

fn check_names(invalid: &mut Invalid, field: &str, names: &[String], seen: &mut BTreeSet<String>) {
    for (at, name) in names.iter().enumerate() {
        check_text(invalid, &format!("{field}[{at}]"), name, 100);
        if !seen.insert(name.clone()) {
            invalid.add(format!("{field}[{at}]"), format!("{name:?} is named twice"));
        }
    }
}

fn check_days(invalid: &mut Invalid, days: &[(&str, NaiveDate)]) {
    for (field, day) in days {
        invalid.merge(domain::day::check(&format!("definition.design.{field}"), *day));
    }
}

fn check_geo(invalid: &mut Invalid, design: &GeoDesign) {
    check_days(
        invalid,
        &[("pre_start", design.pre_start), ("pre_end", design.pre_end), ("post_start", design.post_start), ("post_end", design.post_end)],
    );
    let mut seen = BTreeSet::new();
    if design.treatment.is_empty() {
        invalid.add("definition.design.treatment", "must name at least one market");
    }
    if design.control.len() < 2 {
        invalid.add("definition.design.control", "must name at least two markets");
    }
    if design.treatment.len() + design.control.len() > MOST_MARKETS {
        return invalid.add("definition.design.control", format!("treatment and control may have {MOST_MARKETS} markets together"));
    }
    check_names(invalid, "definition.design.treatment", &design.treatment, &mut seen);
    check_names(invalid, "definition.design.control", &design.control, &mut seen);
    let pre = (design.pre_end - design.pre_start).num_days() + 1;
    let post = (design.post_end - design.post_start).num_days() + 1;
    if pre < LEAST_PRE_DAYS as i64 {
        invalid.add("definition.design.pre_end", format!("leaves {pre} days before the test; at least {LEAST_PRE_DAYS} are needed"));
    }
    if design.post_start <= design.pre_end {
        invalid.add("definition.design.post_start", "must be after pre_end");
    }
    if post < 1 {
        invalid.add("definition.design.post_end", "is before post_start");
    }
    if pre.max(0) + post.max(0) > MOST_DAYS {
        invalid.add("definition.design.pre_start", format!("at most {MOST_DAYS} days can be looked at"));
    }
}

fn check_switchback(invalid: &mut Invalid, design: &SwitchbackDesign) {
    check_days(invalid, &[("start", design.start)]);
    if !(1..=MOST_UNITS).contains(&design.units.len()) {
        return invalid.add("definition.design.units", format!("must be 1 to {MOST_UNITS}, not {}", design.units.len()));
    }
    check_names(invalid, "definition.design.units", &design.units, &mut BTreeSet::new());
    if !(1..=24 * 28).contains(&design.block_hours) {
        invalid.add("definition.design.block_hours", "must be 1 to 672");
    }
    if design.washout_hours >= design.block_hours {
        invalid.add("definition.design.washout_hours", "must be shorter than a block");
    }
    if !design.blocks.is_multiple_of(2) || !(2..=MOST_BLOCKS).contains(&design.blocks) {
        return invalid.add("definition.design.blocks", format!("must be an even number from 2 to {MOST_BLOCKS}"));
    }
    let in_all = design.blocks * design.units.len() as u64;
    if in_all > MOST_BLOCKS_IN_ALL {
        invalid.add("definition.design.blocks", format!("would make {in_all} blocks over all units; at most {MOST_BLOCKS_IN_ALL}"));
    }
    if in_all / 2 < LEAST_PAIRS as u64 {
        invalid.add("definition.design.blocks", format!("makes fewer than {LEAST_PAIRS} pairs of blocks over all units"));
    }
}
