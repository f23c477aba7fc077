//! Sums of rows in the cells of the rollup table, added up in memory: by day, by month, and by month for each value of each part of the
//! natural key. Cells also differ by currency and by which measures their rows have, so that a ratio can be taken over the rows that
//! have both of its measures.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use domain::invalid::Invalid;

use super::partitions::month_of;
use crate::error::StorageError;

/// The parts of the natural key that months are also summed by, in the order of [`CellRow::parts`].
pub const DIMENSIONS: [&str; 5] = ["placement_type", "audience_segment", "category", "sku_id", "impression_kind"];

/// The measures, in the order of [`CellRow::measures`]; the first is bit 1 of [`Shape::measured`], the second bit 2, and so on.
pub const MEASURES: [&str; 7] =
    ["impressions", "clicks", "conversions", "spend_micros", "revenue_micros", "units_sold", "new_to_brand_conversions"];

/// What is summed of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CellRow<'a> {
    pub(crate) date: NaiveDate,
    pub(crate) parts: [&'a str; 5],
    pub(crate) currency: Option<&'a str>,
    pub(crate) measures: [Option<i64>; 7],
}

/// What rows of one cell have in common besides day and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub(crate) currency: [u8; 3],
    /// Bit mask of the measures that the rows have.
    pub(crate) measured: i16,
}

impl Shape {
    pub(crate) fn of(currency: Option<&str>, measures: &[Option<i64>; 7]) -> Self {
        let mut code = [0; 3];
        for (to, from) in code.iter_mut().zip(currency.unwrap_or_default().bytes()) {
            *to = from;
        }
        let measured = measures.iter().enumerate().map(|(bit, measure)| if measure.is_some() { 1 << bit } else { 0 }).sum();
        Self { currency: code, measured }
    }

    /// The currency's code; empty when the rows have none.
    pub(crate) fn currency(&self) -> &str {
        std::str::from_utf8(&self.currency).map_or("", |code| code.trim_end_matches('\0'))
    }
}

/// Rows and sums of a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) n: i64,
    pub(crate) measures: [i64; 7],
}

impl Sums {
    fn add(&mut self, n: i64, measures: impl IntoIterator<Item = i64>) -> Result<(), StorageError> {
        self.n += n;
        for (at, (sum, more)) in self.measures.iter_mut().zip(measures).enumerate() {
            *sum = sum.checked_add(more).ok_or_else(|| too_large(at))?;
        }
        Ok(())
    }
}

fn too_large(measure: usize) -> StorageError {
    let name = MEASURES.get(measure).copied().unwrap_or_default();
    StorageError::Invalid(Invalid::one("rows", format!("the sum of {name} exceeds the largest number that can be kept")))
}

/// Sums of one month of one campaign.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct MonthCells {
    days: HashMap<(NaiveDate, Shape), Sums>,
    parts: [HashMap<String, Vec<(Shape, Sums)>>; 5],
    count: usize,
}

/// A cell ready to be stored: grain, start of the period, dimension, value, shape, sums.
pub(crate) type Cell<'a> = (&'static str, NaiveDate, &'static str, &'a str, Shape, Sums);

impl MonthCells {
    /// Adds a row of this month.
    pub(crate) fn add(&mut self, row: &CellRow<'_>) -> Result<(), StorageError> {
        let shape = Shape::of(row.currency, &row.measures);
        let values = row.measures.map(Option::unwrap_or_default);
        let before = self.days.len();
        self.days.entry((row.date, shape)).or_default().add(1, values)?;
        self.count += self.days.len() - before;
        for (cells, value) in self.parts.iter_mut().zip(row.parts) {
            if !cells.contains_key(value) {
                cells.insert(value.to_owned(), Vec::new());
            }
            let Some(of_value) = cells.get_mut(value) else { continue };
            match of_value.iter_mut().find(|(known, _)| *known == shape) {
                Some((_, sums)) => sums.add(1, values)?,
                None => {
                    let mut sums = Sums::default();
                    sums.add(1, values)?;
                    of_value.push((shape, sums));
                    self.count += 1;
                }
            }
        }
        Ok(())
    }

    /// How many cells there are, but for the month's own.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// All cells of the month.
    pub(crate) fn cells(&self, month: NaiveDate) -> Result<Vec<Cell<'_>>, StorageError> {
        let mut cells: Vec<Cell<'_>> = Vec::with_capacity(self.count + 4);
        let mut whole: BTreeMap<Shape, Sums> = BTreeMap::new();
        for ((day, shape), sums) in &self.days {
            whole.entry(*shape).or_default().add(sums.n, sums.measures)?;
            cells.push(("day", *day, "", "", *shape, *sums));
        }
        cells.extend(whole.into_iter().map(|(shape, sums)| ("month", month, "", "", shape, sums)));
        for (dimension, of_dimension) in DIMENSIONS.iter().zip(&self.parts) {
            for (value, shapes) in of_dimension {
                cells.extend(shapes.iter().map(|(shape, sums)| ("month", month, *dimension, value.as_str(), *shape, *sums)));
            }
        }
        Ok(cells)
    }
}

/// Sums of a campaign by month.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CampaignCells {
    pub(crate) months: BTreeMap<NaiveDate, MonthCells>,
}

impl CampaignCells {
    /// Adds a row; how many cells are new.
    pub(crate) fn add(&mut self, row: &CellRow<'_>) -> Result<usize, StorageError> {
        let month = self.months.entry(month_of(row.date)).or_default();
        let before = month.len();
        month.add(row)?;
        Ok(month.len() - before)
    }
}

/// Adds up the months' cells of a campaign to its lifetime.
pub(crate) fn lifetime(months: impl IntoIterator<Item = (Shape, Sums)>) -> Result<BTreeMap<Shape, Sums>, StorageError> {
    let mut total: BTreeMap<Shape, Sums> = BTreeMap::new();
    for (shape, sums) in months {
        total.entry(shape).or_default().add(sums.n, sums.measures)?;
    }
    Ok(total)
}
