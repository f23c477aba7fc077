//! Checks of `tool_call_qa`, second half: one reading SQL statement over functions, tables and columns that exist.

mod from;
mod functions;
mod names;
mod scope;

use std::ops::ControlFlow;

use serde_json::Value;
use sqlparser::ast::{Expr, ObjectName, Query, Select, SelectFlavor, SetExpr, Statement, TableFactor, Visit, Visitor};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

use super::place::Place;
use super::{Context, Problem, Report, quoted};

/// Longest query that is parsed, in bytes.
const MAX_SQL_BYTES: usize = 16_384;

/// Most words and signs of a query: a chain such as `1 + 1 + …` nests as deeply as it is long.
const MAX_SQL_TOKENS: usize = 1_000;

/// Deepest nesting that is parsed.
const MAX_SQL_DEPTH: usize = 30;

/// Member of the candidate that holds the query.
const SQL: &str = "/sql";

pub(super) fn check(context: &Context<'_>, text: &str, report: &mut Report) {
    if text.len() > MAX_SQL_BYTES {
        report.fail("sql_parses", format!("the query has {} bytes, but at most {MAX_SQL_BYTES} are checked", text.len()), SQL.to_owned());
        return;
    }
    // Some databases end a comment at a lone carriage return: what follows must be seen.
    let text = text.replace("\r\n", " \n").replace('\r', "\n");
    let (tokens, statements) = match parse(&text) {
        Ok(parsed) => parsed,
        Err((message, place)) => {
            report.fail("sql_parses", message, place);
            return;
        }
    };
    let mut seen = Seen { tokens: &tokens, ..Seen::default() };
    for statement in &statements {
        let _ = statement.visit(&mut seen);
    }
    if let Some(empty) = seen.selects_nothing.first() {
        report.fail("sql_parses", "SELECT names nothing to select; list columns or *", empty.clone());
    } else {
        report.pass("sql_parses", "the SQL parses");
    }
    let starts = starts(&tokens);
    if statements.len() == 1 {
        report.pass("one_statement", "there is exactly one statement");
    } else {
        let message = format!("there are {} statements, but exactly one is allowed", statements.len());
        report.fail("one_statement", message, starts.get(1).map_or_else(|| SQL.to_owned(), |token| place(token.span.start)));
        if statements.is_empty() {
            return;
        }
    }
    let mut writing = hidden_code(&text, &tokens);
    for (at, statement) in statements.iter().enumerate() {
        if !matches!(statement, Statement::Query(_)) {
            let first = starts.get(at).or(starts.first());
            let word = first.map_or_else(String::new, |token| format!("; this statement is {}", quoted(&token.token.to_string())));
            let message = format!("only SELECT (also after WITH) is allowed{word}");
            writing.push(Problem::at(first.map_or_else(|| SQL.to_owned(), |token| place(token.span.start)), message));
        }
    }
    writing.append(&mut seen.writing);
    report.sum_up("reads_only", "it only reads", writing);
    let schema = context.kind("sql_schema");
    let own = super::texts(schema.and_then(|s| s.get("functions")));
    let unknown =
        seen.functions.iter().filter(|(name, _)| !functions::is_known(name) && !own.iter().any(|own| own.eq_ignore_ascii_case(name)));
    let problems = unknown.map(|(name, place)| {
        Problem::at(place.clone(), format!("there is no SQL function {} that only reads; use one that databases share", quoted(name)))
    });
    report.sum_up("known_sql_functions", "all functions are known", problems.collect());
    if let Some(tables) = schema.and_then(|s| s.get("tables")).and_then(Value::as_object) {
        names::check(tables, &statements, report);
    }
}

type Parsed = (Vec<TokenWithSpan>, Vec<Statement>);

/// Tokens and statements, or why there are none and where.
fn parse(text: &str) -> Result<Parsed, (String, String)> {
    let dialect = GenericDialect {};
    let end = || {
        let last = text.trim_end().lines().last().unwrap_or_default();
        let n_lines = text.trim_end().lines().count().max(1);
        Place::line(SQL, u64::try_from(n_lines).unwrap_or(u64::MAX), u64::try_from(last.chars().count().max(1)).unwrap_or(u64::MAX))
    };
    let fault = |error: &ParserError| {
        let whole = match error {
            ParserError::RecursionLimitExceeded => {
                return (format!("the query is nested more than {MAX_SQL_DEPTH} levels deep; make it flatter"), SQL.to_owned());
            }
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        };
        let (message, place) = match whole.rsplit_once(" at Line: ") {
            Some((message, place)) => {
                let (line, column) = place.split_once(", Column: ").unwrap_or((place, ""));
                let place = line.parse().ok().zip(column.parse().ok()).map_or_else(end, |(line, column)| Place::line(SQL, line, column));
                (message, place)
            }
            None => (whole.as_str(), end()),
        };
        let message: String = message.replace("found: EOF", "found the end of the query").chars().take(300).collect();
        (format!("the SQL does not parse: {message}"), place)
    };
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|error| fault(&ParserError::from(error)))?;
    if tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).count() > MAX_SQL_TOKENS {
        return Err((format!("the query has more than {MAX_SQL_TOKENS} words and signs; make it shorter"), SQL.to_owned()));
    }
    let parser = Parser::new(&dialect).with_recursion_limit(MAX_SQL_DEPTH).with_tokens_with_locations(tokens.clone());
    let statements = { parser }.parse_statements().map_err(|error| fault(&error))?;
    Ok((tokens, statements))
}

/// The first word of each statement.
fn starts(tokens: &[TokenWithSpan]) -> Vec<&TokenWithSpan> {
    let parts = tokens.split(|token| token.token == Token::SemiColon);
    parts.filter_map(|part| part.iter().find(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))).collect()
}

/// Comments that some databases run or read otherwise: they may hide what is done.
fn hidden_code(text: &str, tokens: &[TokenWithSpan]) -> Vec<Problem> {
    let run_by_some = "a comment that begins with /*! is run by MySQL and MariaDB, and by no other database; leave it out";
    let mut problems = Vec::new();
    // The reader takes what stands in such a comment for a part of the query.
    let marks = tokens.iter().map(|token| token.token.to_string().matches("/*!").count()).sum::<usize>();
    if text.matches("/*!").count() > marks {
        let line = text.lines().position(|line| line.contains("/*!")).unwrap_or_default();
        let column = text.lines().nth(line).and_then(|line| line.split_once("/*!")).map_or(0, |(before, _)| before.chars().count());
        let at = |n: usize| u64::try_from(n + 1).unwrap_or(u64::MAX);
        problems.push(Problem::at(Place::line(SQL, at(line), at(column)), run_by_some));
    }
    for token in tokens {
        let Token::Whitespace(Whitespace::MultiLineComment(comment)) = &token.token else { continue };
        if comment.starts_with("M!") {
            problems.push(Problem::at(place(token.span.start), run_by_some));
        } else if comment.contains("/*") || comment.contains("*/") {
            let why = "a comment within a comment ends at different places in different databases; leave it out";
            problems.push(Problem::at(place(token.span.start), why));
        }
    }
    problems
}

fn place(location: Location) -> String {
    Place::line(SQL, location.line, location.column)
}

/// What stands in a query beside names.
#[derive(Default)]
struct Seen<'a> {
    tokens: &'a [TokenWithSpan],
    writing: Vec<Problem>,
    selects_nothing: Vec<String>,
    /// Functions with the places of their names, lower case.
    functions: Vec<(String, String)>,
}

impl Seen<'_> {
    /// The place of the first of these words.
    fn keyword(&self, keywords: &[Keyword]) -> String {
        let found = self.tokens.iter().find(|token| matches!(&token.token, Token::Word(word) if keywords.contains(&word.keyword)));
        found.map_or_else(|| SQL.to_owned(), |token| place(token.span.start))
    }

    fn function(&mut self, name: &ObjectName) {
        let Some(last) = name.0.last().and_then(|part| part.as_ident()) else { return };
        let start = last.span.start;
        let at = if start.line > 0 { place(start) } else { SQL.to_owned() };
        let lower = last.value.to_lowercase();
        if functions::has_effects(&lower) {
            let message = format!("the function {} does more than reading tables; leave it out", quoted(&lower));
            self.writing.push(Problem::at(at, message));
        } else {
            self.functions.push((lower, at));
        }
    }
}

impl Visitor for Seen<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if !query.locks.is_empty() {
            let problem = Problem::at(self.keyword(&[Keyword::FOR, Keyword::LOCK]), "FOR UPDATE or FOR SHARE locks rows; leave it out");
            self.writing.push(problem);
        }
        let changes = matches!(query.body.as_ref(), SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_));
        if changes {
            let place = self.keyword(&[Keyword::INSERT, Keyword::UPDATE, Keyword::DELETE, Keyword::MERGE]);
            self.writing.push(Problem::at(place, "the query changes rows within WITH or a subquery; only reading is allowed"));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.into.is_some() {
            self.writing.push(Problem::at(self.keyword(&[Keyword::INTO]), "SELECT INTO writes a table; leave INTO out"));
        }
        if select.projection.is_empty() && !matches!(select.flavor, SelectFlavor::FromFirstNoSelect) {
            self.selects_nothing.push(place(select.select_token.0.span.start));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => self.function(name),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.function(&function.name);
        }
        ControlFlow::Continue(())
    }
}
