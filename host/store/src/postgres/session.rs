//! Statements of a component on a connection of its own role.

use super::{
    super::{Error, Rows, Value, gate::value_bytes},
    Limits,
    errors::{Failure, Remedy},
    values::{arguments, hint, values},
};
use futures::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column, Connection, Either, Executor, PgConnection, SqlSafeStr, Statement,
    postgres::{PgStatement, PgTypeInfo},
};
use std::sync::Arc;

/// What to do with a statement.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) sql: Arc<str>,
    pub(super) parameters: Vec<Value>,
}

/// Runs it for its rows.
pub(super) async fn rows(
    connection: &mut PgConnection,
    work: Work,
    remedy: Option<Remedy>,
    limits: &Limits,
) -> Result<Rows, Failure> {
    let statement = prepare(connection, &work, remedy).await?;
    let columns = statement.columns().iter().map(|column| column.name().to_owned()).collect();
    let arguments = arguments(work.parameters, types(&statement))?;
    let mut stream = sqlx::query_with(AssertSqlSafe(work.sql), arguments).fetch(connection);
    let mut rows = Vec::new();
    let mut bytes = 0;
    while let Some(row) = stream.try_next().await? {
        if rows.len() == limits.result_rows {
            return Err(too_much(format!("a result of more than {} rows", limits.result_rows)));
        }
        let values = values(&row)?;
        bytes += values.iter().map(value_bytes).sum::<usize>();
        if bytes > limits.result_bytes {
            return Err(too_much(format!("a result of more than {} bytes", limits.result_bytes)));
        }
        rows.push(values);
    }
    Ok(Rows { columns, rows })
}

/// Runs it for the number of rows that it changes.
pub(super) async fn execute(connection: &mut PgConnection, work: Work, remedy: Option<Remedy>) -> Result<u64, Failure> {
    let statement = prepare(connection, &work, remedy).await?;
    let arguments = arguments(work.parameters, types(&statement))?;
    Ok(sqlx::query_with(AssertSqlSafe(work.sql), arguments).execute(connection).await?.rows_affected())
}

/// Asks PostgreSQL once for each connection what the parameters are.
async fn prepare(connection: &mut PgConnection, work: &Work, remedy: Option<Remedy>) -> Result<PgStatement, Failure> {
    if remedy == Some(Remedy::Prepare) {
        connection.clear_cached_statements().await?;
    }
    let hints: Vec<PgTypeInfo> = match remedy {
        Some(Remedy::Types) => work.parameters.iter().map(hint).collect(),
        _ => Vec::new(),
    };
    Ok(connection.prepare_with(AssertSqlSafe(work.sql.clone()).into_sql_str(), &hints).await?)
}

fn types(statement: &PgStatement) -> &[PgTypeInfo] {
    match statement.parameters() {
        Some(Either::Left(types)) => types,
        _ => &[],
    }
}

fn too_much(text: String) -> Failure {
    Failure::statement(Error::Limit(text))
}
