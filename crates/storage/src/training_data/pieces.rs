//! Statements put together from pieces, whose rows are read by position: by name costs a search for each cell, which a million rows feel.
//! What the three databases spell differently in them is here too.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text};
use domain::scope::Scope;

use super::TrainingFilter;
use crate::connection::Connection;
use crate::performance::raw::Words;
use crate::types::{Instant, Timestamp};

#[derive(Debug, Clone)]
enum Piece {
    Sql(String),
    Text(String),
    Key(i64),
    Instant(Timestamp),
}

/// A statement whose rows have these SQL types.
#[derive(Debug, Clone)]
pub(super) struct Pieces<Types> {
    pub(super) words: Words,
    pieces: Vec<Piece>,
    types: PhantomData<Types>,
}

impl<Types> Pieces<Types> {
    pub(super) fn new(conn: &Connection) -> Self {
        Self { words: Words::of(conn), pieces: Vec::new(), types: PhantomData }
    }

    /// Adds text as it is.
    pub(super) fn push(&mut self, sql: &str) -> &mut Self {
        match self.pieces.last_mut() {
            Some(Piece::Sql(text)) => text.push_str(sql),
            _ => self.pieces.push(Piece::Sql(sql.to_owned())),
        }
        self
    }

    pub(super) fn key(&mut self, value: i64) -> &mut Self {
        self.pieces.push(Piece::Key(value));
        self
    }

    /// Judged tasks of this scope that a filter selects, as conditions on `t`; golden items are left out.
    pub(super) fn narrow_tasks(&mut self, scope: &Scope, filter: &TrainingFilter) -> &mut Self {
        let no = if self.words == Words::Postgres { "FALSE" } else { "0" };
        self.push(&format!(" AND t.is_golden = {no}"));
        self.narrow(scope, filter);
        if let Some(retailer) = &filter.retailer_id {
            self.push(" AND t.retailer_id = ").text(retailer);
        }
        self
    }

    /// Feedback of this scope that a filter selects, as conditions on `t`.
    pub(super) fn narrow_feedback(&mut self, scope: &Scope, filter: &TrainingFilter) -> &mut Self {
        self.narrow(scope, filter);
        if let Some(retailer) = &filter.retailer_id {
            self.push(" AND t.brand_id IN (SELECT brand_id FROM brands WHERE retailer_id = ").text(retailer).push(")");
        }
        self
    }

    /// Rows of this scope, as a condition on `t`.
    pub(super) fn narrow_tenant(&mut self, scope: &Scope) -> &mut Self {
        if let Some(tenant) = scope.tenant() {
            self.push(" AND t.tenant_id = ").text(tenant);
        }
        self
    }

    fn narrow(&mut self, scope: &Scope, filter: &TrainingFilter) {
        self.narrow_tenant(scope);
        if let Some(task_type) = &filter.task_type {
            self.push(" AND t.task_type = ").text(task_type);
        }
        if let Some(from) = filter.from {
            self.push(" AND t.created_at >= ").instant(from);
        }
        if let Some(to) = filter.to {
            self.push(" AND t.created_at < ").instant(to);
        }
    }

    fn text(&mut self, value: &str) -> &mut Self {
        self.pieces.push(Piece::Text(value.to_owned()));
        self
    }

    fn instant(&mut self, value: chrono::DateTime<chrono::Utc>) {
        self.pieces.push(Piece::Instant(Timestamp(value)));
    }
}

/// Judgments on task `t` by simulated raters that count.
pub(super) const SIMULATED: &str = "(SELECT COUNT(*) FROM judgments j JOIN rater_profiles r ON r.rater_id = j.rater_id \
     WHERE j.task_id = t.task_id AND j.voided_at IS NULL AND r.is_simulated)";

/// A column of JSON as text.
pub(super) fn json_text(words: Words, column: &str) -> String {
    match words {
        Words::Postgres => format!("{column}::text"),
        _ => column.to_owned(),
    }
}

/// A whole number of 64 bits that stands for a text. Which one differs between databases; within one it is always the same.
pub(super) fn hash(words: Words, text: &str, seed: u8) -> String {
    match words {
        Words::Postgres => format!("hashtextextended({text}, {seed})"),
        Words::Mysql => format!("CAST(CONV(LEFT(MD5(CONCAT('{seed}', {text})), 15), 16, 10) AS SIGNED)"),
        Words::Sqlite => format!("endcap_hash({text}, {seed})"),
    }
}

/// Two or more such numbers as one, in whatever order they come.
pub(super) fn together(words: Words, numbers: &[&str]) -> String {
    let both = |a: String, b: &&str| match words {
        Words::Postgres => format!("({a} # {b})"),
        Words::Mysql => format!("CAST({a} ^ {b} AS SIGNED)"),
        // There is no exclusive or.
        Words::Sqlite => format!("(({a} | {b}) - ({a} & {b}))"),
    };
    let (first, rest) = numbers.split_first().unwrap_or((&"0", &[]));
    rest.iter().fold((*first).to_owned(), both)
}

/// The number of a task's question with what was shown beside it; without snippets that of the question alone, as feedback has it.
pub(super) fn prompt_hash(words: Words) -> String {
    let snippets = hash(words, &json_text(words, "t.context_snippets"), 2);
    let alone = hash(words, "t.prompt", 0);
    let both = together(words, &[&alone, &snippets]);
    let none = if words == Words::Postgres { "'[]'::jsonb" } else { "'[]'" };
    format!("CASE WHEN t.context_snippets = {none} THEN {alone} ELSE {both} END")
}

/// A candidate as trainers see it: a text as it is, `{"text": ..}` as its text, anything else as JSON.
pub(super) fn candidate(words: Words, column: &str) -> String {
    match words {
        Words::Postgres => format!(
            "CASE WHEN jsonb_typeof({column}) = 'object' AND jsonb_typeof({column} -> 'text') = 'string' AND {column} - 'text' = '{{}}'::jsonb \
             THEN {column} ->> 'text' ELSE {column} #>> '{{}}' END"
        ),
        Words::Mysql => format!(
            "CASE WHEN JSON_TYPE({column}) = 'STRING' THEN JSON_UNQUOTE({column}) \
             WHEN JSON_TYPE({column}) = 'OBJECT' AND JSON_LENGTH({column}) = 1 AND JSON_TYPE(JSON_EXTRACT({column}, '$.text')) = 'STRING' \
             THEN JSON_UNQUOTE(JSON_EXTRACT({column}, '$.text')) ELSE {column} END"
        ),
        Words::Sqlite => format!(
            "CASE WHEN json_type({column}) = 'text' THEN json_extract({column}, '$') \
             WHEN json_type({column}) = 'object' AND json_type({column}, '$.text') = 'text' AND json_remove({column}, '$.text') = '{{}}' \
             THEN json_extract({column}, '$.text') ELSE {column} END"
        ),
    }
}

/// Makes the functions that SQLite lacks known to a connection.
pub(super) fn teach(conn: &mut Connection) -> QueryResult<()> {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let Connection::Sqlite(c) = conn else { return Ok(()) };
    let number = |text: Option<String>, seed: i32| {
        text.map(|text| {
            let mut hasher = DefaultHasher::new();
            (seed, text).hash(&mut hasher);
            hasher.finish().cast_signed()
        })
    };
    endcap_hash_utils::register_impl(c, number)?;
    endcap_log_odds_utils::register_impl(c, |posterior: f64| {
        let p = posterior.clamp(0.5, 0.999);
        ((p / (1.0 - p)).ln() * 10_000.0).round() as i64
    })
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// The number that stands for a text, on SQLite.
    fn endcap_hash(text: diesel::sql_types::Nullable<Text>, seed: diesel::sql_types::Integer) -> diesel::sql_types::Nullable<BigInt>;
    /// Log-odds in ten-thousandths, between an even chance and .999, on SQLite.
    fn endcap_log_odds(posterior: diesel::sql_types::Double) -> BigInt;
}

impl<Types> Query for Pieces<Types> {
    type SqlType = Types;
}

impl<Types> QueryId for Pieces<Types> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Types, DB> QueryFragment<DB> for Pieces<Types>
where
    DB: Backend + HasSqlType<Instant>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    Timestamp: ToSql<Instant, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Sql(sql) => out.push_sql(sql),
                Piece::Text(text) => out.push_bind_param::<Text, _>(text)?,
                Piece::Key(key) => out.push_bind_param::<BigInt, _>(key)?,
                Piece::Instant(instant) => out.push_bind_param::<Instant, _>(instant)?,
            }
        }
        Ok(())
    }
}

impl<Types, Conn> RunQueryDsl<Conn> for Pieces<Types> {}
