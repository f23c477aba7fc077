//! What a SELECT can see: the tables of its FROM with their columns, and the names given in its list.

use std::collections::BTreeSet;

use sqlparser::ast::{Expr, Ident, ObjectName, Select, SelectItem, SelectItemQualifiedWildcardKind, TableAlias};

/// Columns of a table or query; `None` when they cannot be known.
pub(super) type Columns = Option<BTreeSet<String>>;

/// One table of a FROM.
pub(super) struct Table {
    /// Its alias or name, lower case.
    pub name: String,
    pub columns: Columns,
}

/// What a SELECT can see.
#[derive(Default)]
pub(super) struct Scope {
    pub tables: Vec<Table>,
    /// Columns that joins have made one.
    pub shared: BTreeSet<String>,
    /// Whether NATURAL joins make columns one that are not listed.
    pub is_natural: bool,
    /// Names given in the SELECT list.
    pub aliases: BTreeSet<String>,
    /// Whether the present clause sees them.
    pub sees_aliases: bool,
}

/// What a name is.
#[derive(PartialEq, Eq)]
pub(super) enum Known {
    /// A column of one table.
    Once,
    /// A column of several tables.
    Twice,
    /// Given in the SELECT list, but not seen here.
    Later,
    /// Perhaps a column of a table whose columns cannot be known.
    Unsure,
    /// Nothing.
    Not,
}

/// What a name without a table is, seen from the innermost of these scopes.
pub(super) fn known(scopes: &[Scope], name: &str) -> Known {
    for scope in scopes.iter().rev() {
        if scope.sees_aliases && scope.aliases.contains(name) {
            return Known::Once;
        }
        let n_sure = scope.tables.iter().filter(|table| table.columns.as_ref().is_some_and(|columns| columns.contains(name))).count();
        if n_sure > 1 && !scope.is_natural && !scope.shared.contains(name) {
            return Known::Twice;
        }
        if n_sure > 0 {
            return Known::Once;
        }
        if scope.tables.iter().any(|table| table.columns.is_none()) {
            return Known::Unsure;
        }
    }
    let is_hidden = scopes.last().is_some_and(|scope| scope.aliases.contains(name));
    if is_hidden { Known::Later } else { Known::Not }
}

/// The last part of a name with points.
pub(super) fn last(name: &ObjectName) -> Option<&Ident> {
    name.0.last().and_then(|part| part.as_ident())
}

/// The first columns, for a message.
pub(super) fn some(columns: &BTreeSet<String>) -> String {
    let mut shown = columns.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ");
    if columns.len() > 12 {
        shown.push_str(", …");
    }
    shown
}

/// The columns under the names that an alias gives them.
pub(super) fn renamed(columns: Columns, alias: &TableAlias) -> Columns {
    if alias.columns.is_empty() { columns } else { Some(alias.columns.iter().map(|column| column.name.value.to_lowercase()).collect()) }
}

/// Names given in the SELECT list.
pub(super) fn aliases(select: &Select) -> BTreeSet<String> {
    let mut given = BTreeSet::new();
    for item in &select.projection {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => {
                given.insert(alias.value.to_lowercase());
            }
            SelectItem::ExprWithAliases { aliases, .. } => given.extend(aliases.iter().map(|alias| alias.value.to_lowercase())),
            _ => {}
        }
    }
    given
}

/// The columns of a SELECT's result.
pub(super) fn outputs(select: &Select, scope: &Scope) -> Columns {
    let mut columns = aliases(select);
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(column)) => {
                columns.insert(column.value.to_lowercase());
            }
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                columns.extend(parts.last().map(|column| column.value.to_lowercase()))
            }
            SelectItem::UnnamedExpr(Expr::Function(function)) => columns.extend(last(&function.name).map(|name| name.value.to_lowercase())),
            SelectItem::Wildcard(_) => {
                for table in &scope.tables {
                    columns.extend(table.columns.clone()?);
                }
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let name = last(name)?.value.to_lowercase();
                columns.extend(scope.tables.iter().find(|table| table.name == name)?.columns.clone()?);
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _) => return None,
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } | SelectItem::ExprWithAliases { .. } => {}
        }
    }
    Some(columns)
}
