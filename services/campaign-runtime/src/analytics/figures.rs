//! The figures of a group in one list, from which every form of answer is made.

use planning::figure::{Figure, Reason};
use planning::metrics::{Derivation, PairedSums};
use serde_json::{Value, json};
use storage::performance::summary::SummaryRow;
use web::tabular::Kind;

use crate::input::money_or_null;

/// A number of one of three kinds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A count.
    Whole(i64),
    /// A ratio.
    Real(f64),
    /// Micros.
    Money(i64),
}

/// A named figure: a value, or the reason why there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// Its name in answers.
    pub name: &'static str,
    /// How it is kept in files.
    pub kind: Kind,
    /// The value.
    pub value: Option<Number>,
    /// Why there is none.
    pub reason: Option<Reason>,
}

/// How many figures a group has: seven measures, twelve metrics.
pub const FIGURES: usize = 19;

/// Sums, then derived metrics.
#[must_use]
pub fn figures(row: &SummaryRow) -> Vec<Shown> {
    let whole = |name, value: Option<i64>| shown(name, Kind::Whole, value.map(Number::Whole), Reason::NotMeasured);
    let money = |name, value: Option<i64>| shown(name, Kind::Money, value.map(Number::Money), Reason::NotMeasured);
    let mut all = Vec::with_capacity(FIGURES);
    all.extend([
        whole("impressions", row.impressions),
        whole("clicks", row.clicks),
        whole("conversions", row.conversions),
        money("spend", row.spend_micros),
        money("revenue", row.revenue_micros),
        whole("units_sold", row.units_sold),
        whole("new_to_brand_conversions", row.new_to_brand_conversions),
    ]);
    all.extend(PairedSums::of_pairs(&row.pairs).derive().by_name().map(|(name, derivation)| match derivation {
        Derivation::Number(figure) => of(name, Kind::Real, figure, Number::Real),
        Derivation::Money(figure) => of(name, Kind::Money, figure, Number::Money),
    }));
    all
}

/// The same list without any value, for one reason.
#[must_use]
pub fn withheld(reason: Reason) -> Vec<Shown> {
    let mut all = figures(&SummaryRow::default());
    for one in &mut all {
        one.value = None;
        one.reason = Some(reason);
    }
    all
}

fn shown(name: &'static str, kind: Kind, value: Option<Number>, otherwise: Reason) -> Shown {
    Shown { name, kind, value, reason: value.is_none().then_some(otherwise) }
}

fn of<T>(name: &'static str, kind: Kind, figure: Figure<T>, number: impl Fn(T) -> Number) -> Shown {
    Shown { name, kind, value: figure.value.map(number), reason: figure.reason }
}

impl Number {
    /// For ordering and ratios.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(value) | Self::Money(value) => value as f64,
            Self::Real(value) => value,
        }
    }

    /// As JSON, money with its currency.
    #[must_use]
    pub fn show(self, currency: Option<&str>) -> Value {
        match self {
            Self::Whole(value) => json!(value),
            Self::Real(value) => json!(value),
            Self::Money(micros) => money_or_null(Some(micros), currency),
        }
    }

    /// As the cell of a file, money as a decimal text.
    #[must_use]
    pub fn cell(self) -> Value {
        match self {
            Self::Money(micros) => json!(domain::money::format_micros(micros)),
            other => other.show(None),
        }
    }

    /// This less another of the same kind.
    #[must_use]
    pub fn less(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.checked_sub(b).map(Self::Whole),
            (Self::Money(a), Self::Money(b)) => a.checked_sub(b).map(Self::Money),
            (Self::Real(a), Self::Real(b)) => Some(Self::Real(a - b)),
            _ => None,
        }
    }
}

/// A change between two periods.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Now less then.
    pub absolute: Option<Number>,
    /// The same as a share of then.
    pub relative: Option<f64>,
    /// Why a part is missing.
    pub reason: Option<Reason>,
}

/// From then to now.
#[must_use]
pub fn change(then: &Shown, now: &Shown) -> Change {
    let (Some(before), Some(after)) = (then.value, now.value) else {
        return Change { absolute: None, relative: None, reason: now.reason.or(then.reason) };
    };
    let absolute = after.less(before);
    let base = before.as_f64();
    let relative = (base != 0.0).then(|| (after.as_f64() - base) / base.abs());
    let reason = match (absolute, relative) {
        (None, _) => Some(Reason::OutOfRange),
        (_, None) => Some(Reason::ZeroDenominator),
        _ => None,
    };
    Change { absolute, relative, reason }
}
