//! Changes of several rows that PostgreSQL makes with one statement: each is a part of one `WITH`, so that a business transaction costs one
//! round trip and one execution instead of one for each row. The other databases make each change when it is entered, as ever.
//!
//! All parts see the rows as they were before the statement. So each must change other rows than the others, and must not depend on what
//! they change; what has to be read afterwards is read after [`Batch::finish`].

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{Array, BigInt};

use crate::connection::Connection;
use crate::error::StorageError;

/// A part of a batch, as PostgreSQL is asked for it.
pub(crate) type Part<'a> = Box<dyn QueryFragment<Pg> + 'a>;

/// How many rows a change must have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Must {
    /// One: whatever it was made from is as it was seen.
    ChangeOne,
    /// Any number.
    ChangeAny,
}

/// Changes to be made together; see the module.
#[derive(Default)]
pub struct Batch<'a> {
    waiting: Vec<Part<'a>>,
    musts: Vec<Must>,
    counts: Vec<usize>,
}

/// A change in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered(usize);

/// How many rows each change of a batch has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts(Vec<usize>);

impl Counts {
    /// Rows that one of them has changed.
    #[must_use]
    pub fn of(&self, change: Entered) -> usize {
        self.0.get(change.0).copied().unwrap_or(0)
    }
}

impl<'a> Batch<'a> {
    /// Notes a change that waits for [`Batch::finish`].
    pub(crate) fn wait(&mut self, part: Part<'a>, must: Must) -> Entered {
        self.waiting.push(part);
        self.musts.push(must);
        Entered(self.musts.len() - 1)
    }

    /// Notes a change that was made at once.
    pub(crate) fn made(&mut self, rows: usize, must: Must) -> Result<Entered, StorageError> {
        check(rows, must)?;
        self.counts.push(rows);
        self.musts.push(must);
        Ok(Entered(self.musts.len() - 1))
    }

    /// Makes all changes that still wait.
    ///
    /// # Errors
    /// [`StorageError::Raced`] when a row was not there any more as it was seen, or is there already; or as any query.
    pub fn finish(mut self, conn: &mut Connection) -> Result<Counts, StorageError> {
        if let Connection::Postgres(c) = conn {
            let made = match self.waiting.as_slice() {
                [] => Ok(Vec::new()),
                [one] => Alone(one).execute(c).map(|rows| vec![rows]),
                several => Together { parts: several, musts: None }.get_result(c).map(counted),
            };
            self.counts = made.map_err(meaning)?;
        }
        self.counts.iter().zip(&self.musts).try_for_each(|(rows, must)| check(*rows, *must))?;
        Ok(Counts(self.counts))
    }

    /// [`Batch::finish`] outside of a transaction, on PostgreSQL: the statement is one by itself, and the database takes all of it back when a
    /// change has not changed what it must. So `BEGIN` and `COMMIT` cost no round trips.
    ///
    /// # Errors
    /// As [`Batch::finish`].
    pub(crate) fn finish_alone(self, c: &mut PgConnection) -> Result<(), StorageError> {
        let counts: Vec<i64> = Together { parts: &self.waiting, musts: Some(&self.musts) }.get_result(c).map_err(meaning)?;
        counted(counts).iter().zip(&self.musts).try_for_each(|(rows, must)| check(*rows, *must))
    }
}

fn counted(counts: Vec<i64>) -> Vec<usize> {
    counts.into_iter().map(|rows| usize::try_from(rows).unwrap_or(0)).collect()
}

/// What [`Together`] lets the database say when a change has not changed what it must.
const IN_BETWEEN: &str = "endcap: a row changed in between";

fn meaning(error: DieselError) -> StorageError {
    match error {
        // Whoever was first is seen when all is done again.
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => StorageError::Raced("a row came in between"),
        // All parts are made together: a count that was changed from what somebody else had counted down before breaks its bounds
        // before the part is missed that would have told of it.
        DieselError::DatabaseError(DatabaseErrorKind::CheckViolation, _) => StorageError::Raced("a count changed in between"),
        DieselError::DatabaseError(_, ref info) if info.message().contains(IN_BETWEEN) => StorageError::Raced("a row changed in between"),
        other => other.into(),
    }
}

fn check(rows: usize, must: Must) -> Result<(), StorageError> {
    if must == Must::ChangeAny || rows == 1 { Ok(()) } else { Err(StorageError::Raced("a row changed in between")) }
}

/// Makes a change at once, or with the batch where the database can: `enter!(conn, batch, Must::ChangeOne, change)`.
macro_rules! enter {
    ($conn:expr, $batch:expr, $must:expr, $change:expr) => {
        match $conn {
            $crate::connection::Connection::Postgres(_) => Ok($batch.wait(Box::new($change), $must)),
            $crate::connection::Connection::Mysql(c) => $batch.made($change.execute(c)?, $must),
            $crate::connection::Connection::Sqlite(c) => $batch.made($change.execute(c)?, $must),
        }
    };
}
pub(crate) use enter;

/// One change, as it is.
struct Alone<'p, 'a>(&'p Part<'a>);

impl QueryId for Alone<'_, '_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C> RunQueryDsl<C> for Alone<'_, '_> {}

impl QueryFragment<Pg> for Alone<'_, '_> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }
}

/// `WITH c0 AS (change RETURNING 1), .. SELECT` the number of rows of each. Prepared once a connection for each text. With `musts` it fails
/// in the database when one is not what it must be.
struct Together<'p, 'a> {
    parts: &'p [Part<'a>],
    musts: Option<&'p [Must]>,
}

impl QueryId for Together<'_, '_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Together<'_, '_> {
    type SqlType = Array<BigInt>;
}

impl<C> RunQueryDsl<C> for Together<'_, '_> {}

impl QueryFragment<Pg> for Together<'_, '_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (place, part) in self.parts.iter().enumerate() {
            out.push_sql(if place == 0 { "WITH c" } else { ", c" });
            out.push_sql(&place.to_string());
            out.push_sql(" AS (");
            part.walk_ast(out.reborrow())?;
            out.push_sql(" RETURNING 1)");
        }
        out.push_sql(" SELECT ARRAY[");
        for place in 0..self.parts.len() {
            out.push_sql(if place == 0 { "" } else { ", " });
            // Evaluated from left to right, so the changes are made in their order.
            let is_one = self.musts.is_some_and(|musts| musts.get(place) == Some(&Must::ChangeOne));
            // A text that is no number, made of the count: were it a constant, the database would fail while it plans.
            let count = match is_one {
                true => format!("CASE WHEN count(*) = 1 THEN 1 ELSE ('{IN_BETWEEN} (' || count(*) || ')')::bigint END"),
                false => "count(*)".to_owned(),
            };
            out.push_sql(&format!("(SELECT {count} FROM c{place})"));
        }
        out.push_sql("]");
        Ok(())
    }
}

/// A statement that makes another change on its way: `WITH also AS (change) statement`. As in a batch, neither sees what the other does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Along<Change, Q> {
    pub(crate) change: Change,
    pub(crate) query: Q,
}

impl<Change, Q> QueryId for Along<Change, Q> {
    type QueryId = ();
    // As with `Followed`, the text is the key.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Change, Q: Query> Query for Along<Change, Q> {
    type SqlType = Q::SqlType;
}

impl<Change, Q, C> RunQueryDsl<C> for Along<Change, Q> {}

impl<Change: QueryFragment<Pg>, Q: QueryFragment<Pg>> QueryFragment<Pg> for Along<Change, Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH also AS (");
        self.change.walk_ast(out.reborrow())?;
        out.push_sql(") ");
        self.query.walk_ast(out)
    }
}

/// A statement followed by fixed words, such as those of a conflict or a lock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Followed<Q> {
    pub(crate) query: Q,
    pub(crate) by: &'static str,
}

impl<Q> QueryId for Followed<Q> {
    type QueryId = ();
    // The type does not tell the words; the text itself is the key.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Followed<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for Followed<Q> {}

impl<Q: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for Followed<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(self.by);
        Ok(())
    }
}
