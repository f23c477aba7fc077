//! Checks of `tool_call_qa`, second half: one reading SQL statement over tables and columns that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde_json::Value;
use sqlparser::ast::{Expr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, Spanned, Statement, TableFactor, Visit, Visitor};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use super::{Context, Problem, Report, quoted};

/// Longest query that is parsed, in bytes.
const MAX_SQL_BYTES: usize = 16_384;

/// Most words and signs of a query: a chain such as `1 + 1 + …` nests as deeply as it is long.
const MAX_SQL_TOKENS: usize = 1_000;

/// Deepest nesting that is parsed.
const MAX_SQL_DEPTH: usize = 30;

pub(super) fn check(context: &Context<'_>, text: &str, report: &mut Report) {
    if text.len() > MAX_SQL_BYTES {
        report.fail(
            "sql_parses",
            format!("the query has {} bytes, at most {MAX_SQL_BYTES} are checked", text.len()),
            Some("/sql".to_owned()),
        );
        return;
    }
    let dialect = GenericDialect {};
    let parsed = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(ParserError::from).and_then(|tokens| {
        if tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).count() > MAX_SQL_TOKENS {
            return Err(ParserError::ParserError(format!("more than {MAX_SQL_TOKENS} words and signs")));
        }
        Parser::new(&dialect).with_recursion_limit(MAX_SQL_DEPTH).with_tokens_with_locations(tokens).parse_statements()
    });
    let statements = match parsed {
        Ok(statements) => {
            report.pass("sql_parses", "the SQL parses");
            statements
        }
        Err(error) => {
            let message: String = error.to_string().chars().take(300).collect();
            let place = message.rsplit_once("Line: ").map(|(_, place)| place.replace(", Column: ", ":"));
            report.fail("sql_parses", format!("the SQL does not parse: {message}"), place.or_else(|| Some("/sql".to_owned())));
            return;
        }
    };
    if statements.len() != 1 {
        let message = format!("there are {} statements, exactly one is allowed", statements.len());
        report.fail("one_statement", message, Some("/sql".to_owned()));
        if statements.is_empty() {
            return;
        }
    } else {
        report.pass("one_statement", "there is exactly one statement");
    }
    let mut seen = Seen::default();
    for statement in &statements {
        let _ = statement.visit(&mut seen);
    }
    let writing = std::mem::take(&mut seen.writing);
    report.sum_up("reads_only", "it only reads", writing);
    if let Some(tables) = context.kind("sql_schema").and_then(|s| s.get("tables")).and_then(Value::as_object) {
        let schema = tables
            .iter()
            .map(|(name, columns)| (name.to_lowercase(), super::texts(Some(columns)).iter().map(|c| c.to_lowercase()).collect()))
            .collect();
        known_names(&schema, &seen, report);
    }
}

type Schema = BTreeMap<String, BTreeSet<String>>;

fn known_names(schema: &Schema, seen: &Seen, report: &mut Report) {
    let own = |name: &str| seen.common_tables.contains(name) || seen.derived.contains(name);
    let unknown = seen.tables.iter().filter(|(name, _)| !schema.contains_key(*name) && !own(name));
    let problems: Vec<Problem> = unknown
        .map(|(name, place)| {
            Problem::at(
                place.clone(),
                format!("there is no table {}; there are {}", quoted(name), schema.keys().take(12).cloned().collect::<Vec<_>>().join(", ")),
            )
        })
        .collect();
    let tables_known = problems.is_empty();
    report.sum_up("known_tables", "all tables exist", problems);
    if !tables_known {
        return;
    }
    let mut loose: BTreeSet<&str> = seen.names_given.iter().map(String::as_str).collect();
    for columns in seen.tables.keys().filter_map(|name| schema.get(name)) {
        loose.extend(columns.iter().map(String::as_str));
    }
    let mut problems = Vec::new();
    for ((qualifier, column), place) in &seen.columns {
        let known = match qualifier.as_deref() {
            None => loose.contains(column.as_str()),
            Some(qualifier) if own(qualifier) || seen.aliases.get(qualifier).is_some_and(|table| own(table)) => {
                loose.contains(column.as_str())
            }
            Some(qualifier) => {
                let table = seen.aliases.get(qualifier).map_or(qualifier, String::as_str);
                seen.tables.contains_key(table) && schema.get(table).is_some_and(|columns| columns.contains(column))
            }
        };
        if !known {
            let full = qualifier.as_ref().map_or_else(|| column.clone(), |qualifier| format!("{qualifier}.{column}"));
            problems.push(Problem::at(place.clone(), format!("there is no column {} in the tables of this query", quoted(&full))));
        }
    }
    report.sum_up("known_columns", "all columns exist", problems);
}

/// What stands in a query. Names are lower case; a place is `line:column`.
#[derive(Default)]
struct Seen {
    writing: Vec<Problem>,
    tables: BTreeMap<String, String>,
    common_tables: BTreeSet<String>,
    derived: BTreeSet<String>,
    aliases: BTreeMap<String, String>,
    columns: BTreeMap<(Option<String>, String), String>,
    names_given: BTreeSet<String>,
}

impl Seen {
    fn select(&mut self, select: &Select) {
        if select.into.is_some() {
            self.writing.push(Problem { message: "SELECT INTO writes a table; leave INTO out".to_owned(), place: Some("/sql".to_owned()) });
        }
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.names_given.insert(alias.value.to_lowercase());
            }
        }
    }

    fn column(&mut self, qualifier: Option<&Ident>, column: &Ident) {
        let key = (qualifier.map(|q| q.value.to_lowercase()), column.value.to_lowercase());
        let start = column.span.start;
        let place = format!("{}:{}", start.line, start.column);
        self.columns.entry(key).or_insert(place);
    }
}

impl Visitor for Seen {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        if !matches!(statement, Statement::Query(_)) {
            self.writing.push(Problem::at("/sql", "only SELECT and WITH … SELECT are allowed; this statement is another one"));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if !query.locks.is_empty() {
            self.writing
                .push(Problem { message: "FOR UPDATE or FOR SHARE locks rows; leave it out".to_owned(), place: Some("/sql".to_owned()) });
        }
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.common_tables.insert(table.alias.name.value.to_lowercase());
            self.names_given.extend(table.alias.columns.iter().map(|column| column.name.value.to_lowercase()));
        }
        if matches!(query.body.as_ref(), SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)) {
            self.writing
                .push(Problem { message: "the query changes rows; only reading is allowed".to_owned(), place: Some("/sql".to_owned()) });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.select(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = relation.0.last().and_then(|part| part.as_ident()).map_or_else(|| relation.to_string(), |ident| ident.value.clone());
        self.tables.entry(name.to_lowercase()).or_insert_with(|| place(relation).unwrap_or_default());
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, alias: Some(alias), .. } => {
                let table = name.0.last().and_then(|part| part.as_ident()).map_or_else(|| name.to_string(), |ident| ident.value.clone());
                self.aliases.insert(alias.name.value.to_lowercase(), table.to_lowercase());
            }
            TableFactor::Derived { alias: Some(alias), .. } => {
                self.derived.insert(alias.name.value.to_lowercase());
                self.names_given.extend(alias.columns.iter().map(|column| column.name.value.to_lowercase()));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(column) => self.column(None, column),
            Expr::CompoundIdentifier(parts) => {
                if let [.., qualifier, column] = parts.as_slice() {
                    self.column(Some(qualifier), column);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `line:column` of a name, where the parser knows it. Not for whole expressions: their spans are found by unbounded recursion.
fn place(part: &ObjectName) -> Option<String> {
    let start = part.span().start;
    (start.line > 0).then(|| format!("{}:{}", start.line, start.column))
}
