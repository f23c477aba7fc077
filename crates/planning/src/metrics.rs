//! Derived advertising metrics: ratios of sums, never averages of ratios, each with its formula.
//! A missing input gives no value with the reason `not_measured`, a zero denominator no value with
//! the reason `zero_denominator`. Definitions follow the IAB/MRC retail media measurement
//! guidelines (January 2024) and the common reports of Amazon Ads and Criteo.

use serde::{Deserialize, Serialize};

use crate::figure::{Figure, Reason};

/// Measures of one row, or their sums. Absent means not measured, which is not zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measures {
    /// Ad impressions, net of invalid traffic when the source says so.
    pub impressions: Option<i64>,
    /// Clicks.
    pub clicks: Option<i64>,
    /// Attributed orders.
    pub conversions: Option<i64>,
    /// Media spend in micros of one currency.
    pub spend_micros: Option<i64>,
    /// Attributed revenue in micros of the same currency.
    pub revenue_micros: Option<i64>,
}

/// The derived metrics. Rates are plain ratios (0.02 is two percent); money is in micros.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Derived {
    /// Click-through rate: clicks / impressions.
    pub ctr: Figure<f64>,
    /// Click conversion rate: conversions / clicks.
    pub cvr: Figure<f64>,
    /// Purchase rate: conversions / impressions, the rate of media without clicks.
    pub purchase_rate: Figure<f64>,
    /// Cost per click: spend / clicks.
    pub cpc_micros: Figure<i64>,
    /// Cost per thousand impressions: 1000 * spend / impressions.
    pub cpm_micros: Figure<i64>,
    /// Cost per acquisition: spend / conversions.
    pub cpa_micros: Figure<i64>,
    /// Return on ad spend: revenue / spend.
    pub roas: Figure<f64>,
    /// Average order value: revenue / conversions.
    pub aov_micros: Figure<i64>,
    /// Advertising cost of sales in percent: 100 * spend / revenue.
    pub acos: Figure<f64>,
    /// Units per order: units sold / conversions.
    pub units_per_order: Figure<f64>,
    /// Share of orders by buyers new to the brand: new-to-brand conversions / conversions.
    pub new_to_brand_rate: Figure<f64>,
    /// Cost of a buyer new to the brand: spend / new-to-brand conversions.
    pub new_to_brand_cost_micros: Figure<i64>,
}

/// A derived metric with its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Derivation {
    /// A plain number.
    Number(Figure<f64>),
    /// Micros of the currency of the sums.
    Money(Figure<i64>),
}

impl Derived {
    /// All metrics by name, in the order of [`DEFINITIONS`].
    #[must_use]
    pub fn by_name(&self) -> [(&'static str, Derivation); 12] {
        let values = [
            Derivation::Number(self.ctr),
            Derivation::Number(self.cvr),
            Derivation::Number(self.purchase_rate),
            Derivation::Money(self.cpc_micros),
            Derivation::Money(self.cpm_micros),
            Derivation::Money(self.cpa_micros),
            Derivation::Number(self.roas),
            Derivation::Number(self.acos),
            Derivation::Money(self.aov_micros),
            Derivation::Number(self.units_per_order),
            Derivation::Number(self.new_to_brand_rate),
            Derivation::Money(self.new_to_brand_cost_micros),
        ];
        let mut named = [("", Derivation::Number(Figure::missing(Reason::NotMeasured))); 12];
        for ((slot, value), definition) in named.iter_mut().zip(values).zip(&DEFINITIONS) {
            *slot = (definition.name, value);
        }
        named
    }
}

/// What a derived metric means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Definition {
    /// Its name in answers.
    pub name: &'static str,
    /// How it is computed from sums.
    pub formula: &'static str,
    /// What its numerator is counted per.
    pub basis: &'static str,
    /// `ratio`, `percent`, `number` or `money`.
    pub unit: &'static str,
    /// Whether it rests on orders that the retailer attributed to the ads, within its window and scope.
    pub is_attributed: bool,
}

const fn define(name: &'static str, formula: &'static str, basis: &'static str, unit: &'static str, is_attributed: bool) -> Definition {
    Definition { name, formula, basis, unit, is_attributed }
}

/// All derived metrics. Others of the field are not offered because no row carries their inputs: viewable or measurable impressions,
/// invalid traffic, reach, the retailer's total impressions and total revenue. Incremental ROAS is measured by experiments, never here.
pub const DEFINITIONS: [Definition; 12] = [
    define("ctr", "clicks / impressions", "impression", "ratio", false),
    define("cvr", "conversions / clicks", "click", "ratio", true),
    define("purchase_rate", "conversions / impressions", "impression", "ratio", true),
    define("cpc", "spend / clicks", "click", "money", false),
    define("cpm", "1000 * spend / impressions", "thousand impressions", "money", false),
    define("cpa", "spend / conversions", "attributed order", "money", true),
    define("roas", "revenue / spend", "spend", "ratio", true),
    define("acos", "100 * spend / revenue", "attributed revenue", "percent", true),
    define("aov", "revenue / conversions", "attributed order", "money", true),
    define("units_per_order", "units_sold / conversions", "attributed order", "number", true),
    define("new_to_brand_rate", "new_to_brand_conversions / conversions", "attributed order", "ratio", true),
    define("new_to_brand_cost", "spend / new_to_brand_conversions", "order new to the brand", "money", true),
];

/// Derives all metrics from sums over rows in which every used measure is present. When rows
/// differ in what they measured, collect them with [`PairedSums`] instead.
#[must_use]
pub fn derive(sums: &Measures) -> Derived {
    PairedSums::of(sums).derive()
}

/// Sums for ratios over rows that do not all measure the same things: for each ratio, numerator
/// and denominator come only from the rows that have both. Otherwise the impressions of in-store
/// rows, which have no clicks, would pull down the click-through rate of the onsite rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PairedSums {
    ctr: Pair,
    cvr: Pair,
    purchase_rate: Pair,
    cpc: Pair,
    cpm: Pair,
    cpa: Pair,
    roas: Pair,
    aov: Pair,
    units_per_order: Pair,
    new_to_brand_rate: Pair,
    new_to_brand_cost: Pair,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pair {
    rows: u64,
    numerator: i128,
    denominator: i128,
}

impl PairedSums {
    /// The sums of a single row.
    #[must_use]
    pub fn of(row: &Measures) -> Self {
        let mut sums = Self::default();
        sums.add(row);
        sums
    }

    /// From the sums of numerator and denominator of each ratio, over the rows that have both: CTR, CVR, purchase rate, CPC, CPM, CPA, ROAS,
    /// AOV, units per order, new-to-brand rate, cost of a new buyer.
    #[must_use]
    pub fn of_pairs(pairs: &[(Option<i64>, Option<i64>); 11]) -> Self {
        let mut sums = Self::default();
        let all = [
            &mut sums.ctr,
            &mut sums.cvr,
            &mut sums.purchase_rate,
            &mut sums.cpc,
            &mut sums.cpm,
            &mut sums.cpa,
            &mut sums.roas,
            &mut sums.aov,
            &mut sums.units_per_order,
            &mut sums.new_to_brand_rate,
            &mut sums.new_to_brand_cost,
        ];
        for (pair, (numerator, denominator)) in all.into_iter().zip(pairs) {
            pair.add(*numerator, *denominator);
        }
        sums
    }

    /// Adds a row.
    pub fn add(&mut self, row: &Measures) {
        self.ctr.add(row.clicks, row.impressions);
        self.cvr.add(row.conversions, row.clicks);
        self.purchase_rate.add(row.conversions, row.impressions);
        self.cpc.add(row.spend_micros, row.clicks);
        self.cpm.add(row.spend_micros, row.impressions);
        self.cpa.add(row.spend_micros, row.conversions);
        self.roas.add(row.revenue_micros, row.spend_micros);
        self.aov.add(row.revenue_micros, row.conversions);
    }

    /// The metrics of everything added.
    #[must_use]
    pub fn derive(&self) -> Derived {
        Derived {
            ctr: self.ctr.ratio(),
            cvr: self.cvr.ratio(),
            purchase_rate: self.purchase_rate.ratio(),
            cpc_micros: self.cpc.micros(1),
            cpm_micros: self.cpm.micros(1000),
            cpa_micros: self.cpa.micros(1),
            roas: self.roas.ratio(),
            aov_micros: self.aov.micros(1),
            acos: self.roas.swapped().percent(),
            units_per_order: self.units_per_order.ratio(),
            new_to_brand_rate: self.new_to_brand_rate.ratio(),
            new_to_brand_cost_micros: self.new_to_brand_cost.micros(1),
        }
    }
}

impl Pair {
    fn add(&mut self, numerator: Option<i64>, denominator: Option<i64>) {
        if let (Some(numerator), Some(denominator)) = (numerator, denominator) {
            self.rows += 1;
            self.numerator += i128::from(numerator);
            self.denominator += i128::from(denominator);
        }
    }

    fn obstacle(&self) -> Option<Reason> {
        if self.rows == 0 {
            Some(Reason::NotMeasured)
        } else if self.denominator == 0 {
            Some(Reason::ZeroDenominator)
        } else {
            None
        }
    }

    fn swapped(&self) -> Self {
        Self { rows: self.rows, numerator: self.denominator, denominator: self.numerator }
    }

    fn percent(&self) -> Figure<f64> {
        match self.obstacle() {
            Some(reason) => Figure::missing(reason),
            None => Figure::of(100.0 * self.numerator as f64 / self.denominator as f64),
        }
    }

    fn ratio(&self) -> Figure<f64> {
        match self.obstacle() {
            Some(reason) => Figure::missing(reason),
            None => Figure::of(self.numerator as f64 / self.denominator as f64),
        }
    }

    fn micros(&self, factor: i128) -> Figure<i64> {
        match self.obstacle() {
            Some(reason) => Figure::missing(reason),
            None => self
                .numerator
                .checked_mul(factor)
                .and_then(|numerator| i64::try_from(divide_rounding(numerator, self.denominator)).ok())
                .map_or(Figure::missing(Reason::OutOfRange), Figure::of),
        }
    }
}

/// Quotient rounded to the nearest whole number, halves away from zero. `denominator` is not 0.
fn divide_rounding(numerator: i128, denominator: i128) -> i128 {
    let (quotient, remainder) = (numerator / denominator, numerator % denominator);
    if remainder.abs() * 2 >= denominator.abs() { quotient + numerator.signum() * denominator.signum() } else { quotient }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_of_the_field() {
        let derived = derive(&Measures {
            impressions: Some(60_000),
            clicks: Some(287),
            conversions: Some(14),
            spend_micros: Some(120_000_000),
            revenue_micros: Some(480_000_000),
        });
        assert_eq!(derived.ctr.value, Some(287.0 / 60_000.0));
        assert_eq!(derived.cvr.value, Some(14.0 / 287.0));
        assert_eq!(derived.cpc_micros.value, Some(418_118));
        assert_eq!(derived.cpm_micros.value, Some(2_000_000));
        assert_eq!(derived.cpa_micros.value, Some(8_571_429));
        assert_eq!(derived.roas.value, Some(4.0));
        assert_eq!(derived.aov_micros.value, Some(34_285_714));
    }

    #[test]
    fn pairs_give_the_metrics_that_need_units_and_new_buyers() {
        let mut pairs = [(None, None); 11];
        pairs[6] = (Some(480), Some(120));
        pairs[8] = (Some(21), Some(14));
        pairs[9] = (Some(7), Some(14));
        pairs[10] = (Some(100_000_000), Some(7));
        let derived = PairedSums::of_pairs(&pairs).derive();
        assert_eq!((derived.roas.value, derived.acos.value), (Some(4.0), Some(25.0)), "ACOS = 100 / ROAS");
        assert_eq!((derived.units_per_order.value, derived.new_to_brand_rate.value), (Some(1.5), Some(0.5)));
        assert_eq!(derived.new_to_brand_cost_micros.value, Some(14_285_714));
        assert_eq!(derived.ctr, Figure::missing(Reason::NotMeasured));
        let names: Vec<&str> = derived.by_name().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, DEFINITIONS.map(|definition| definition.name));
    }

    #[test]
    fn absent_is_not_zero() {
        let derived = derive(&Measures { impressions: Some(100), conversions: Some(0), ..Measures::default() });
        assert_eq!(derived.ctr, Figure::missing(Reason::NotMeasured));
        assert_eq!(derived.cpa_micros, Figure::missing(Reason::NotMeasured));
        assert_eq!(derived.purchase_rate, Figure::of(0.0));
        let derived = derive(&Measures { spend_micros: Some(5), conversions: Some(0), ..Measures::default() });
        assert_eq!(derived.cpa_micros, Figure::missing(Reason::ZeroDenominator));
    }

    #[test]
    fn rows_without_clicks_do_not_dilute_the_click_rate() {
        let mut sums = PairedSums::default();
        sums.add(&Measures { impressions: Some(1_000), clicks: Some(10), ..Measures::default() });
        sums.add(&Measures { impressions: Some(5_000_000), clicks: None, ..Measures::default() });
        assert_eq!(sums.derive().ctr, Figure::of(0.01));
    }
}
