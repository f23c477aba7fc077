//! Rows of the five catalog tables: laid over what is stored, so that a file that has only some columns changes only those.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::marker::PhantomData;

use domain::scope::Scope;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::columns::{self, Field};
use super::rows::Row;
use super::{Job, Outcome, Parser, Problem, Table, Writer};
use crate::connection::Connection;
use crate::dialect::ROWS_PER_STATEMENT;
use crate::error::StorageError;
use crate::performance::Written;
use crate::{brands, retailers};

/// What rows of a table need: how they are named, whose they are, how they are read and written.
pub(super) trait CatalogRow: Clone + PartialEq + Default + Serialize + DeserializeOwned + Debug + Send + 'static {
    /// The table.
    const TABLE: Table;
    /// The field with the public id.
    const ID: &'static str;

    /// Within what the public id is unique; empty when it is unique by itself.
    fn within(given: &Map<String, Value>, known: &References) -> String;
    /// Whose the row is.
    fn owner(&self) -> &str;
    /// Fills what follows from other fields and checks the whole row.
    fn complete(&mut self, given: &Map<String, Value>, is_new: bool, known: &References) -> Result<(), Problem>;
    /// The stored rows with these ids, each with its primary key.
    fn find_stored(conn: &mut Connection, within: &str, ids: &[&str]) -> Result<Vec<(i64, String, Self)>, StorageError>;
    /// Inserts new rows.
    fn insert_many(conn: &mut Connection, rows: &[Self], job: &Job<'_>) -> Result<usize, StorageError>;
    /// What else speaks against replacing a stored row by this one.
    fn check_change(&self, _: &mut Connection, _id: i64, _stored: &Self) -> Result<Option<Problem>, StorageError> {
        Ok(None)
    }
    /// Replaces a stored row.
    fn replace(conn: &mut Connection, id: i64, row: &Self, job: &Job<'_>) -> Result<(), StorageError>;
}

/// Retailers and brands that rows refer to, looked up once for each file.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Currency of each retailer that exists; `None` for one that does not.
    retailers: HashMap<String, Option<Option<String>>>,
    /// Tenant of each brand that the caller may see; `None` for one that is not there for it.
    brands: HashMap<String, Option<String>>,
    /// The caller's tenant.
    own: Option<String>,
}

impl References {
    /// The currency of a retailer.
    ///
    /// # Errors
    /// A [`Problem`] when there is no such retailer.
    pub(super) fn currency_of(&self, retailer_id: &str) -> Result<Option<String>, Problem> {
        let known = self.retailers.get(retailer_id).and_then(Option::as_ref);
        known.cloned().ok_or_else(|| Problem::new("retailer_id", format!("there is no retailer {retailer_id:?}; import it first")))
    }

    /// The tenant of a brand.
    ///
    /// # Errors
    /// A [`Problem`] when there is no such brand.
    pub(super) fn tenant_of(&self, brand_id: &str) -> Result<String, Problem> {
        let known = self.brands.get(brand_id).and_then(Option::as_ref);
        known.cloned().ok_or_else(|| Problem::new("brand_id", format!("there is no brand {brand_id:?}; import it first")))
    }

    /// The caller's tenant; none for the platform.
    pub(super) fn own_tenant(&self) -> Option<&str> {
        self.own.as_deref()
    }

    fn look_up(&mut self, conn: &mut Connection, scope: &Scope, rows: &[Taken]) -> Result<(), StorageError> {
        self.own = scope.tenant().map(str::to_owned);
        let wanted = |field: &str, is_known: &dyn Fn(&str) -> bool| -> Vec<String> {
            let ids: BTreeSet<&str> = rows.iter().filter_map(|row| row.given.get(field)?.as_str()).filter(|id| !is_known(id)).collect();
            ids.into_iter().map(str::to_owned).collect()
        };
        let ids = wanted("retailer_id", &|id| self.retailers.contains_key(id));
        let borrowed: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut found: HashMap<String, Option<String>> =
            retailers::find_many(conn, &borrowed)?.into_iter().map(|row| (row.retailer_id, row.currency)).collect();
        self.retailers.extend(ids.iter().map(|id| (id.clone(), found.remove(id))));
        let ids = wanted("brand_id", &|id| self.brands.contains_key(id));
        let borrowed: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut found = brands::tenants_of(conn, scope, &borrowed)?;
        self.brands.extend(ids.iter().map(|id| (id.clone(), found.remove(id))));
        Ok(())
    }
}

/// A checked row: the fields that the file gives.
pub(super) struct Taken {
    line: u64,
    given: Map<String, Value>,
    attributes: Map<String, Value>,
}

/// Reads one catalog table.
pub(super) struct CatalogParser<T> {
    targets: Vec<Target>,
    taken: Vec<Taken>,
    row: PhantomData<T>,
}

/// Writes one catalog table.
pub(super) struct CatalogWriter<T> {
    known: References,
    row: PhantomData<T>,
}

impl<T> Default for CatalogParser<T> {
    fn default() -> Self {
        Self { targets: Vec::new(), taken: Vec::new(), row: PhantomData }
    }
}

impl<T> Default for CatalogWriter<T> {
    fn default() -> Self {
        Self { known: References::default(), row: PhantomData }
    }
}

#[derive(Clone)]
enum Target {
    Field(Field),
    Attribute(String),
    Ignored(String),
}

impl<T: CatalogRow> CatalogParser<T> {
    fn read(&mut self, row: &Row<'_>) -> Result<Taken, Problem> {
        let columns = row.columns;
        for column in columns.iter().skip(self.targets.len()) {
            self.targets.push(match columns::field(T::TABLE, column) {
                Some(field) => Target::Field(field),
                None if columns::has_attributes(T::TABLE) && !column.is_empty() => Target::Attribute(column.clone()),
                None => Target::Ignored(column.clone()),
            });
        }
        let mut taken = Taken { line: row.line, given: Map::new(), attributes: Map::new() };
        for ((cell, target), column) in row.cells.iter().zip(&self.targets).zip(columns) {
            if *cell == super::cells::Cell::Missing {
                continue;
            }
            match target {
                Target::Field(field) => {
                    let value = cell.convert(column, field.kind).map_err(|message| Problem::new(column, message))?;
                    if !value.is_null() || (field.is_nullable && !taken.given.contains_key(field.name)) {
                        taken.given.insert(field.name.to_owned(), value);
                    }
                }
                Target::Attribute(name) => {
                    taken.attributes.insert(name.clone(), cell.attribute());
                }
                Target::Ignored(_) => {}
            }
        }
        match taken.given.get(T::ID) {
            Some(_) => Ok(taken),
            None => Err(Problem::new(T::ID, "is required")),
        }
    }
}

impl<T: CatalogRow> CatalogWriter<T> {
    /// Lays a row over what is stored (or over the defaults).
    fn lay_over(&self, taken: &Taken, stored: Option<&T>) -> Result<T, Problem> {
        let broken = |error: serde_json::Error| Problem::new("", error.to_string());
        let base = stored.cloned().unwrap_or_default();
        let Value::Object(mut fields) = serde_json::to_value(base).map_err(broken)? else {
            return Err(Problem::new("", "is not an object"));
        };
        for (name, value) in &taken.given {
            fields.insert(name.clone(), value.clone());
        }
        if let Some(Value::Object(attributes)) = fields.get_mut("attributes") {
            for (name, value) in &taken.attributes {
                match value {
                    Value::Null => attributes.remove(name),
                    value => attributes.insert(name.clone(), value.clone()),
                };
            }
        }
        let mut row: T = serde_json::from_value(Value::Object(fields)).map_err(broken)?;
        row.complete(&taken.given, stored.is_none(), &self.known)?;
        Ok(row)
    }

    /// Lays rows of one key over each other in their order, so that each key is written once; says how many rows went.
    fn without_repeats(&self, taken: Vec<Taken>) -> (Vec<Taken>, u64) {
        let count = taken.len();
        let mut places: HashMap<(String, String), usize> = HashMap::with_capacity(count);
        let mut rows: Vec<Taken> = Vec::with_capacity(count);
        for row in taken {
            let id = row.given.get(T::ID).and_then(Value::as_str).unwrap_or_default().to_owned();
            let place = *places.entry((T::within(&row.given, &self.known), id)).or_insert(rows.len());
            match rows.get_mut(place) {
                Some(earlier) => {
                    earlier.line = row.line;
                    earlier.given.extend(row.given);
                    earlier.attributes.extend(row.attributes);
                }
                None => rows.push(row),
            }
        }
        let superseded = (count - rows.len()) as u64;
        (rows, superseded)
    }

    fn write_batch(&mut self, conn: &mut Connection, job: &Job<'_>, batch: &[Taken], outcome: &mut Outcome) -> Result<(), StorageError> {
        let mut groups: BTreeMap<String, Vec<&Taken>> = BTreeMap::new();
        for taken in batch {
            groups.entry(T::within(&taken.given, &self.known)).or_default().push(taken);
        }
        let mut written = Written::default();
        for (within, rows) in groups {
            let ids: Vec<&str> = rows.iter().filter_map(|taken| taken.given.get(T::ID)?.as_str()).collect();
            let stored: HashMap<String, (i64, T)> =
                T::find_stored(conn, &within, &ids)?.into_iter().map(|(key, id, row)| (id, (key, row))).collect();
            let mut new = Vec::new();
            for taken in rows {
                let known = taken.given.get(T::ID).and_then(Value::as_str).and_then(|id| stored.get(id));
                let row = match self.lay_over(taken, known.map(|(_, row)| row)) {
                    Ok(row) => row,
                    Err(problem) => {
                        outcome.reject(taken.line, problem);
                        continue;
                    }
                };
                let is_ours = job.scope.may_see(Some(row.owner())) && known.is_none_or(|(_, row)| job.scope.may_see(Some(row.owner())));
                match known {
                    _ if !is_ours => outcome.reject(taken.line, Problem::new(T::ID, "belongs to another tenant, or would")),
                    None => new.push(row),
                    Some((_, stored)) if *stored == row => written.unchanged += 1,
                    Some((key, stored)) => {
                        if let Some(problem) = row.check_change(conn, *key, stored)? {
                            outcome.reject(taken.line, problem);
                            continue;
                        }
                        match T::replace(conn, *key, &row, job) {
                            Ok(()) => written.updated += 1,
                            // What is stored does not admit the change, such as an archived campaign.
                            Err(StorageError::Conflict { why, .. }) => outcome.reject(taken.line, Problem::new(T::ID, why)),
                            Err(error) => return Err(error),
                        }
                    }
                }
            }
            if !new.is_empty() {
                written.inserted += T::insert_many(conn, &new, job)? as u64;
            }
        }
        outcome.count(written);
        Ok(())
    }
}

impl<T: CatalogRow> Parser for CatalogParser<T> {
    type Rows = Vec<Taken>;

    fn take(&mut self, row: &Row<'_>) -> Result<(), Problem> {
        let taken = self.read(row)?;
        self.taken.push(taken);
        Ok(())
    }

    fn rows(&mut self) -> Vec<Taken> {
        std::mem::take(&mut self.taken)
    }

    fn ignored(&self) -> Vec<String> {
        let ignored = self.targets.iter().filter_map(|target| match target {
            Target::Ignored(name) => Some(name.clone()),
            _ => None,
        });
        ignored.collect()
    }
}

impl<T: CatalogRow> Writer for CatalogWriter<T> {
    type Parser = CatalogParser<T>;

    fn write(&mut self, conn: &mut Connection, job: &Job<'_>, taken: Vec<Taken>, outcome: &mut Outcome) -> Result<(), StorageError> {
        self.known.look_up(conn, job.scope, &taken)?;
        let (rows, superseded) = self.without_repeats(taken);
        outcome.superseded += superseded;
        for some in rows.chunks(ROWS_PER_STATEMENT) {
            self.write_batch(conn, job, some, outcome)?;
        }
        Ok(())
    }
}
