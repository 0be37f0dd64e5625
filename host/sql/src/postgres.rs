//! A statement that has passed, in PostgreSQL's words: it does there what it
//! does in SQLite.
//!
//! Names are written in lower case and quoted, since SQLite does not tell
//! cases apart and reserves fewer words. Texts are compared by their bytes,
//! nulls come first, and `LIKE` does not tell ASCII's cases apart.

use crate::{
    cost::{VALUE_BYTES, arguments, name},
    guards::{TOO_MANY, call, case, number},
};
use sqlparser::ast::{
    AlterTableOperation, BinaryOperator, CastKind, ColumnDef, ColumnOption, ColumnOptionDef, DataType, ExactNumberInfo,
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, OrderByExpr, OrderBySort,
    Statement, TableConstraint, Value, VisitMut, VisitorMut,
};
use std::{mem, ops::ControlFlow};

/// Compares texts by their bytes.
const COLLATION: &str = "C";

/// The text to execute.
pub(super) fn translate(statement: &Statement) -> String {
    let mut statement = statement.clone();
    let ControlFlow::Continue(()) = statement.visit(&mut Translation);
    match &mut statement {
        Statement::CreateTable(table) => {
            table.columns.iter_mut().for_each(translate_column);
            table.constraints.iter_mut().for_each(translate_constraint);
        }
        Statement::AlterTable(table) => {
            for operation in &mut table.operations {
                if let AlterTableOperation::AddColumn { column_def, .. } = operation {
                    translate_column(column_def);
                }
            }
        }
        _ => {}
    }
    statement.to_string()
}

/// PostgreSQL accepts no direction for the columns of a constraint, and a
/// constraint needs none.
fn translate_constraint(constraint: &mut TableConstraint) {
    let columns = match constraint {
        TableConstraint::PrimaryKey(key) => &mut key.columns,
        TableConstraint::Unique(unique) => &mut unique.columns,
        _ => return,
    };
    for column in columns {
        column.column.options.sort = None;
        column.column.options.nulls_first = None;
    }
}

struct Translation;

impl VisitorMut for Translation {
    type Break = std::convert::Infallible;

    fn pre_visit_ident(&mut self, name: &mut Ident) -> ControlFlow<Self::Break> {
        name.value.make_ascii_lowercase();
        name.quote_style = Some('"');
        ControlFlow::Continue(())
    }

    fn pre_visit_order_by_expr(&mut self, order: &mut OrderByExpr) -> ControlFlow<Self::Break> {
        let descending = matches!(order.options.sort, Some(OrderBySort::Desc));
        order.options.nulls_first.get_or_insert(!descending);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        match expression {
            Expr::Cast { data_type, .. } => {
                translate_type(data_type);
                if *data_type == DataType::Text {
                    replace(expression, by_bytes);
                }
            }
            Expr::Like { negated, expr, pattern, escape_char, .. } => {
                // Without one, PostgreSQL takes a backslash.
                let none = || Box::new(Expr::value(Value::SingleQuotedString(String::new())));
                let like = Expr::ILike {
                    negated: *negated,
                    any: false,
                    expr: mem::replace(expr, none()),
                    pattern: mem::replace(pattern, none()),
                    escape_char: Some(escape_char.take().unwrap_or_else(none)),
                };
                *expression = like;
            }
            Expr::Function(function) => {
                // Some functions are words of the grammar, which have no quotes.
                for name in function.name.0.iter_mut().filter_map(|part| match part {
                    sqlparser::ast::ObjectNamePart::Identifier(name) => Some(name),
                    _ => None,
                }) {
                    name.quote_style = None;
                }
                if name(function) == "string_agg" {
                    let bounded = bounded(function);
                    *expression = bounded;
                } else if translate_function(function) {
                    replace(expression, |rounded| cast(rounded, DataType::DoublePrecision));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// True if what it gives has to be made a real again.
fn translate_function(function: &mut Function) -> bool {
    let name = function.name.to_string().to_ascii_lowercase();
    let FunctionArguments::List(list) = &mut function.args else { return false };
    let mut arguments = list.args.iter_mut().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
        _ => None,
    });
    let Some(first) = arguments.next() else { return false };
    match name.as_str() {
        // By default they know the letters of a language.
        "lower" | "upper" => replace(first, by_bytes),
        "avg" => replace(first, |value| cast(value, DataType::DoublePrecision)),
        // Reals are rounded to the even neighbour, and not to places.
        "round" => replace(first, |value| cast(value, DataType::Numeric(ExactNumberInfo::None))),
        _ => {}
    }
    name == "round"
}

/// `string_agg` with the error of a value that is too long, before a function
/// or the host gets it. PostgreSQL computes the aggregate once, although it
/// stands there twice.
fn bounded(aggregate: &Function) -> Expr {
    let bytes = arguments(aggregate).into_iter().map(|text| call("octet_length", vec![text.clone()]));
    let bytes = bytes.reduce(|one, other| binary(one, BinaryOperator::Plus, other)).unwrap_or_else(|| number(0));
    let mut sum = aggregate.clone();
    if let (Expr::Function(of_bytes), Function { args, name, .. }) = (call("sum", vec![bytes]), &mut sum) {
        (*args, *name) = (of_bytes.args, of_bytes.name);
    }
    let most = number(i64::try_from(VALUE_BYTES).unwrap_or(i64::MAX));
    let too_long = binary(Expr::Function(sum), BinaryOperator::Gt, most);
    let aggregate = Expr::Function(aggregate.clone());
    case(too_long, call("repeat", vec![aggregate.clone(), number(TOO_MANY)]), aggregate)
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn translate_column(column: &mut ColumnDef) {
    translate_type(&mut column.data_type);
    if column.data_type == DataType::Text {
        let option = ColumnOption::Collation(collation());
        column.options.insert(0, ColumnOptionDef { name: None, option });
    }
}

fn translate_type(data_type: &mut DataType) {
    match data_type {
        DataType::Blob(None) => *data_type = DataType::Bytea,
        DataType::Integer(None) => *data_type = DataType::BigInt(None),
        DataType::Double(_) => *data_type = DataType::DoublePrecision,
        _ => {}
    }
}

fn replace(place: &mut Expr, with: impl FnOnce(Expr) -> Expr) {
    let before = mem::replace(place, Expr::value(Value::Null));
    *place = with(before);
}

fn by_bytes(expression: Expr) -> Expr {
    Expr::Collate { expr: Box::new(Expr::Nested(Box::new(expression))), collation: collation() }
}

fn cast(expression: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expression), data_type, format: None }
}

fn collation() -> ObjectName {
    ObjectName::from(Ident::with_quote('"', COLLATION))
}

#[cfg(test)]
mod tests {
    use crate::{permit, permit_migration};
    use host_base::Dialect;

    #[test]
    fn statements_mean_the_same_on_postgres() {
        for (ours, theirs) in [
            ("SELECT Id, t.user FROM Things AS t", r#"SELECT "id", "t"."user" FROM "things" AS "t""#),
            ("SELECT 1 WHERE 'a' LIKE $1", r#"SELECT 1 WHERE 'a' ILIKE $1 ESCAPE ''"#),
            ("SELECT 1 WHERE 'a' NOT LIKE $1 ESCAPE '!'", r#"SELECT 1 WHERE 'a' NOT ILIKE $1 ESCAPE '!'"#),
            ("SELECT lower(a), count(*) FROM t", r#"SELECT lower(("a") COLLATE "C"), count(*) FROM "t""#),
            ("SELECT avg(n) FROM t", r#"SELECT avg(CAST("n" AS DOUBLE PRECISION)) FROM "t""#),
            (
                "SELECT round(d, 2) FROM t",
                r#"SELECT CAST(round(CAST("d" AS NUMERIC), 2) AS DOUBLE PRECISION) FROM "t""#,
            ),
            (
                "SELECT a FROM t ORDER BY a, b DESC",
                r#"SELECT "a" FROM "t" ORDER BY "a" NULLS FIRST, "b" DESC NULLS LAST"#,
            ),
            (
                "SELECT cast(a AS BLOB), cast(n AS TEXT) FROM t",
                r#"SELECT CAST("a" AS BYTEA), (CAST("n" AS TEXT)) COLLATE "C" FROM "t""#,
            ),
        ] {
            let permitted = permit(Dialect::Postgres, ours).unwrap();
            let sizes = std::iter::repeat_n(1, permitted.parameters);
            assert_eq!(&**permitted.sql(sizes).unwrap(), theirs);
        }
    }

    #[test]
    fn migrations_mean_the_same_on_postgres() {
        let sql = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, n INTEGER DEFAULT 4, b BLOB, d DOUBLE);
            CREATE INDEX i ON t (n DESC, d) WHERE n > 1; ALTER TABLE t ADD COLUMN more TEXT;
            CREATE TABLE k (a TEXT, b BLOB, n BIGINT, PRIMARY KEY (a, b DESC), UNIQUE (n, a))";
        assert_eq!(
            permit_migration(Dialect::Postgres, sql).unwrap(),
            [
                r#"CREATE TABLE "t" ("id" TEXT COLLATE "C" NOT NULL PRIMARY KEY, "n" BIGINT DEFAULT 4, "b" BYTEA, "d" DOUBLE PRECISION)"#,
                r#"CREATE INDEX "i" ON "t"("n" DESC NULLS LAST, "d" NULLS FIRST) WHERE "n" > 1"#,
                r#"ALTER TABLE "t" ADD COLUMN "more" TEXT COLLATE "C""#,
                r#"CREATE TABLE "k" ("a" TEXT COLLATE "C", "b" BYTEA, "n" BIGINT, PRIMARY KEY ("a", "b"), UNIQUE ("n", "a"))"#,
            ]
        );
    }
}
