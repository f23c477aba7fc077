//! The FROM of a SELECT: its tables, joins and what joins ask of columns.

use sqlparser::ast::{Join, JoinConstraint, JoinOperator, ObjectName, Spanned, TableFactor, TableWithJoins};

use super::super::{Problem, quoted};
use super::names::Names;
use super::scope::{Columns, Scope, Table, last, renamed};
use super::{SQL, place};

impl Names<'_> {
    pub(super) fn joined(&mut self, table: &TableWithJoins, scope: &mut Scope) {
        self.factor(&table.relation, scope);
        for join in &table.joins {
            self.factor(&join.relation, scope);
            self.join(join, scope);
        }
    }

    fn join(&mut self, join: &Join, scope: &mut Scope) {
        let constraint = match &join.join_operator {
            JoinOperator::Join(c)
            | JoinOperator::Inner(c)
            | JoinOperator::Left(c)
            | JoinOperator::LeftOuter(c)
            | JoinOperator::Right(c)
            | JoinOperator::RightOuter(c)
            | JoinOperator::FullOuter(c)
            | JoinOperator::CrossJoin(c)
            | JoinOperator::Semi(c)
            | JoinOperator::LeftSemi(c)
            | JoinOperator::RightSemi(c)
            | JoinOperator::Anti(c)
            | JoinOperator::LeftAnti(c)
            | JoinOperator::RightAnti(c)
            | JoinOperator::StraightJoin(c)
            | JoinOperator::AsOf { constraint: c, .. } => c,
            JoinOperator::CrossApply
            | JoinOperator::OuterApply
            | JoinOperator::ArrayJoin
            | JoinOperator::LeftArrayJoin
            | JoinOperator::InnerArrayJoin => return,
        };
        match constraint {
            JoinConstraint::On(expr) => {
                let open = std::mem::take(scope);
                self.scopes.push(open);
                self.look(expr);
                *scope = self.scopes.pop().unwrap_or_default();
            }
            JoinConstraint::Using(columns) => {
                for column in columns.iter().filter_map(last) {
                    let name = column.value.to_lowercase();
                    let n_known =
                        scope.tables.iter().filter(|table| table.columns.as_ref().is_none_or(|columns| columns.contains(&name))).count();
                    if n_known < 2 {
                        self.column_problem(column, format!("USING wants the column {} in both tables", quoted(&column.value)));
                    }
                    scope.shared.insert(name);
                }
            }
            JoinConstraint::Natural => scope.is_natural = true,
            JoinConstraint::None => {}
        }
    }

    fn factor(&mut self, factor: &TableFactor, scope: &mut Scope) {
        let (name, columns, alias) = match factor {
            TableFactor::Table { name, alias, args, .. } => {
                let own = last(name).map_or_else(|| name.to_string(), |ident| ident.value.clone());
                let columns = if args.is_some() { None } else { self.table(name, &own.to_lowercase()) };
                (own, columns, alias)
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let columns = if *lateral {
                    let open = std::mem::take(scope);
                    self.scopes.push(open);
                    let columns = self.query(subquery);
                    *scope = self.scopes.pop().unwrap_or_default();
                    columns
                } else {
                    self.query(subquery)
                };
                (String::new(), columns, alias)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.joined(table_with_joins, scope),
            TableFactor::NestedJoin { table_with_joins, alias } => {
                self.joined(table_with_joins, &mut Scope::default());
                (String::new(), None, alias)
            }
            TableFactor::Pivot { table, alias, .. }
            | TableFactor::Unpivot { table, alias, .. }
            | TableFactor::MatchRecognize { table, alias, .. } => {
                self.factor(table, &mut Scope::default());
                (String::new(), None, alias)
            }
            TableFactor::Function { name, alias, .. } => (name.to_string(), None, alias),
            TableFactor::TableFunction { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::JsonTable { alias, .. }
            | TableFactor::OpenJsonTable { alias, .. } => (String::new(), None, alias),
            _ => (String::new(), None, &None),
        };
        let table = match alias {
            Some(alias) => Table { name: alias.name.value.to_lowercase(), columns: renamed(columns, alias) },
            None => Table { name: name.to_lowercase(), columns },
        };
        scope.tables.push(table);
    }

    fn table(&mut self, name: &ObjectName, own: &str) -> Columns {
        if name.0.len() == 1
            && let Some((_, columns)) = self.common.iter().rev().find(|(common, _)| common == own)
        {
            return columns.clone();
        }
        let known = self.schema.get(own).cloned();
        if known.is_none() && self.reported.insert(format!("table {own}")) {
            let start = name.span().start;
            let at = if start.line > 0 { place(start) } else { SQL.to_owned() };
            let there_are = self.schema.keys().take(12).cloned().collect::<Vec<_>>().join(", ");
            self.unknown_tables.push(Problem::at(at, format!("there is no table {}; there are {there_are}", quoted(own))));
        }
        known
    }
}
