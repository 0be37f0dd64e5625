//! The most that a statement can cost before an engine looks at its deadline.
//!
//! The engines look at the deadline between two rows, and not inside a
//! function. `replace` or `LIKE` of two long texts would run for minutes, and
//! nothing could end it. So this module computes, from the statement alone, the
//! bytes that one row of it can make an engine look at, and bounds them. The
//! bound depends on the sizes of columns and parameters. A [`Bounds`] names the
//! sizes that are small enough.

mod rows;
mod sizes;

use sizes::{Measure, Sizes};
use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, Visit, Visitor,
};
use std::{collections::BTreeSet, ops::ControlFlow};

/// The largest value, and on SQLite the largest row of a table.
pub const VALUE_BYTES: usize = 2 << 20;

/// The longest column that a function may get, largest first. Only the first
/// needs no check while the statement runs.
const COLUMN_BYTES: [u64; 6] = [VALUE_BYTES as u64, 1 << 20, 256 << 10, 64 << 10, 8 << 10, 1 << 10];
const LEAST_PARAMETER_BYTES: u64 = 512;
const LEAST_PATTERN_BYTES: u64 = 1;

/// Sizes with which a statement is cheap enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The longest column inside a function.
    pub(crate) column: u64,
    /// The longest parameter.
    pub(crate) parameter: u64,
    /// The longest parameter inside a function whose time is a product of two
    /// lengths.
    pub(crate) pattern: u64,
}

impl Bounds {
    /// Whether columns have to be checked while the statement runs.
    pub(crate) fn checks_columns(&self) -> bool {
        self.column < VALUE_BYTES as u64
    }

    fn allows_more_than(&self, other: &Self) -> bool {
        self.parameter > other.parameter || self.pattern > other.pattern
    }
}

/// The bounds under which a statement may run, with the longest columns first.
/// Each further one has shorter columns and longer parameters.
///
/// # Errors
/// The statement costs too much, whatever the sizes are.
pub(crate) fn bounds(statement: &Statement, patterns: &BTreeSet<usize>) -> Result<Vec<Bounds>, String> {
    let mut found: Vec<Bounds> = Vec::new();
    let most = VALUE_BYTES as u64;
    for column in COLUMN_BYTES {
        let fits = |parameter, pattern| Measure::fits(statement, patterns, Sizes { column, parameter, pattern });
        let next = if fits(most, most) {
            Bounds { column, parameter: most, pattern: most }
        } else {
            let Some(parameter) = largest(LEAST_PARAMETER_BYTES, |size| fits(size, LEAST_PATTERN_BYTES)) else {
                continue;
            };
            let Some(pattern) = largest(LEAST_PATTERN_BYTES, |size| fits(parameter, size)) else { continue };
            Bounds { column, parameter, pattern }
        };
        if found.iter().all(|other| next.allows_more_than(other)) {
            found.push(next);
        }
        if next.parameter == most && next.pattern == most {
            break;
        }
    }
    if found.is_empty() {
        return Err("it has too many functions, or its rows are too long: one row of it could take too long".to_owned());
    }
    Ok(found)
}

/// The largest power of two from `least` to the largest value that fits. A
/// larger one never fits if a smaller one does not.
fn largest(least: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = (least.trailing_zeros(), VALUE_BYTES.trailing_zeros());
    if !fits(1 << low) {
        return None;
    }
    while low < high {
        let middle = (low + high).div_ceil(2);
        if fits(1 << middle) { low = middle } else { high = middle - 1 }
    }
    Some(1 << low)
}

/// The numbers of the parameters inside functions whose time is a product of
/// two lengths.
pub(crate) fn patterns(statement: &Statement) -> BTreeSet<usize> {
    let mut found = Patterns::default();
    let ControlFlow::Continue(()) = statement.visit(&mut found);
    found.numbers
}

#[derive(Default)]
struct Patterns {
    depth: usize,
    numbers: BTreeSet<usize>,
}

impl Visitor for Patterns {
    type Break = std::convert::Infallible;

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Self::Break> {
        self.depth += usize::from(is_product(expression));
        if let Expr::Value(value) = expression
            && let Value::Placeholder(name) = &value.value
            && let Some(number) = super::tokens::placeholder(name)
            && self.depth > 0
        {
            self.numbers.insert(number);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Self::Break> {
        self.depth -= usize::from(is_product(expression));
        ControlFlow::Continue(())
    }
}

/// Whether the time or the result grows with the product of two lengths.
fn is_product(expression: &Expr) -> bool {
    match expression {
        Expr::Like { .. } | Expr::Trim { .. } => true,
        Expr::BinaryOp { op, .. } => {
            matches!(op, BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo)
        }
        Expr::Function(function) => matches!(name(function).as_str(), "ltrim" | "replace" | "rtrim" | "trim"),
        _ => false,
    }
}

/// Whether an expression looks at every byte of its operands. Columns inside of
/// it are checked where their bound requires it.
pub(crate) fn is_costly(expression: &Expr) -> bool {
    match expression {
        Expr::Like { .. } | Expr::Trim { .. } | Expr::Substring { .. } | Expr::Cast { .. } => true,
        Expr::BinaryOp { op, .. } => matches!(
            op,
            BinaryOperator::StringConcat
                | BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
        ),
        Expr::Function(function) => matches!(
            name(function).as_str(),
            "abs"
                | "avg"
                | "concat"
                | "length"
                | "lower"
                | "ltrim"
                | "replace"
                | "round"
                | "rtrim"
                | "string_agg"
                | "substr"
                | "sum"
                | "trim"
                | "upper"
        ),
        _ => false,
    }
}

/// A function's name in lower case.
pub(crate) fn name(function: &Function) -> String {
    function.name.to_string().to_ascii_lowercase()
}

/// The arguments of a function that are expressions.
pub(crate) fn arguments(function: &Function) -> Vec<&Expr> {
    match &function.args {
        FunctionArguments::List(list) => list
            .args
            .iter()
            .filter_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
                _ => None,
            })
            .collect(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
