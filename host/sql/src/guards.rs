//! Checks in a statement itself: a column inside a costly expression that is
//! longer than its bound ends the statement with an error.

use super::cost::{is_costly, name};
use host_base::Dialect;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Select, SelectItem, Statement, Value, VisitMut, VisitorMut,
    helpers::attached_token::AttachedToken,
};
use std::{convert::Infallible, mem, ops::ControlFlow};

/// More bytes than a value may have in either engine.
pub(super) const TOO_MANY: i64 = 2_000_000_000;

/// A statement that checks its columns.
pub(super) fn guarded(dialect: Dialect, statement: &Statement, column_bytes: u64) -> Statement {
    let mut statement = statement.clone();
    let ControlFlow::Continue(()) = statement.visit(&mut Guards { dialect, column_bytes, costly: 0 });
    statement
}

/// Makes SQLite go from row to row where it has a shortcut that looks at no
/// deadline: it deletes or counts all rows in one step if there is no
/// condition.
pub(super) fn without_shortcuts(mut statement: Statement) -> Statement {
    let ControlFlow::Continue(()) = statement.visit(&mut Shortcuts);
    statement
}

struct Shortcuts;

impl VisitorMut for Shortcuts {
    type Break = Infallible;

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<Infallible> {
        if let Statement::Delete(delete) = statement {
            delete.selection.get_or_insert_with(always);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Infallible> {
        let counts = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(Expr::Function(function))
            | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. } => name(function) == "count",
            _ => false,
        };
        if !select.from.is_empty() && select.projection.iter().any(counts) {
            select.selection.get_or_insert_with(always);
        }
        ControlFlow::Continue(())
    }
}

fn always() -> Expr {
    Expr::value(Value::Boolean(true))
}

struct Guards {
    dialect: Dialect,
    column_bytes: u64,
    costly: usize,
}

impl VisitorMut for Guards {
    type Break = Infallible;

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Infallible> {
        self.costly += usize::from(is_costly(expression));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Infallible> {
        self.costly -= usize::from(is_costly(expression));
        if self.costly > 0 && matches!(expression, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            let column = mem::replace(expression, Expr::value(Value::Null));
            *expression = self.guard(column);
        }
        ControlFlow::Continue(())
    }
}

impl Guards {
    fn guard(&self, column: Expr) -> Expr {
        let most = number(i64::try_from(self.column_bytes).unwrap_or(i64::MAX));
        match self.dialect {
            // CASE WHEN octet_length(c) > 65536 THEN zeroblob(2000000000) ELSE c END
            Dialect::Sqlite => {
                let too_long = longer_than(column.clone(), most);
                case(too_long, call("zeroblob", vec![number(TOO_MANY)]), column)
            }
            // The result has the type of the column. The error is that of a
            // value which is too long, and depends on the column, so that the
            // planner does not compute it beforehand.
            Dialect::Postgres => {
                let text = cast(column.clone());
                let error = Expr::IsNull(Box::new(call("repeat", vec![text.clone(), number(TOO_MANY)])));
                let fails = Expr::BinaryOp {
                    left: Box::new(longer_than(text, most)),
                    op: BinaryOperator::And,
                    right: Box::new(error),
                };
                case(fails, Expr::value(Value::Null), column)
            }
        }
    }
}

fn longer_than(text: Expr, most: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(call("octet_length", vec![text])), op: BinaryOperator::Gt, right: Box::new(most) }
}

/// A condition and its two results.
pub(super) fn case(condition: Expr, result: Expr, otherwise: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: Some(Box::new(otherwise)),
    }
}

fn cast(expression: Expr) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expression), data_type: DataType::Text, format: None }
}

/// A number as it stands in a statement.
pub(super) fn number(number: i64) -> Expr {
    Expr::value(Value::Number(number.to_string(), false))
}

/// The call of a function of the engine.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect();
    Expr::Function(Function {
        name: ObjectName::from(Ident::new(name)),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
