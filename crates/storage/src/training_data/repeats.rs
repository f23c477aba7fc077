//! Pairs, answers and examples that more than one task or piece of feedback is about, with what they say together. The database counts;
//! what comes back, and so what is kept in memory, grows with the repeats only and has a bound.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::scope::Scope;

use super::TrainingFilter;
use super::pieces::{Pieces, SIMULATED, candidate, hash, prompt_hash, teach, together};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::performance::raw::Words;

/// What is counted as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A prompt and two texts, in whichever order.
    Pair,
    /// A prompt and a text, said to be good or bad.
    Answer,
    /// A prompt and a text that an expert chose or somebody corrected.
    Example,
}

/// Whether tasks that simulated raters judged take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simulated {
    /// They do.
    Counts,
    /// They do not.
    IsLeftOut,
}

/// One pair, answer or example that comes up more than once. Sums are of log-odds, in ten-thousandths, as whole numbers, so that the order
/// in which a database adds them up makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub struct Repeat {
    /// Stands for its texts, see [`super::pages::Keys`].
    pub key: i64,
    /// Decisions about it.
    pub decisions: i64,
    /// Of these, tasks.
    pub tasks: i64,
    /// For the text with the higher number (pairs) or for "good" (answers, examples), less what is against it.
    pub evidence: i64,
    /// The same without signs.
    pub weight: i64,
    /// Of decisions that neither is better.
    pub even: i64,
}

/// What one person's word counts, in ten-thousandths: the log-odds of a rater of whom nothing is known, who is right two times in three.
pub const ONE_WORD: i64 = 6_931;

/// Prompts named in a statement at most.
const MAX_PROMPTS: usize = 10_000;

/// Everything that comes up more than once, at most `limit`.
///
/// # Errors
/// As any query.
pub fn repeats(
    conn: &mut Connection,
    scope: &Scope,
    filter: &TrainingFilter,
    unit: Unit,
    simulated: Simulated,
    limit: i64,
) -> Result<Vec<Repeat>, StorageError> {
    teach(conn)?;
    let prompts = if filter.from.is_none() && filter.to.is_none() { repeated_prompts(conn, scope)? } else { None };
    if prompts.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let among = prompts.map(|prompts| among(&prompts)).unwrap_or_default();
    let mut query = Pieces::<(BigInt, BigInt, BigInt, BigInt, BigInt, BigInt)>::new(conn);
    let words = query.words;
    let sum = |what: &str| format!("CAST(SUM({what}) AS {})", words.whole());
    query.push(&format!("SELECT u.k, COUNT(*), {}, {}, {}, {} FROM (", sum("u.t"), sum("u.e"), sum("ABS(u.e)"), sum("u.g")));
    tasks(&mut query, scope, filter, unit, simulated, &among);
    query.push(" UNION ALL ");
    feedback(&mut query, scope, filter, unit, &among);
    query.push(") u WHERE u.k IS NOT NULL GROUP BY u.k HAVING COUNT(*) > 1 LIMIT ").key(limit);
    Ok(on!(conn, c => query.load(c))?)
}

/// The numbers of prompts that come up more than once among everything of this scope, from an index that holds nothing else: texts can only be
/// the same where prompts are. `None` where all rows are to be counted: when there are too many such prompts to name, and on SQLite, which keeps
/// no such number.
fn repeated_prompts(conn: &mut Connection, scope: &Scope) -> Result<Option<Vec<i64>>, StorageError> {
    let mut query = Pieces::<(BigInt,)>::new(conn);
    if query.words == Words::Sqlite {
        return Ok(None);
    }
    query.push("SELECT u.k FROM (SELECT t.prompt_key AS k FROM rating_tasks t WHERE 1 = 1").narrow_tenant(scope);
    query.push(" UNION ALL SELECT t.prompt_key FROM feedback t WHERE 1 = 1").narrow_tenant(scope);
    query.push(&format!(") u GROUP BY u.k HAVING COUNT(*) > 1 LIMIT {}", MAX_PROMPTS + 1));
    let found: Vec<(i64,)> = on!(conn, c => query.load(c))?;
    Ok((found.len() <= MAX_PROMPTS).then(|| found.into_iter().map(|(key,)| key).collect()))
}

/// The condition that a row's prompt is one of these.
fn among(prompts: &[i64]) -> String {
    let numbers: Vec<String> = prompts.iter().map(i64::to_string).collect();
    format!(" AND t.prompt_key IN ({})", numbers.join(", "))
}

/// What a page of a table is multiplied with, so that each row gives one line for each of its pairs or texts.
fn lines(n: usize) -> String {
    let rest: String = (2..=n).map(|line| format!(" UNION ALL SELECT {line}")).collect();
    format!("(SELECT 1 AS n{rest}) l")
}

/// PostgreSQL would work out each hash as often as it is named without this.
fn fence(words: Words) -> &'static str {
    if words == Words::Postgres { " OFFSET 0" } else { "" }
}

/// Log-odds of a decision, not below an even chance and not over .999.
fn log_odds(words: Words) -> String {
    let posterior = "COALESCE(k.posterior, CASE WHEN k.decided_by <> 'raters' THEN 1.0 ELSE 0.0 END)";
    match words {
        Words::Sqlite => format!("endcap_log_odds({posterior})"),
        _ => {
            let p = format!("LEAST(GREATEST({posterior}, 0.5), 0.999)");
            format!("CAST(ROUND(LN({p} / (1 - {p})) * 10000) AS {})", words.whole())
        }
    }
}

fn tasks<T>(query: &mut Pieces<T>, scope: &Scope, filter: &TrainingFilter, unit: Unit, simulated: Simulated, among: &str) {
    let words = query.words;
    let one = format!("CAST(1 AS {})", words.whole());
    let prompt = prompt_hash(words);
    let text = |which: &str| hash(words, &candidate(words, which), 1);
    let third = |a: &str, b: &str, c: &str| format!("CASE l.n WHEN 1 THEN {a} WHEN 2 THEN {b} ELSE {c} END");
    let columns = ["t.candidate_a", "t.candidate_b", "t.candidate_c"];
    let names = ["'candidate_a'", "'candidate_b'", "'candidate_c'"];
    match unit {
        Unit::Pair => {
            let (x, y) = (third(columns[0], columns[0], columns[1]), third(columns[1], columns[2], columns[2]));
            let (first, second) = (third(names[0], names[0], names[1]), third(names[1], names[2], names[2]));
            query.push(&format!(
                "SELECT {} AS k, {one} AS t, CASE WHEN m.x > m.y THEN m.side ELSE -m.side END * m.lo AS e, CASE WHEN m.side = 0 THEN m.lo ELSE 0 END AS g \
                 FROM (SELECT {prompt} AS p, {} AS x, {} AS y, CASE k.choice WHEN {first} THEN 1 WHEN {second} THEN -1 ELSE 0 END AS side, {} AS lo",
                together(words, &["m.p", "m.x", "m.y"]),
                text(&x),
                text(&y),
                log_odds(words)
            ));
            from_tasks(query, scope, filter, simulated, 3);
            query.push(among);
            query.push(&format!(
                " AND (l.n = 1 OR t.candidate_c IS NOT NULL) AND k.choice IN ({first}, {second}, 'tie', 'both_bad'){}) m WHERE m.x <> m.y",
                fence(words)
            ));
        }
        Unit::Answer => {
            let (text, name) = (text(&third(columns[0], columns[1], columns[2])), third(names[0], names[1], names[2]));
            query.push(&format!(
                "SELECT {} AS k, {one} AS t, m.side * m.lo AS e, m.lo - m.lo AS g \
                 FROM (SELECT {prompt} AS p, {text} AS x, CASE k.choice WHEN {name} THEN 1 ELSE -1 END AS side, {} AS lo",
                together(words, &["m.p", "m.x"]),
                log_odds(words)
            ));
            from_tasks(query, scope, filter, simulated, 3);
            query.push(among);
            query.push(&format!(
                " AND (l.n < 3 OR t.candidate_c IS NOT NULL) AND k.choice IN ('candidate_a', 'candidate_b', 'candidate_c', 'both_bad'){}) m",
                fence(words)
            ));
        }
        Unit::Example => {
            let chosen = "CASE k.choice WHEN 'candidate_a' THEN t.candidate_a WHEN 'candidate_b' THEN t.candidate_b ELSE t.candidate_c END";
            query.push(&format!(
                "SELECT {} AS k, {one} AS t, {} AS e, {one} - 1 AS g",
                together(words, &[&format!("({prompt})"), &text(chosen)]),
                log_odds(words)
            ));
            from_tasks(query, scope, filter, simulated, 1);
            query.push(among);
            query.push(" AND k.decided_by <> 'raters' AND k.choice IN ('candidate_a', 'candidate_b', 'candidate_c')");
        }
    }
}

fn from_tasks<T>(query: &mut Pieces<T>, scope: &Scope, filter: &TrainingFilter, simulated: Simulated, times: usize) {
    query.push(&format!(
        " FROM rating_tasks t JOIN task_consensus k ON k.task_id = t.task_id CROSS JOIN {} WHERE t.status IN ('completed', 'validated')",
        lines(times)
    ));
    query.narrow_tasks(scope, filter);
    if simulated == Simulated::IsLeftOut {
        query.push(&format!(" AND {SIMULATED} = 0"));
    }
}

fn feedback<T>(query: &mut Pieces<T>, scope: &Scope, filter: &TrainingFilter, unit: Unit, among: &str) {
    let words = query.words;
    let whole = |number: &str| format!("CAST({number} AS {})", words.whole());
    let (nothing, word) = (whole("0"), whole(&ONE_WORD.to_string()));
    let prompt = hash(words, "t.prompt", 0);
    let text = |which: &str| hash(words, which, 1);
    let worse = "CASE t.feedback_type WHEN 'correction' THEN t.model_output ELSE t.rejected_output END";
    let (columns, times, condition) = match unit {
        Unit::Pair => {
            let columns = format!("{prompt} AS p, {} AS x, {} AS y, 1 AS side", text("t.preferred_output"), text(worse));
            (columns, 1, " AND t.feedback_type IN ('preference', 'correction')")
        }
        Unit::Answer => {
            let which = format!(
                "CASE WHEN t.feedback_type NOT IN ('preference', 'correction') THEN t.model_output WHEN l.n = 1 THEN t.preferred_output ELSE {worse} END"
            );
            let side =
                "CASE WHEN l.n = 2 OR t.feedback_type = 'thumbs_down' OR (t.feedback_type = 'rating' AND t.rating < 3) THEN -1 ELSE 1 END";
            let columns = format!("{prompt} AS p, {} AS x, {side} AS side", text(&which));
            (columns, 2, " AND (l.n = 1 OR t.feedback_type IN ('preference', 'correction')) AND (t.rating IS NULL OR t.rating <> 3)")
        }
        Unit::Example => {
            let columns = format!("{prompt} AS p, {} AS x, 1 AS side", text("t.preferred_output"));
            (columns, 1, " AND t.feedback_type = 'correction'")
        }
    };
    let (key, sign, different) = match unit {
        Unit::Pair => (together(words, &["m.p", "m.x", "m.y"]), "CASE WHEN m.x > m.y THEN m.side ELSE -m.side END", " WHERE m.x <> m.y"),
        _ => (together(words, &["m.p", "m.x"]), "m.side", ""),
    };
    query.push(&format!(
        "SELECT {key} AS k, {nothing} AS t, {sign} * {word} AS e, {nothing} AS g FROM (SELECT {columns} FROM feedback t CROSS JOIN {} WHERE t.id > 0{condition}",
        lines(times)
    ));
    query.narrow_feedback(scope, filter).push(&format!("{among}{}) m{different}", fence(words)));
}
