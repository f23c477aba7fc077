//! Groups of an answer: kept apart by currency and by how their retailers attribute, small ones hidden, ranked, compared.

use std::collections::{BTreeMap, HashMap};

use domain::attribution::Attribution;
use domain::scope::Scope;
use planning::figure::Reason;
use planning::suppression::{self, hidden};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::performance::summary::{Dimension, SummaryQuery, SummaryRow, summarise};
use storage::retailers::{self, Retailer};

use super::figures::{Shown, figures, withheld};

/// A group with what is needed to show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its sums.
    pub row: SummaryRow,
    /// How its retailers attribute; absent when one has not declared it.
    pub attribution: Option<Attribution>,
    /// Least size that its retailers' policies ask for; 0 for none.
    pub least: i64,
    /// Whether it is too small to be shown, or hides one that is.
    pub is_hidden: bool,
    /// Whether it is the rest of a ranking.
    pub is_rest: bool,
    /// The same group in the period compared with.
    pub then: Option<Box<Group>>,
}

/// What keeps groups of one place apart.
type Class = (Option<String>, Option<Attribution>);

impl Group {
    /// Its figures, or the reason why none is shown.
    #[must_use]
    pub fn figures(&self) -> Vec<Shown> {
        if self.is_hidden { withheld(Reason::BelowMinimumCellSize) } else { figures(&self.row) }
    }

    fn class(&self) -> Class {
        (self.row.currency.clone(), self.attribution)
    }

    fn counts(&self) -> Vec<i64> {
        let row = &self.row;
        [row.impressions, row.clicks, row.conversions, row.new_to_brand_conversions].map(Option::unwrap_or_default).into()
    }
}

/// What a retailer declares: attribution and least size of cells.
#[derive(Debug, Clone, Copy, Default)]
struct Declared {
    attribution: Option<Attribution>,
    least: i64,
}

impl Declared {
    fn of(row: &Retailer) -> Self {
        let attribution = row.attribution.as_ref().and_then(|value| match Attribution::read(value) {
            Ok(read) => Some(read),
            Err(error) => {
                tracing::warn!(%error, retailer_id = %row.retailer_id, "the stored attribution cannot be read and counts as not declared");
                None
            }
        });
        Self { attribution, least: min_cell_size(&row.policies) }
    }
}

/// The least size of cells that policies ask for; 0 for none. Numbers given as texts count, too.
#[must_use]
pub fn min_cell_size(policies: &serde_json::Value) -> i64 {
    let value = policies.get("min_cell_size");
    let number = value.and_then(|value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()));
    number.map_or(0, |number: f64| number.ceil() as i64)
}

/// Retailers of rows, each read once.
fn declared(conn: &mut Connection, rows: &[SummaryRow]) -> Result<HashMap<String, Declared>, StorageError> {
    let mut ids: Vec<&str> = rows.iter().filter_map(|row| row.retailer.as_deref()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut declared = HashMap::new();
    for some in ids.chunks(500) {
        declared.extend(retailers::find_many(conn, some)?.iter().map(|row| (row.retailer_id.clone(), Declared::of(row))));
    }
    Ok(declared)
}

/// The groups of a query in their order, small ones marked; `None` when there are more than the query's limit.
///
/// # Errors
/// As any query.
pub fn gather(conn: &mut Connection, scope: &Scope, query: &SummaryQuery) -> Result<Option<Vec<Group>>, StorageError> {
    let query = SummaryQuery { by_retailer: true, ..query.clone() };
    let rows = summarise(conn, scope, &query)?;
    if rows.len() > query.limit {
        return Ok(None);
    }
    let declared = declared(conn, &rows)?;
    // A campaign is at one retailer; and campaigns of different tenants may share a public id.
    let stays_apart = query.group_by.contains(&Dimension::Campaign);
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<(Vec<String>, Class), usize> = HashMap::new();
    for row in rows {
        let own = row.retailer.as_ref().and_then(|id| declared.get(id)).copied().unwrap_or_default();
        let group = Group { attribution: own.attribution, least: own.least, is_hidden: false, is_rest: false, then: None, row };
        let key = (group.row.group.clone(), group.class());
        match places.get(&key).filter(|_| !stays_apart).and_then(|at| groups.get_mut(*at)) {
            Some(known) => {
                known.row.absorb(&group.row)?;
                known.least = known.least.max(group.least);
            }
            None => {
                places.insert(key, groups.len());
                groups.push(group);
            }
        }
    }
    hide(&mut groups);
    Ok(Some(groups))
}

/// Marks groups that are too small, and those that must stay hidden with them, class by class.
fn hide(groups: &mut [Group]) {
    if groups.iter().all(|group| group.least < 2) {
        return;
    }
    let mut classes: BTreeMap<Class, Vec<usize>> = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        classes.entry(group.class()).or_default().push(at);
    }
    for places in classes.values() {
        let table: Vec<suppression::Group> = places
            .iter()
            .filter_map(|at| groups.get(*at))
            .map(|group| suppression::Group { place: group.row.group.clone(), counts: group.counts(), least: group.least })
            .collect();
        for (at, is_hidden) in places.iter().zip(hidden(&table)) {
            if let Some(group) = groups.get_mut(*at) {
                group.is_hidden = is_hidden;
            }
        }
    }
}

/// By which figure groups are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Name of the figure.
    pub by: &'static str,
    /// Greatest first.
    pub is_descending: bool,
}

/// Ranks groups within their currency and attribution; with `top`, the rest of each becomes one group.
///
/// # Errors
/// When the sums of a rest exceed 64 bits.
pub fn rank(groups: Vec<Group>, order: Order, top: Option<usize>) -> Result<Vec<Group>, StorageError> {
    let mut classes: BTreeMap<Class, Vec<Group>> = BTreeMap::new();
    for group in groups {
        classes.entry(group.class()).or_default().push(group);
    }
    let mut ranked = Vec::new();
    for mut class in classes.into_values() {
        // Stable, so that equal groups keep the order of their names; what has no value comes last.
        class.sort_by(|a, b| match (value(a, order.by), value(b, order.by)) {
            (Some(a), Some(b)) if order.is_descending => b.total_cmp(&a),
            (Some(a), Some(b)) => a.total_cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        let rest = top.filter(|top| *top < class.len()).map(|top| class.split_off(top));
        ranked.append(&mut class);
        if let Some(rest) = rest {
            ranked.extend(add_up(rest)?);
        }
    }
    Ok(ranked)
}

/// One group of several; its size is at least that of its largest, so it is small only when all are.
fn add_up(rest: Vec<Group>) -> Result<Option<Group>, StorageError> {
    let all_hidden = rest.iter().all(|group| group.is_hidden);
    let mut parts = rest.into_iter();
    let Some(mut sum) = parts.next() else { return Ok(None) };
    let mut has_one = false;
    let mut then = sum.then.take();
    for part in parts {
        has_one = true;
        sum.row.absorb(&part.row)?;
        sum.least = sum.least.max(part.least);
        match (&mut then, part.then) {
            (Some(sum), Some(more)) => {
                sum.row.absorb(&more.row)?;
                sum.is_hidden = sum.is_hidden && more.is_hidden;
            }
            (empty, more) => *empty = empty.take().or(more),
        }
    }
    sum.row.group.iter_mut().for_each(|value| value.clear());
    sum.is_rest = true;
    let is_small = sum.counts().iter().any(|count| *count > 0 && *count < sum.least);
    sum.is_hidden = is_small || (all_hidden && !has_one);
    sum.then = then;
    Ok(Some(sum))
}

fn value(group: &Group, name: &str) -> Option<f64> {
    group.figures().iter().find(|shown| shown.name == name).and_then(|shown| shown.value).map(super::figures::Number::as_f64)
}

/// Puts beside each group the same one of another period; groups that are only in the other are added without present values.
pub fn compare(groups: &mut Vec<Group>, then: Vec<Group>) {
    let mut of_then: BTreeMap<(Vec<String>, Class), Vec<Group>> = BTreeMap::new();
    for group in then {
        of_then.entry((group.row.group.clone(), group.class())).or_default().push(group);
    }
    for group in groups.iter_mut() {
        let same = of_then.get_mut(&(group.row.group.clone(), group.class()));
        group.then = same.filter(|same| !same.is_empty()).map(|same| Box::new(same.remove(0)));
    }
    for gone in of_then.into_values().flatten() {
        let row = SummaryRow { group: gone.row.group.clone(), currency: gone.row.currency.clone(), ..SummaryRow::default() };
        groups.push(Group { row, is_hidden: false, then: Some(Box::new(gone.clone())), ..gone });
    }
}

/// Share of each of five sums that groups have in the sums of their class, also of groups that are hidden.
#[must_use]
pub fn totals(groups: &[Group]) -> BTreeMap<Class, [i128; 5]> {
    let mut totals: BTreeMap<Class, [i128; 5]> = BTreeMap::new();
    for group in groups {
        let sums = totals.entry(group.class()).or_default();
        for (sum, more) in sums.iter_mut().zip(shared(&group.row)) {
            *sum += i128::from(more.unwrap_or_default());
        }
    }
    totals
}

/// The sums that shares are told of, by the names in [`SHARED`].
fn shared(row: &SummaryRow) -> [Option<i64>; 5] {
    [row.impressions, row.clicks, row.conversions, row.spend_micros, row.revenue_micros]
}

/// Names of the sums that shares are told of.
pub const SHARED: [&str; 5] = ["impressions", "clicks", "conversions", "spend", "revenue"];

/// The shares of a group.
#[must_use]
pub fn shares(group: &Group, totals: &BTreeMap<Class, [i128; 5]>) -> [Option<f64>; 5] {
    let mut shares = [None; 5];
    if let Some(totals) = totals.get(&group.class()).filter(|_| !group.is_hidden) {
        for ((share, own), total) in shares.iter_mut().zip(shared(&group.row)).zip(totals) {
            *share = own.filter(|_| *total != 0).map(|own| own as f64 / *total as f64);
        }
    }
    shares
}
