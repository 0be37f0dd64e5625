//! Statements of a component on a connection of its role.

use super::{
    errors::{Failure, Recovery},
    values::{arguments, is_long, type_of, value},
};
use crate::{
    Error, Rows, Value,
    limits::{LimitedRows, Limits},
};
use futures::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column, Connection, Either, Executor, PgConnection, Row, SqlSafeStr, Statement,
    postgres::{PgStatement, PgTypeInfo},
};
use std::sync::Arc;

/// A permitted statement and its parameters.
#[derive(Clone)]
pub(super) struct BoundStatement {
    pub(super) sql: Arc<str>,
    pub(super) parameters: Vec<Value>,
}

/// The most columns of texts and bytes in a result. The driver reads a whole row
/// before the host can count it, and PostgreSQL does not bound a row.
const LONG_COLUMNS: usize = 32;

/// Runs a statement and returns its rows.
pub(super) async fn rows(
    connection: &mut PgConnection,
    statement: BoundStatement,
    recovery: Option<Recovery>,
    limits: &Limits,
) -> Result<Rows, Failure> {
    let prepared = prepare(connection, &statement, recovery).await?;
    if prepared.columns().iter().filter(|column| is_long(column.type_info())).count() > LONG_COLUMNS {
        let error = format!("a result of more than {LONG_COLUMNS} columns of texts or bytes");
        return Err(Failure::statement(Error::Limit(error)));
    }
    let columns = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
    let arguments = arguments(statement.parameters, types(&prepared))?;
    let mut stream = sqlx::query_with(AssertSqlSafe(statement.sql), arguments).fetch(connection);
    let mut rows = LimitedRows::new(limits);
    while let Some(row) = stream.try_next().await? {
        rows.push(row.len(), |column| Ok(value(row.try_get_raw(column)?)?), Failure::statement)?;
    }
    Ok(rows.with_columns(columns))
}

/// Runs a statement and returns the number of rows that it changed.
pub(super) async fn execute(
    connection: &mut PgConnection,
    statement: BoundStatement,
    recovery: Option<Recovery>,
) -> Result<u64, Failure> {
    let prepared = prepare(connection, &statement, recovery).await?;
    let arguments = arguments(statement.parameters, types(&prepared))?;
    Ok(sqlx::query_with(AssertSqlSafe(statement.sql), arguments).execute(connection).await?.rows_affected())
}

/// Asks PostgreSQL for the types of the parameters, once per connection.
async fn prepare(
    connection: &mut PgConnection,
    statement: &BoundStatement,
    recovery: Option<Recovery>,
) -> Result<PgStatement, Failure> {
    if recovery == Some(Recovery::PrepareAgain) {
        connection.clear_cached_statements().await?;
    }
    let types: Vec<PgTypeInfo> = match recovery {
        Some(Recovery::DeclareTypes) => statement.parameters.iter().map(type_of).collect(),
        _ => Vec::new(),
    };
    Ok(connection.prepare_with(AssertSqlSafe(statement.sql.clone()).into_sql_str(), &types).await?)
}

fn types(statement: &PgStatement) -> &[PgTypeInfo] {
    match statement.parameters() {
        Some(Either::Left(types)) => types,
        _ => &[],
    }
}
