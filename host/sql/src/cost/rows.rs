//! The largest sizes of a query's rows.

use super::{
    VALUE_BYTES,
    sizes::{Measure, NUMBER, ROW_BYTES, Size},
};
use sqlparser::ast::{Expr, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins};
use std::{collections::HashMap, iter, ptr::from_ref};

/// The largest sizes of a query's rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowSize {
    pub(super) row: u64,
    /// The largest of its values.
    pub(super) value: Size,
}

impl RowSize {
    fn max(self, other: Self) -> Self {
        Self { row: self.row.max(other.row), value: self.value.max(other.value) }
    }
}

impl Measure<'_> {
    pub(super) fn query(&self, query: &Query) -> RowSize {
        self.queries.get(&from_ref(query)).copied().unwrap_or(RowSize { row: ROW_BYTES, value: NUMBER })
    }

    pub(super) fn body(&self, body: &SetExpr) -> RowSize {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => self.body(left).max(self.body(right)),
            SetExpr::Values(values) => values
                .rows
                .iter()
                .map(|row| RowSize {
                    row: row.content.iter().fold(0, |sum, item| sum.saturating_add(self.bytes(item))),
                    value: self.largest(row.content.iter()),
                })
                .fold(RowSize { row: 0, value: NUMBER }, RowSize::max),
            _ => RowSize { row: VALUE_BYTES as u64, value: NUMBER },
        }
    }

    fn select(&self, select: &Select) -> RowSize {
        let tables = select.from.iter().fold(0_u64, |sum, table| sum.saturating_add(self.joined(table)));
        self.items(&select.projection, tables)
    }

    fn joined(&self, table: &TableWithJoins) -> u64 {
        let joins = table.joins.iter().map(|join| &join.relation);
        iter::once(&table.relation).chain(joins).fold(0, |sum, table| sum.saturating_add(self.table(table)))
    }

    fn table(&self, table: &TableFactor) -> u64 {
        match table {
            TableFactor::Derived { subquery, .. } => self.query(subquery).row,
            TableFactor::NestedJoin { table_with_joins, .. } => self.joined(table_with_joins),
            _ => self.widest,
        }
    }

    /// The columns of a table are together no longer than its row, unless a
    /// column is selected several times.
    pub(super) fn items(&self, items: &[SelectItem], tables: u64) -> RowSize {
        let (mut all, mut row, mut value) = (0_u64, 0_u64, NUMBER);
        let mut times: HashMap<String, u64> = HashMap::new();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => {
                    if matches!(expression, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                        *times.entry(expression.to_string().to_ascii_lowercase()).or_default() += 1;
                        row = row.saturating_add(NUMBER.bytes);
                    } else {
                        row = row.saturating_add(self.bytes(expression));
                    }
                    value = value.max(self.of(expression));
                }
                _ => all += 1,
            }
        }
        let times = times.into_values().max().unwrap_or(0).saturating_add(all);
        RowSize { row: row.saturating_add(tables.saturating_mul(times)), value }
    }
}
