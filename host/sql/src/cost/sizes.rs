//! The largest sizes of a statement's expressions and rows, and the bytes that
//! an engine looks at to compute them.

use super::{VALUE_BYTES, arguments, is_costly, name, rows::RowSize};
use crate::tokens::placeholder;
use sqlparser::ast::{
    Assignment, BinaryOperator, DataType, Expr, Function, OnConflictAction, OnInsert, Query, Statement, Value, Visit,
    Visitor,
};
use std::{
    collections::{BTreeSet, HashMap},
    ops::ControlFlow,
    ptr::from_ref,
};

/// The bytes that an engine may look at between two looks at the deadline. This
/// is a few hundredths of a second.
const WORK_BYTES: u64 = 40_000_000;
/// The longest value inside an expression.
const TEMPORARY_BYTES: u64 = 16 << 20;
/// The longest row of a query.
pub(super) const ROW_BYTES: u64 = 32 << 20;
/// The longest row of `RETURNING`.
const RETURNED_ROW_BYTES: u64 = 4 << 20;

const VALUE: u64 = VALUE_BYTES as u64;
/// A number as text.
pub(super) const NUMBER: Size = Size { bytes: 32, digits: 24 };
/// A sum of integers has more digits than an integer.
const SUM: Size = Size { bytes: 64, digits: 48 };
/// The digits of the largest real.
const REAL_DIGITS: u64 = 310;
/// The digits of a quotient behind the point, at most.
const FRACTION_DIGITS: u64 = 1_000;
/// How much less a comparison costs than a loop over letters.
const COMPARED_AT_ONCE: u64 = 16;

/// The sizes of the values that a statement does not contain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// A column inside a costly expression.
    pub(super) column: u64,
    pub(super) parameter: u64,
    pub(super) pattern: u64,
}

/// The largest size of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) bytes: u64,
    /// As a number.
    digits: u64,
}

/// Measures the expressions from the innermost to the outermost.
pub(super) struct Measure<'a> {
    sizes: Sizes,
    patterns: &'a BTreeSet<usize>,
    expressions: HashMap<*const Expr, Size>,
    pub(super) queries: HashMap<*const Query, RowSize>,
    /// How many costly expressions the current one is inside of.
    costly: usize,
    /// The widest row of a query that has a name.
    pub(super) widest: u64,
    work: u64,
}

/// The statement costs too much.
pub(super) struct Excess;

impl<'a> Measure<'a> {
    /// Whether a statement is cheap enough with values of these sizes.
    pub(super) fn fits(statement: &Statement, patterns: &'a BTreeSet<usize>, sizes: Sizes) -> bool {
        let mut measure = Self {
            sizes,
            patterns,
            expressions: HashMap::new(),
            queries: HashMap::new(),
            costly: 0,
            widest: VALUE,
            work: 0,
        };
        statement.visit(&mut measure).is_continue()
    }

    pub(super) fn of(&self, expression: &Expr) -> Size {
        self.expressions.get(&from_ref(expression)).copied().unwrap_or(Size { bytes: VALUE, digits: VALUE })
    }

    pub(super) fn bytes(&self, expression: &Expr) -> u64 {
        self.of(expression).bytes
    }

    fn work(&mut self, bytes: u64) {
        self.work = self.work.saturating_add(bytes);
    }

    fn compare(&mut self, one: &Expr, other: &Expr) -> Size {
        self.work(self.bytes(one).min(self.bytes(other)) / COMPARED_AT_ONCE + 1);
        NUMBER
    }

    fn measure(&mut self, expression: &Expr) -> Size {
        match expression {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                Size { bytes: if self.costly > 0 { self.sizes.column } else { VALUE }, digits: NUMBER.digits }
            }
            Expr::Value(value) => self.literal(&value.value),
            Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => self.of(inner),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::IsDistinctFrom(one, other) | Expr::IsNotDistinctFrom(one, other) => self.compare(one, other),
            Expr::Between { expr, low, high, .. } => {
                self.compare(expr, low);
                self.compare(expr, high)
            }
            Expr::InList { expr, list, .. } => {
                for item in list {
                    self.compare(expr, item);
                }
                NUMBER
            }
            Expr::Like { expr, pattern, .. } => {
                let (text, pattern) = (self.bytes(expr), self.bytes(pattern));
                self.work(text.saturating_mul(pattern.saturating_mul(2).saturating_add(2)));
                NUMBER
            }
            Expr::Trim { expr, trim_what, trim_characters, .. } => {
                let letters = trim_what.iter().map(|what| &**what).chain(trim_characters.iter().flatten());
                let letters = letters.map(|letters| self.bytes(letters)).max();
                self.trim(self.of(expr), letters)
            }
            Expr::Substring { expr, substring_for, .. } => self.part(self.of(expr), substring_for.as_deref()),
            Expr::Cast { expr, data_type, .. } => {
                let size = self.of(expr);
                self.work(size.bytes);
                match data_type {
                    DataType::Text | DataType::Blob(_) => Size { bytes: size.bytes.max(size.digits), ..NUMBER },
                    _ => NUMBER,
                }
            }
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
                let size = self.largest(results);
                self.work(size.bytes / COMPARED_AT_ONCE);
                size
            }
            Expr::Function(function) => self.function(function),
            Expr::Subquery(query) => self.query(query).value,
            Expr::Tuple(items) => {
                Size { bytes: items.iter().fold(0, |sum, item| sum.saturating_add(self.bytes(item))), ..NUMBER }
            }
            // Truths, and the `*` of `count(*)`.
            _ => {
                self.work(1);
                NUMBER
            }
        }
    }

    fn literal(&self, value: &Value) -> Size {
        match value {
            Value::SingleQuotedString(text) => Size { bytes: length(text), ..NUMBER },
            Value::Number(number, _) => {
                let digits = digits(number);
                Size { bytes: digits, digits }
            }
            Value::Placeholder(name) => {
                let is_pattern = placeholder(name).is_some_and(|number| self.patterns.contains(&number));
                let bytes = if is_pattern { self.sizes.pattern } else { self.sizes.parameter };
                Size { bytes: bytes.max(NUMBER.bytes), digits: REAL_DIGITS }
            }
            _ => NUMBER,
        }
    }

    fn binary(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Size {
        let (one, other) = (self.of(left), self.of(right));
        let both = one.bytes.saturating_add(other.bytes);
        let digits = match op {
            BinaryOperator::StringConcat => {
                self.work(both);
                return Size { bytes: both, ..NUMBER };
            }
            BinaryOperator::Plus | BinaryOperator::Minus => one.digits.max(other.digits).saturating_add(1),
            BinaryOperator::Multiply => one.digits.saturating_add(other.digits),
            BinaryOperator::Divide | BinaryOperator::Modulo => {
                one.digits.saturating_add(other.digits).saturating_add(FRACTION_DIGITS)
            }
            _ => return self.compare(left, right),
        };
        // A text is converted to a number first. A product takes as long as the
        // product of the numbers of digits, in groups of four.
        self.work(both.saturating_add(one.digits.saturating_mul(other.digits) / 16));
        Size { bytes: digits.max(NUMBER.bytes), digits }
    }

    fn trim(&mut self, text: Size, letters: Option<u64>) -> Size {
        self.work(text.bytes.saturating_mul(letters.map_or(1, |letters| letters.saturating_mul(4).saturating_add(1))));
        text
    }

    fn part(&mut self, text: Size, length: Option<&Expr>) -> Size {
        self.work(text.bytes);
        let most = length.and_then(|length| match length {
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => number.parse::<u64>().ok(),
                _ => None,
            },
            _ => None,
        });
        // A letter has at most four bytes.
        Size { bytes: most.map_or(text.bytes, |letters| text.bytes.min(letters.saturating_mul(4))), ..text }
    }

    fn function(&mut self, function: &Function) -> Size {
        let given = arguments(function);
        let first = given.first().map_or(NUMBER, |argument| self.of(argument));
        let all = given.iter().fold(0_u64, |sum, argument| sum.saturating_add(self.bytes(argument)));
        match name(function).as_str() {
            "abs" | "round" | "length" => {
                self.work(all);
                Size { digits: first.digits.max(NUMBER.digits), ..NUMBER }
            }
            "avg" | "sum" => {
                self.work(all);
                SUM
            }
            "lower" | "upper" => {
                self.work(all.saturating_mul(2));
                first
            }
            "concat" => {
                self.work(all);
                Size { bytes: all, ..NUMBER }
            }
            "ltrim" | "rtrim" | "trim" => {
                let letters = given.get(1).map(|letters| self.bytes(letters));
                self.trim(first, letters)
            }
            "replace" => self.replace(&given),
            "substr" => self.part(first, given.get(2).copied()),
            "string_agg" => {
                self.work(all.saturating_add(VALUE));
                Size { bytes: VALUE, ..NUMBER }
            }
            "coalesce" | "first_value" | "lag" | "last_value" | "lead" | "max" | "min" | "nth_value" | "nullif" => {
                self.work(all / 4);
                self.largest(given.into_iter())
            }
            _ => {
                self.work(1);
                NUMBER
            }
        }
    }

    fn replace(&mut self, given: &[&Expr]) -> Size {
        let [text, wanted, with] = given else { return NUMBER };
        let least = match wanted {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) => length(text).max(1),
                _ => 1,
            },
            _ => 1,
        };
        let (text, with) = (self.bytes(text), self.bytes(with));
        let grown = if with > least { (text / least).saturating_mul(with) } else { 0 };
        let bytes = text.saturating_add(grown);
        self.work(text.saturating_mul(self.bytes(wanted)).saturating_add(bytes));
        Size { bytes, ..NUMBER }
    }

    pub(super) fn largest<'e>(&self, expressions: impl Iterator<Item = &'e Expr>) -> Size {
        expressions.map(|expression| self.of(expression)).fold(NUMBER, Size::max)
    }

    fn check(&self, fits: bool) -> ControlFlow<Excess> {
        if fits && self.work <= WORK_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(Excess) }
    }

    fn check_assignments(&self, assignments: &[Assignment]) -> ControlFlow<Excess> {
        self.check(assignments.iter().all(|assignment| self.bytes(&assignment.value) <= VALUE))
    }
}

impl Visitor for Measure<'_> {
    type Break = Excess;

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Excess> {
        self.costly += usize::from(is_costly(expression));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Excess> {
        let size = self.measure(expression);
        self.costly -= usize::from(is_costly(expression));
        self.expressions.insert(from_ref(expression), size);
        self.check(size.bytes <= TEMPORARY_BYTES)
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<Excess> {
        let size = self.body(&query.body);
        self.queries.insert(from_ref(query), size);
        // Another query may select from it by a name.
        self.widest = self.widest.max(size.row);
        self.check(size.row <= ROW_BYTES && size.value.bytes <= VALUE)
    }

    fn post_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Excess> {
        let returning = match statement {
            Statement::Insert(insert) => {
                if let Some(OnInsert::OnConflict(on)) = &insert.on
                    && let OnConflictAction::DoUpdate(update) = &on.action
                {
                    self.check_assignments(&update.assignments)?;
                }
                &insert.returning
            }
            Statement::Update(update) => {
                self.check_assignments(&update.assignments)?;
                &update.returning
            }
            Statement::Delete(delete) => &delete.returning,
            _ => &None,
        };
        let returned = returning.as_ref().map_or(0, |items| self.items(items, VALUE).row);
        self.check(returned <= RETURNED_ROW_BYTES)
    }
}

impl Size {
    pub(super) fn max(self, other: Self) -> Self {
        Self { bytes: self.bytes.max(other.bytes), digits: self.digits.max(other.digits) }
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// The digits of a number when it is written without an exponent.
fn digits(number: &str) -> u64 {
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let exponent = exponent.trim_start_matches(['+', '-']).parse::<u64>().unwrap_or(u64::MAX);
    length(digits).saturating_add(exponent)
}
