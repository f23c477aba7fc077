//! Which tables and columns a query names, each looked up where it stands: in its own SELECT, in those around it, in WITH.
//!
//! Where columns cannot be known (a function in FROM, a pivot), any name is taken for one. Names are compared without regard to case.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde_json::{Map, Value};
use sqlparser::ast::{
    Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, ObjectName, OrderByExpr, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, Visit, Visitor,
};

use super::super::{Problem, Report, quoted, texts};
use super::scope::{self, Columns, Known, Scope, Table, aliases, last, outputs, renamed, some};
use super::{SQL, place};

/// Words that name a part of a date when they stand alone in a function's arguments: `date_trunc(month, date)`.
const DATE_PARTS: [&str; 14] = [
    "microsecond",
    "millisecond",
    "second",
    "minute",
    "hour",
    "day",
    "dayofweek",
    "dayofyear",
    "week",
    "isoweek",
    "month",
    "quarter",
    "year",
    "isoyear",
];

/// Checks `known_tables`, and when all are known `known_columns`.
pub(super) fn check(tables: &Map<String, Value>, statements: &[Statement], report: &mut Report) {
    let lower = |texts: Vec<&str>| texts.iter().map(|text| text.to_lowercase()).collect();
    let schema = tables.iter().map(|(name, columns)| (name.to_lowercase(), lower(texts(Some(columns))))).collect();
    let mut names = Names::new(&schema);
    for statement in statements {
        // Any other statement has failed already.
        if let Statement::Query(query) = statement {
            names.query(query);
        }
    }
    let all_known = names.unknown_tables.is_empty();
    report.sum_up("known_tables", "all tables exist", names.unknown_tables);
    if all_known {
        report.sum_up("known_columns", "all columns exist", names.unknown_columns);
    }
}

pub(super) struct Names<'a> {
    pub(super) schema: &'a BTreeMap<String, BTreeSet<String>>,
    pub(super) common: Vec<(String, Columns)>,
    pub(super) scopes: Vec<Scope>,
    pub(super) unknown_tables: Vec<Problem>,
    unknown_columns: Vec<Problem>,
    pub(super) reported: BTreeSet<String>,
    /// Queries around the present expression that are looked into on their own.
    inside: usize,
    /// Places of words that name parts of dates.
    date_parts: BTreeSet<(u64, u64)>,
    /// Parameters of lambda functions.
    parameters: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn new(schema: &'a BTreeMap<String, BTreeSet<String>>) -> Self {
        Self {
            schema,
            common: Vec::new(),
            scopes: Vec::new(),
            unknown_tables: Vec::new(),
            unknown_columns: Vec::new(),
            reported: BTreeSet::new(),
            inside: 0,
            date_parts: BTreeSet::new(),
            parameters: BTreeSet::new(),
        }
    }

    pub(super) fn query(&mut self, query: &Query) -> Columns {
        let (inside, n_common) = (std::mem::take(&mut self.inside), self.common.len());
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = table.alias.name.value.to_lowercase();
            let is_recursive = query.with.as_ref().is_some_and(|with| with.recursive);
            if is_recursive {
                self.common.push((name.clone(), None));
            }
            let columns = renamed(self.query(&table.query), &table.alias);
            if is_recursive {
                self.common.pop();
            }
            self.common.push((name, columns));
        }
        let sole = matches!(query.body.as_ref(), SetExpr::Select(_)).then_some(query);
        let mut columns = self.body(&query.body, sole);
        if sole.is_none() {
            // After UNION and the like only the names of the result are seen.
            let tables = vec![Table { name: String::new(), columns: columns.clone() }];
            self.within(Scope { tables, ..Scope::default() }, |names| names.order(query));
        }
        if !query.pipe_operators.is_empty() {
            columns = None;
        }
        self.common.truncate(n_common);
        self.inside = inside;
        columns
    }

    fn within(&mut self, scope: Scope, look: impl FnOnce(&mut Self)) {
        self.scopes.push(scope);
        look(self);
        self.scopes.pop();
    }

    /// The columns of the first SELECT of a set operation; all are looked into.
    fn body(&mut self, body: &SetExpr, sole: Option<&Query>) -> Columns {
        let (mut first, mut open) = (None, vec![body]);
        while let Some(part) = open.pop() {
            let columns = match part {
                SetExpr::SetOperation { left, right, .. } => {
                    open.push(right);
                    open.push(left);
                    continue;
                }
                SetExpr::Select(select) => self.select(select, sole),
                SetExpr::Query(query) => self.query(query),
                SetExpr::Table(table) => table.table_name.as_ref().and_then(|name| self.schema.get(&name.to_lowercase())).cloned(),
                SetExpr::Values(_) | SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => None,
            };
            first.get_or_insert(columns);
        }
        first.flatten()
    }

    fn select(&mut self, select: &Select, query: Option<&Query>) -> Columns {
        let mut scope = Scope::default();
        for table in &select.from {
            self.joined(table, &mut scope);
        }
        let outputs = outputs(select, &scope);
        scope.aliases.clone_from(&aliases(select));
        self.scopes.push(scope);
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } | SelectItem::ExprWithAliases { expr, .. } => {
                    self.look(expr)
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => self.all_of(name),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _) | SelectItem::Wildcard(_) => {}
            }
        }
        select.prewhere.iter().chain(&select.selection).for_each(|expr| self.look(expr));
        if let Some(scope) = self.scopes.last_mut() {
            scope.sees_aliases = true;
        }
        if let Some(Distinct::On(exprs)) = &select.distinct {
            exprs.iter().for_each(|expr| self.look(expr));
        }
        if let GroupByExpr::Expressions(exprs, _) = &select.group_by {
            exprs.iter().for_each(|expr| self.look(expr));
        }
        select.having.iter().chain(&select.qualify).chain(&select.cluster_by).chain(&select.distribute_by).for_each(|expr| self.look(expr));
        select.sort_by.iter().for_each(|order: &OrderByExpr| self.look(&order.expr));
        for window in &select.named_window {
            let _ = window.visit(self);
        }
        if let Some(query) = query {
            if let (Some(scope), Some(outputs)) = (self.scopes.last_mut(), &outputs) {
                scope.aliases.extend(outputs.iter().cloned());
            }
            self.order(query);
        }
        self.scopes.pop();
        outputs
    }

    fn order(&mut self, query: &Query) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.sees_aliases = true;
        }
        if let Some(order) = &query.order_by {
            let _ = order.visit(self);
        }
        if let Some(limit) = &query.limit_clause {
            let _ = limit.visit(self);
        }
    }

    pub(super) fn look(&mut self, expr: &Expr) {
        let _ = expr.visit(self);
    }

    pub(super) fn column_problem(&mut self, at: &Ident, message: String) {
        if self.reported.insert(message.clone()) {
            let start = at.span.start;
            self.unknown_columns.push(Problem::at(if start.line > 0 { place(start) } else { SQL.to_owned() }, message));
        }
    }

    /// `table.*`
    fn all_of(&mut self, name: &ObjectName) {
        let Some(table) = last(name) else { return };
        let lower = table.value.to_lowercase();
        if !self.scopes.iter().any(|scope| scope.tables.iter().any(|one| one.name == lower)) {
            self.column_problem(table, format!("there is no table {} in this FROM", quoted(&table.value)));
        }
    }

    fn qualified(&mut self, qualifier: &Ident, column: &Ident) {
        let (table, name) = (qualifier.value.to_lowercase(), column.value.to_lowercase());
        let found = self.scopes.iter().rev().find_map(|scope| scope.tables.iter().find(|one| one.name == table));
        match found {
            Some(Table { columns: Some(columns), .. }) if !columns.contains(&name) => {
                let full = format!("{}.{}", qualifier.value, column.value);
                self.column_problem(column, format!("there is no column {}; the table has {}", quoted(&full), some(columns)));
            }
            Some(_) => {}
            // May be a column with members of its own.
            None if scope::known(&self.scopes, &table) == Known::Unsure => {}
            None => self.column_problem(qualifier, format!("there is no table or alias {} in this FROM", quoted(&qualifier.value))),
        }
    }

    fn column(&mut self, column: &Ident) {
        let start = column.span.start;
        if self.date_parts.contains(&(start.line, start.column)) {
            return;
        }
        let shown = quoted(&column.value);
        let name = column.value.to_lowercase();
        if self.parameters.contains(&name) {
            return;
        }
        let message = match scope::known(&self.scopes, &name) {
            Known::Once | Known::Unsure => return,
            Known::Not => format!("there is no column {shown} in the tables of this SELECT"),
            Known::Twice => format!("the column {shown} stands in more than one table of this SELECT; write table.column"),
            Known::Later => {
                format!("{shown} is a name given in the SELECT list, which WHERE, ON and the list itself cannot see; repeat the expression")
            }
        };
        self.column_problem(column, message);
    }

    fn function(&mut self, function: &Function) {
        let FunctionArguments::List(list) = &function.args else { return };
        for argument in &list.args {
            let (FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. }) =
                argument
            else {
                continue;
            };
            if let Expr::Identifier(ident) = expr
                && DATE_PARTS.contains(&ident.value.to_lowercase().as_str())
            {
                self.date_parts.insert((ident.span.start.line, ident.span.start.column));
            }
        }
    }
}

impl Visitor for Names<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.inside == 0 {
            self.query(query);
        }
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.inside = self.inside.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.inside == 0 {
            match expr {
                Expr::Identifier(column) => self.column(column),
                Expr::CompoundIdentifier(parts) => {
                    if let [.., qualifier, column] = parts.as_slice() {
                        self.qualified(qualifier, column);
                    }
                }
                Expr::Function(function) => self.function(function),
                Expr::Lambda(lambda) => self.parameters.extend(lambda.params.iter().map(|parameter| parameter.name.value.to_lowercase())),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}
