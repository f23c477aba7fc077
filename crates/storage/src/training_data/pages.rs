//! Pages of judged tasks and of feedback for exports: one statement a page, by primary key, with the columns that a profile needs and no
//! other. Documents stay texts, because most are written on as they came.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Integer, Nullable, Text};
use domain::scope::Scope;

use super::TrainingFilter;
use super::pieces::{Pieces, SIMULATED, candidate, hash, json_text, prompt_hash, teach};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::performance::raw::Words;
use crate::schema::rater_profiles as r;
use crate::types::{Instant, Timestamp};

/// What rows of a page hold beside the decision itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Where a row comes from.
    pub origin: bool,
    /// Numbers that stand for the texts, as [`super::repeats`] knows them.
    pub keys: bool,
    /// How many judgments came from simulated raters; 0 without asking when there is no such rater.
    pub simulated: bool,
    /// Feedback of the kinds that say something of a single answer, with their texts; else only preferences and corrections have theirs.
    pub single_answers: bool,
}

/// Numbers that stand for texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keys {
    /// The question with what was shown beside it.
    pub prompt: i64,
    /// The texts: candidates of a task; output, preferred and rejected output of feedback.
    pub texts: [Option<i64>; 3],
}

/// Where a row comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Id of the task or the feedback.
    pub id: String,
    /// Kind of task.
    pub task_type: String,
    /// Whose it is; `None` for tasks of the platform.
    pub tenant_id: Option<String>,
    /// The task's retailer, or the brand of the feedback.
    pub of: Option<String>,
}

/// A judged task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRow {
    /// Primary key, the order of reading.
    pub id: i64,
    /// Where it stands.
    pub status: String,
    /// The decision, a word of `domain::task::Choice`.
    pub choice: Option<String>,
    /// Probability that the decision is right.
    pub posterior: Option<f64>,
    /// `raters`, or the expert who decided.
    pub decided_by: Option<String>,
    /// How consensus was found.
    pub method: String,
    /// Judgments behind it.
    pub judgments: i32,
    /// Judgments of simulated raters.
    pub simulated: i64,
    /// Created.
    pub created_at: Timestamp,
    /// The question.
    pub prompt: String,
    /// What raters were shown beside it, as JSON.
    pub context_snippets: String,
    /// The candidates as JSON.
    pub candidates: [Option<String>; 3],
    /// Numbers of the texts, where wanted.
    pub keys: Keys,
    /// Where it comes from, where wanted.
    pub origin: Origin,
}

/// A piece of feedback.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedbackRow {
    /// Primary key, the order of reading.
    pub id: i64,
    /// Its kind.
    pub feedback_type: String,
    /// 1 to 5.
    pub rating: Option<i32>,
    /// Created.
    pub created_at: Timestamp,
    /// The question, where the profile needs it.
    pub prompt: Option<String>,
    /// What the model said, where the profile needs it.
    pub model_output: Option<String>,
    /// What is better.
    pub preferred: Option<String>,
    /// What is worse.
    pub rejected: Option<String>,
    /// Numbers of the texts, where wanted.
    pub keys: Keys,
    /// Where it comes from, where wanted.
    pub origin: Origin,
}

type OriginTypes = (Nullable<Text>, Nullable<Text>, Nullable<Text>, Nullable<Text>);
type KeyTypes = (Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>);
type OriginParts = (Option<String>, Option<String>, Option<String>, Option<String>);
type KeyParts = (Option<i64>, Option<i64>, Option<i64>, Option<i64>);

type TaskTypes = (
    (BigInt, Text, Nullable<Text>, Nullable<Double>, Nullable<Text>, Text, Integer, BigInt, Instant),
    (Text, Text, Nullable<Text>, Nullable<Text>, Nullable<Text>),
    KeyTypes,
    OriginTypes,
);
type TaskParts = (
    (i64, String, Option<String>, Option<f64>, Option<String>, String, i32, i64, Timestamp),
    (String, String, Option<String>, Option<String>, Option<String>),
    KeyParts,
    OriginParts,
);

/// Whether any rater is a simulation, so that their judgments have to be looked for.
///
/// # Errors
/// As any query.
pub fn has_simulated_raters(conn: &mut Connection) -> Result<bool, StorageError> {
    let found: Option<i64> = on!(conn, c => r::table.filter(r::is_simulated.eq(true)).select(r::id).first(c).optional())?;
    Ok(found.is_some())
}

/// The highest primary keys of tasks and of feedback: where reading will end, about.
///
/// # Errors
/// As any query.
pub fn last_keys(conn: &mut Connection) -> Result<(i64, i64), StorageError> {
    use crate::schema::{feedback as f, rating_tasks as t};
    let tasks: Option<i64> = on!(conn, c => t::table.select(diesel::dsl::max(t::id)).get_result(c))?;
    let feedback: Option<i64> = on!(conn, c => f::table.select(diesel::dsl::max(f::id)).get_result(c))?;
    Ok((tasks.unwrap_or(0), feedback.unwrap_or(0)))
}

/// Judged tasks after a primary key, in its order.
///
/// # Errors
/// As any query.
pub fn tasks(
    conn: &mut Connection,
    scope: &Scope,
    filter: &TrainingFilter,
    wanted: Wanted,
    after: i64,
    limit: i64,
) -> Result<Vec<TaskRow>, StorageError> {
    if wanted.keys {
        teach(conn)?;
    }
    let mut query = Pieces::<TaskTypes>::new(conn);
    let words = query.words;
    let texts = ["t.context_snippets", "t.candidate_a", "t.candidate_b", "t.candidate_c"].map(|column| json_text(words, column)).join(", ");
    let simulated = if wanted.simulated { SIMULATED } else { zero(words) };
    query.push(&format!(
        "SELECT t.id, t.status, k.choice, k.posterior, k.decided_by, k.method, k.judgments_count, {simulated}, t.created_at, t.prompt, {texts}, "
    ));
    let keys = ["t.candidate_a", "t.candidate_b", "t.candidate_c"].map(|column| hash(words, &candidate(words, column), 1));
    query.push(&key_columns(words, wanted, &prompt_hash(words), &keys));
    query.push(origin_columns(wanted, "t.task_id, t.task_type, t.tenant_id, t.retailer_id"));
    query.push(" FROM rating_tasks t JOIN task_consensus k ON k.task_id = t.task_id WHERE t.id > ").key(after);
    query.narrow_tasks(scope, filter).push(" ORDER BY t.id LIMIT ").key(limit);
    let rows: Vec<TaskParts> = on!(conn, c => query.load(c))?;
    Ok(rows.into_iter().map(task).collect())
}

fn task((decision, texts, keys, origin): TaskParts) -> TaskRow {
    let (id, status, choice, posterior, decided_by, method, judgments, simulated, created_at) = decision;
    let (prompt, context_snippets, a, b, c) = texts;
    TaskRow {
        id,
        status,
        choice,
        posterior,
        decided_by,
        method,
        judgments,
        simulated,
        created_at,
        prompt,
        context_snippets,
        candidates: [a, b, c],
        keys: keys_of(keys),
        origin: origin_of(origin),
    }
}

type FeedbackTypes =
    ((BigInt, Text, Nullable<Integer>, Instant), (Nullable<Text>, Nullable<Text>, Nullable<Text>, Nullable<Text>), KeyTypes, OriginTypes);
type FeedbackParts = ((i64, String, Option<i32>, Timestamp), OriginParts, KeyParts, OriginParts);

/// Feedback after a primary key, in its order.
///
/// # Errors
/// As any query.
pub fn feedback(
    conn: &mut Connection,
    scope: &Scope,
    filter: &TrainingFilter,
    wanted: Wanted,
    after: i64,
    limit: i64,
) -> Result<Vec<FeedbackRow>, StorageError> {
    if wanted.keys {
        teach(conn)?;
    }
    let mut query = Pieces::<FeedbackTypes>::new(conn);
    let words = query.words;
    let texts = if wanted.single_answers {
        "t.prompt, t.model_output"
    } else {
        "CASE WHEN t.feedback_type IN ('preference', 'correction') THEN t.prompt END, CASE WHEN t.feedback_type = 'correction' THEN t.model_output END"
    };
    query.push(&format!("SELECT t.id, t.feedback_type, t.rating, t.created_at, {texts}, t.preferred_output, t.rejected_output, "));
    let keys = ["t.model_output", "t.preferred_output", "t.rejected_output"].map(|column| hash(words, column, 1));
    query.push(&key_columns(words, wanted, &hash(words, "t.prompt", 0), &keys));
    query.push(origin_columns(wanted, "t.feedback_id, t.task_type, t.tenant_id, t.brand_id"));
    query.push(" FROM feedback t WHERE t.id > ").key(after);
    query.narrow_feedback(scope, filter).push(" ORDER BY t.id LIMIT ").key(limit);
    let rows: Vec<FeedbackParts> = on!(conn, c => query.load(c))?;
    Ok(rows.into_iter().map(said).collect())
}

fn said((row, texts, keys, origin): FeedbackParts) -> FeedbackRow {
    let (id, feedback_type, rating, created_at) = row;
    let (prompt, model_output, preferred, rejected) = texts;
    FeedbackRow {
        id,
        feedback_type,
        rating,
        created_at,
        prompt,
        model_output,
        preferred,
        rejected,
        keys: keys_of(keys),
        origin: origin_of(origin),
    }
}

fn zero(words: Words) -> &'static str {
    match words {
        Words::Postgres => "0::bigint",
        Words::Mysql => "CAST(0 AS SIGNED)",
        Words::Sqlite => "0",
    }
}

fn key_columns(words: Words, wanted: Wanted, prompt: &str, texts: &[String; 3]) -> String {
    if wanted.keys {
        return format!("{prompt}, {}, ", texts.join(", "));
    }
    let none = if words == Words::Postgres { "NULL::bigint" } else { "NULL" };
    format!("{none}, {none}, {none}, {none}, ")
}

fn origin_columns(wanted: Wanted, columns: &'static str) -> &'static str {
    if wanted.origin { columns } else { NO_ORIGIN }
}

/// No texts, of the type of texts on every database.
const NO_ORIGIN: &str = "NULLIF('', ''), NULLIF('', ''), NULLIF('', ''), NULLIF('', '')";

fn keys_of((prompt, a, b, c): KeyParts) -> Keys {
    Keys { prompt: prompt.unwrap_or(0), texts: [a, b, c] }
}

fn origin_of((id, task_type, tenant_id, of): OriginParts) -> Origin {
    Origin { id: id.unwrap_or_default(), task_type: task_type.unwrap_or_default(), tenant_id, of }
}
