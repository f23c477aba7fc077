//! Statements put together from parts, with their values, for what the query builder cannot say on all three databases.

use chrono::NaiveDate;
use diesel::mysql::Mysql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Text};
use diesel::sqlite::Sqlite;

use crate::connection::Connection;
use crate::dialect;
use crate::error::StorageError;
use crate::on;
use crate::types::{Instant, Timestamp};

/// A value of a statement.
#[derive(Debug, Clone)]
pub(crate) enum Bind {
    Text(String),
    Date(NaiveDate),
    Key(i64),
    Instant(Timestamp),
}

/// How a database spells what statements need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    Postgres,
    Mysql,
    Sqlite,
}

impl Words {
    pub(crate) fn of(conn: &Connection) -> Self {
        match conn {
            Connection::Postgres(_) => Self::Postgres,
            Connection::Mysql(_) => Self::Mysql,
            Connection::Sqlite(_) => Self::Sqlite,
        }
    }

    /// The type of whole sums: `SUM` of whole numbers is a decimal on the servers.
    pub(crate) fn whole(self) -> &'static str {
        match self {
            Self::Mysql => "SIGNED",
            _ => "BIGINT",
        }
    }

    /// No text.
    pub(crate) fn no_text(self) -> &'static str {
        match self {
            Self::Mysql => "CAST(NULL AS CHAR)",
            _ => "CAST(NULL AS TEXT)",
        }
    }

    /// The day as a text of a column of dates.
    pub(crate) fn day(self, column: &str) -> String {
        match self {
            Self::Postgres => format!("to_char({column}, 'YYYY-MM-DD')"),
            Self::Mysql => format!("DATE_FORMAT({column}, '%Y-%m-%d')"),
            Self::Sqlite => column.to_owned(),
        }
    }

    /// The Monday of the week as a text.
    pub(crate) fn week(self, column: &str) -> String {
        match self {
            Self::Postgres => format!("to_char(date_trunc('week', {column}), 'YYYY-MM-DD')"),
            Self::Mysql => format!("DATE_FORMAT(DATE_SUB({column}, INTERVAL WEEKDAY({column}) DAY), '%Y-%m-%d')"),
            Self::Sqlite => format!("date({column}, '-' || ((CAST(strftime('%w', {column}) AS INTEGER) + 6) % 7) || ' days')"),
        }
    }

    /// The first of the month as a text.
    pub(crate) fn month(self, column: &str) -> String {
        match self {
            Self::Postgres => format!("to_char({column}, 'YYYY-MM-01')"),
            Self::Mysql => format!("DATE_FORMAT({column}, '%Y-%m-01')"),
            Self::Sqlite => format!("strftime('%Y-%m-01', {column})"),
        }
    }
}

/// A statement and its values.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) words: Words,
    text: String,
    binds: Vec<Bind>,
}

impl Statement {
    pub(crate) fn new(conn: &Connection) -> Self {
        Self { words: Words::of(conn), text: String::new(), binds: Vec::new() }
    }

    /// Adds text as it is.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a bound parameter with its value.
    pub(crate) fn bind(&mut self, value: Bind) -> &mut Self {
        self.binds.push(value);
        match self.words {
            Words::Postgres => self.text.push_str(&format!("${}", self.binds.len())),
            _ => self.text.push('?'),
        }
        self
    }

    /// Adds a list of bound parameters in brackets.
    pub(crate) fn bind_all(&mut self, values: impl IntoIterator<Item = Bind>) -> &mut Self {
        self.push("(");
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                self.push(", ");
            }
            self.bind(value);
        }
        self.push(")")
    }

    /// Runs it.
    pub(crate) fn load<T>(self, conn: &mut Connection) -> Result<Vec<T>, StorageError>
    where
        T: QueryableByName<Pg> + QueryableByName<Mysql> + QueryableByName<Sqlite> + 'static,
    {
        Ok(on!(conn, c => {
            let mut boxed = diesel::sql_query(self.text).into_boxed();
            for bind in self.binds {
                boxed = match bind {
                    Bind::Text(text) => boxed.bind::<Text, _>(text),
                    Bind::Date(date) => boxed.bind::<Date, _>(date),
                    Bind::Key(key) => boxed.bind::<BigInt, _>(key),
                    Bind::Instant(instant) => boxed.bind::<Instant, _>(instant),
                };
            }
            boxed.load(c)
        })?)
    }

    /// How the database would run it, a line for each step.
    pub(crate) fn explain(mut self, conn: &mut Connection) -> Result<Vec<String>, StorageError> {
        self.text = format!("{} {}", dialect::explain(conn), self.text);
        Ok(self.load::<dialect::PlanLine>(conn)?.into_iter().map(|line| line.0).collect())
    }
}
