//! What a statement answers, and how its cells become rows: cells of one group differ in which measures their rows had.

use std::collections::BTreeMap;

use diesel::deserialize::{self, FromSql};
use diesel::row::{Field, NamedRow};
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{QueryableByName, backend::Backend};

use super::{RATIO_MEASURES, SummaryQuery, SummaryRow};
use crate::error::StorageError;

/// Sums of the rows of one group that have the same measures.
pub(crate) struct Cell {
    group: Vec<Option<String>>,
    campaign: i64,
    retailer: Option<String>,
    currency: Option<String>,
    measured: i64,
    n: i64,
    measures: [i64; 7],
}

/// Columns after those of the groups: campaign, retailer, currency, measured, n, and the measures.
const TRAILING: usize = 12;

impl<DB: Backend> QueryableByName<DB> for Cell
where
    Option<String>: FromSql<Nullable<Text>, DB>,
    i64: FromSql<BigInt, DB>,
{
    fn build<'a>(row: &impl NamedRow<'a, DB>) -> deserialize::Result<Self> {
        fn whole<'a, DB: Backend>(row: &impl NamedRow<'a, DB>, at: usize) -> deserialize::Result<i64>
        where
            i64: FromSql<BigInt, DB>,
        {
            let field = diesel::row::Row::get(row, at).ok_or("a column is missing")?;
            i64::from_nullable_sql(field.value())
        }
        fn text<'a, DB: Backend>(row: &impl NamedRow<'a, DB>, at: usize) -> deserialize::Result<Option<String>>
        where
            Option<String>: FromSql<Nullable<Text>, DB>,
        {
            let field = diesel::row::Row::get(row, at).ok_or("a column is missing")?;
            <Option<String> as FromSql<Nullable<Text>, DB>>::from_nullable_sql(field.value())
        }
        let dimensions = row.field_count().saturating_sub(TRAILING);
        let mut measures = [0; 7];
        for (at, measure) in measures.iter_mut().enumerate() {
            *measure = whole(row, dimensions + 5 + at)?;
        }
        Ok(Self {
            group: (0..dimensions).map(|at| text(row, at)).collect::<Result<_, _>>()?,
            campaign: whole(row, dimensions)?,
            retailer: text(row, dimensions + 1)?,
            currency: text(row, dimensions + 2)?,
            measured: whole(row, dimensions + 3)?,
            n: whole(row, dimensions + 4)?,
            measures,
        })
    }
}

/// Adds cells up to rows in the order of their groups; at most one more than the query's limit.
pub(crate) fn fold(cells: Vec<Cell>, query: &SummaryQuery) -> Result<Vec<SummaryRow>, StorageError> {
    // Values of the group, campaign, retailer, currency.
    type Place = (Vec<String>, i64, Option<String>, Option<String>);
    let mut rows: BTreeMap<Place, SummaryRow> = BTreeMap::new();
    for cell in cells {
        let group: Vec<String> = cell.group.into_iter().map(Option::unwrap_or_default).collect();
        let key = (group, cell.campaign, cell.retailer, cell.currency);
        let row = rows.entry(key).or_insert_with_key(|(group, _, retailer, currency)| SummaryRow {
            group: group.clone(),
            retailer: retailer.clone(),
            currency: currency.clone(),
            ..SummaryRow::default()
        });
        let measure = |at: usize| match cell.measures.get(at) {
            Some(sum) if cell.measured & (1 << at) != 0 => Some(*sum),
            _ => None,
        };
        let mut part = SummaryRow { rows: cell.n, ..SummaryRow::default() };
        for (at, slot) in part.measures_mut().into_iter().enumerate() {
            *slot = measure(at);
        }
        for (pair, (numerator, denominator)) in part.pairs.iter_mut().zip(RATIO_MEASURES) {
            if let (Some(numerator), Some(denominator)) = (measure(numerator), measure(denominator)) {
                *pair = (Some(numerator), Some(denominator));
            }
        }
        row.absorb(&part)?;
    }
    Ok(rows.into_values().take(query.limit.saturating_add(1)).collect())
}
