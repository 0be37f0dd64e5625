//! What a statement may contain: its expressions, tables, functions and
//! subqueries, wherever they stand in it.

use super::tokens::placeholder;
use sqlparser::ast::{
    BinaryOperator, CastKind, Cte, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArguments,
    ObjectName, Query, Select, SelectFlavor, SetExpr, Statement, TableFactor, UnaryOperator, Value, ValueWithSpan,
    Visit, Visitor,
};
use std::ops::ControlFlow;

/// Functions that mean the same on every engine and do no harm.
pub(super) const FUNCTIONS: [&str; 30] = [
    "abs",
    "avg",
    "coalesce",
    "concat",
    "count",
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "length",
    "lower",
    "ltrim",
    "max",
    "min",
    "nth_value",
    "ntile",
    "nullif",
    "percent_rank",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "string_agg",
    "substr",
    "sum",
    "trim",
    "upper",
];

/// The most tables in a statement. The planners of the engines try many
/// sequences of them.
const TABLES: usize = 32;
/// The most tables that one query joins.
const JOINED_TABLES: usize = 16;

/// Checks all parts of a statement, and gives the highest number of its
/// parameters.
pub(super) fn check(statement: &Statement) -> Result<usize, String> {
    let mut parts = Parts::default();
    match statement.visit(&mut parts) {
        ControlFlow::Continue(()) => Ok(parts.parameters),
        ControlFlow::Break(reason) => Err(reason),
    }
}

/// A table's or index's own name, without a schema.
pub(super) fn check_name(name: &ObjectName) -> Result<(), String> {
    match name.0.as_slice() {
        [part] if part.as_ident().is_some() => Ok(()),
        _ => Err(format!("{name} names something outside the component's own database")),
    }
}

/// The column types that mean the same on every engine.
pub(super) fn check_type(data_type: &DataType) -> Result<(), String> {
    match data_type {
        DataType::Text
        | DataType::BigInt(None)
        | DataType::Integer(None)
        | DataType::DoublePrecision
        | DataType::Double(ExactNumberInfo::None)
        | DataType::Blob(None) => Ok(()),
        other => {
            Err(format!("the type {other} is not shared by the engines: use TEXT, BIGINT, DOUBLE PRECISION or BLOB"))
        }
    }
}

#[derive(Default)]
struct Parts {
    parameters: usize,
    tables: usize,
}

impl Parts {
    fn verdict(result: Result<(), String>) -> ControlFlow<String> {
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(reason) => ControlFlow::Break(reason),
        }
    }
}

impl Visitor for Parts {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        Self::verdict(check_query(query))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        Self::verdict(check_select(select))
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        Self::verdict(check_name(relation))
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<String> {
        self.tables += 1;
        if self.tables > TABLES {
            return ControlFlow::Break(format!("more than {TABLES} tables in one statement"));
        }
        Self::verdict(check_table(table))
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<String> {
        Self::verdict(check_expression(expression))
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<String> {
        match &value.value {
            Value::Number(number, false) if !number.parse::<f64>().is_ok_and(f64::is_finite) => {
                ControlFlow::Break(format!("the number {number} is too large"))
            }
            Value::Number(_, false) | Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null => {
                ControlFlow::Continue(())
            }
            Value::Placeholder(name) => match placeholder(name) {
                Some(number) => {
                    self.parameters = self.parameters.max(number);
                    ControlFlow::Continue(())
                }
                None => ControlFlow::Break(format!("parameters are $1, $2, ..., not {name}")),
            },
            other => ControlFlow::Break(format!("the literal {other} is not allowed here")),
        }
    }
}

fn check_query(query: &Query) -> Result<(), String> {
    if let Some(with) = &query.with {
        // SQLite takes a query that mentions itself as recursive without being told.
        if with.recursive || with.cte_tables.iter().any(mentions_itself) {
            return Err("recursive queries are not allowed here".to_owned());
        }
    }
    let plain = query.fetch.is_none()
        && query.locks.is_empty()
        && query.for_clause.is_none()
        && query.settings.is_none()
        && query.format_clause.is_none()
        && query.pipe_operators.is_empty();
    if !plain {
        return Err("FOR, FETCH, SETTINGS and FORMAT are not allowed here".to_owned());
    }
    check_body(&query.body)
}

fn mentions_itself(cte: &Cte) -> bool {
    struct Mentions<'a>(&'a str);
    impl Visitor for Mentions<'_> {
        type Break = ();
        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
            let same = relation
                .0
                .iter()
                .filter_map(|part| part.as_ident())
                .any(|part| part.value.eq_ignore_ascii_case(self.0));
            if same { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    cte.query.visit(&mut Mentions(&cte.alias.name.value)).is_break()
}

/// A query that stands in another statement reads; one that changes something
/// is a statement of its own, which [`super::statements`] checks.
fn check_body(body: &SetExpr) -> Result<(), String> {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => Ok(()),
        SetExpr::SetOperation { left, right, .. } => check_body(left).and_then(|()| check_body(right)),
        _ => Err("a query inside a statement can only be a SELECT".to_owned()),
    }
}

fn check_select(select: &Select) -> Result<(), String> {
    if select.into.is_some() {
        return Err("SELECT INTO is not allowed here".to_owned());
    }
    let plain = select.top.is_none()
        && select.select_modifiers.is_none()
        && select.exclude.is_none()
        && select.optimizer_hints.is_empty()
        && select.lateral_views.is_empty()
        && select.prewhere.is_none()
        && select.connect_by.is_empty()
        && select.cluster_by.is_empty()
        && select.distribute_by.is_empty()
        && select.sort_by.is_empty()
        && select.qualify.is_none()
        && select.value_table_mode.is_none()
        && matches!(select.flavor, SelectFlavor::Standard);
    if select.from.iter().map(|table| 1 + table.joins.len()).sum::<usize>() > JOINED_TABLES {
        return Err(format!("more than {JOINED_TABLES} tables in one query"));
    }
    if plain { Ok(()) } else { Err("this form of SELECT is not shared by the engines".to_owned()) }
}

fn check_table(table: &TableFactor) -> Result<(), String> {
    match table {
        TableFactor::Table { args: Some(_), .. } | TableFactor::Function { .. } | TableFactor::TableFunction { .. } => {
            Err("table-valued functions are not allowed here".to_owned())
        }
        TableFactor::Table {
            with_hints, version, with_ordinality, partitions, json_path, sample, index_hints, ..
        } if with_hints.is_empty()
            && version.is_none()
            && !with_ordinality
            && partitions.is_empty()
            && json_path.is_none()
            && sample.is_none()
            && index_hints.is_empty() =>
        {
            Ok(())
        }
        TableFactor::Derived { lateral: false, sample: None, .. } | TableFactor::NestedJoin { .. } => Ok(()),
        other => Err(format!("{other} is not a table")),
    }
}

fn check_expression(expression: &Expr) -> Result<(), String> {
    match expression {
        Expr::Function(function) => check_function(function),
        Expr::CompoundIdentifier(parts) if parts.len() > 2 => {
            Err(format!("{expression} names something outside the component's own database"))
        }
        Expr::BinaryOp { op, .. } if !is_shared(op) => Err(format!("the operator {op} is not allowed here")),
        Expr::UnaryOp { op, .. } if !matches!(op, UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not) => {
            Err(format!("the operator {op} is not allowed here"))
        }
        Expr::Cast { kind: CastKind::Cast, data_type, format: None, .. } => check_type(data_type),
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::BinaryOp { .. }
        | Expr::UnaryOp { .. }
        | Expr::Like { any: false, .. }
        | Expr::Substring { .. }
        | Expr::Trim { .. }
        | Expr::Nested(_)
        | Expr::Value(_)
        | Expr::Case { .. }
        | Expr::Exists { .. }
        | Expr::Subquery(_)
        | Expr::Tuple(_)
        | Expr::Wildcard(_)
        | Expr::QualifiedWildcard(..) => Ok(()),
        other => Err(format!("{other} is not allowed here")),
    }
}

fn is_shared(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
            | BinaryOperator::StringConcat
            | BinaryOperator::Gt
            | BinaryOperator::Lt
            | BinaryOperator::GtEq
            | BinaryOperator::LtEq
            | BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::And
            | BinaryOperator::Or
    )
}

fn check_function(function: &Function) -> Result<(), String> {
    check_name(&function.name)?;
    let name = function.name.to_string().to_ascii_lowercase();
    if !FUNCTIONS.contains(&name.as_str()) {
        return Err(format!("the function {} is not allowed here", function.name));
    }
    if matches!(name.as_str(), "max" | "min")
        && let FunctionArguments::List(list) = &function.args
        && list.args.len() != 1
    {
        return Err(format!("{name} takes one argument: of several values only CASE tells the greatest or least"));
    }
    let arguments = match &function.args {
        FunctionArguments::List(list) => {
            list.clauses.is_empty() && list.args.iter().all(|argument| matches!(argument, FunctionArg::Unnamed(_)))
        }
        FunctionArguments::None | FunctionArguments::Subquery(_) => false,
    };
    let plain = arguments
        && !function.uses_odbc_syntax
        && matches!(function.parameters, FunctionArguments::None)
        && function.within_group.is_empty()
        && function.null_treatment.is_none();
    if plain { Ok(()) } else { Err(format!("this form of {} is not shared by the engines", function.name)) }
}
