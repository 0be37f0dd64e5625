//! A connection whose statements end at a deadline.
//!
//! SQLite calls back every so many steps of its virtual machine, and stops
//! when the answer is no. A statement whose caller is gone ends there too.

use super::{
    super::{Error, Rows, Value, gate::value_bytes},
    Limits,
    errors::Failure,
};
use futures::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection as _, Decode, Executor, FromRow, Row, SqlSafeStr, Sqlite,
    SqliteConnection, Statement, TypeInfo, ValueRef,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow},
};
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

const STEPS_BETWEEN_LOOKS_AT_THE_CLOCK: i32 = 1_000;
const NO_DEADLINE: u64 = u64::MAX;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn clock_ms() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(NO_DEADLINE)
}

/// One connection to a component's file.
pub(super) struct Connection {
    inner: SqliteConnection,
    deadline_ms: Arc<AtomicU64>,
}

impl Connection {
    pub(super) async fn open(options: &SqliteConnectOptions) -> Result<Self, Failure> {
        let mut inner = options.connect().await?;
        let deadline_ms = Arc::new(AtomicU64::new(NO_DEADLINE));
        let seen = deadline_ms.clone();
        inner
            .lock_handle()
            .await?
            .set_progress_handler(STEPS_BETWEEN_LOOKS_AT_THE_CLOCK, move || clock_ms() < seen.load(Ordering::Relaxed));
        Ok(Self { inner, deadline_ms })
    }

    /// Runs statements of the host's own that must not be cut off.
    pub(super) async fn control(&mut self, sql: &'static str) -> Result<(), Failure> {
        self.deadline_ms.store(NO_DEADLINE, Ordering::Relaxed);
        sqlx::query(sql).execute(&mut self.inner).await?;
        Ok(())
    }

    /// Runs one statement for its rows.
    pub(super) async fn rows(
        &mut self,
        sql: &Arc<str>,
        parameters: Vec<Value>,
        limits: &Limits,
    ) -> Result<Rows, Failure> {
        self.stop_after(limits.statement_ms);
        let mut columns = Vec::new();
        let mut rows = Vec::new();
        let mut bytes = 0;
        {
            let mut stream =
                sqlx::query_with(AssertSqlSafe(sql.clone()), arguments(parameters)?).fetch(&mut self.inner);
            while let Some(row) = stream.try_next().await? {
                if rows.len() == limits.result_rows {
                    return Err(too_much(format!("a result of more than {} rows", limits.result_rows)));
                }
                if rows.is_empty() {
                    columns = names(row.columns());
                }
                let values = values(&row)?;
                bytes += values.iter().map(value_bytes).sum::<usize>();
                if bytes > limits.result_bytes {
                    return Err(too_much(format!("a result of more than {} bytes", limits.result_bytes)));
                }
                rows.push(values);
            }
        }
        if rows.is_empty() {
            let prepared = (&mut self.inner).prepare(AssertSqlSafe(sql.clone()).into_sql_str()).await?;
            columns = names(prepared.columns());
        }
        Ok(Rows { columns, rows })
    }

    /// Runs one statement for the number of rows that it changes.
    pub(super) async fn execute(
        &mut self,
        sql: &Arc<str>,
        parameters: Vec<Value>,
        statement_ms: u64,
    ) -> Result<u64, Failure> {
        self.stop_after(statement_ms);
        let done =
            sqlx::query_with(AssertSqlSafe(sql.clone()), arguments(parameters)?).execute(&mut self.inner).await?;
        Ok(done.rows_affected())
    }

    /// Reads rows of the host's own tables.
    pub(super) async fn typed<T>(
        &mut self,
        sql: &'static str,
        first: i64,
        second: i64,
        statement_ms: u64,
    ) -> Result<Vec<T>, Failure>
    where
        T: for<'row> FromRow<'row, SqliteRow> + Send + Unpin,
    {
        self.stop_after(statement_ms);
        Ok(sqlx::query_as(sql).bind(first).bind(second).fetch_all(&mut self.inner).await?)
    }

    /// Ends the statement that is under way, if it only reads.
    pub(super) fn interrupt(&self) {
        self.deadline_ms.store(0, Ordering::Relaxed);
    }

    /// Waits for the end of whatever is under way.
    pub(super) async fn idle(&mut self) -> Result<(), Failure> {
        Ok(self.inner.ping().await?)
    }

    pub(super) async fn forget_statements(&mut self) -> Result<(), Failure> {
        Ok(self.inner.clear_cached_statements().await?)
    }

    pub(super) async fn close(self) {
        if let Err(error) = self.inner.close().await {
            tracing::warn!(%error, "closing a database");
        }
    }

    fn stop_after(&self, statement_ms: u64) {
        self.deadline_ms.store(clock_ms().saturating_add(statement_ms), Ordering::Relaxed);
    }
}

fn too_much(text: String) -> Failure {
    Failure::statement(Error::Limit(text))
}

fn names<C: Column>(columns: &[C]) -> Vec<String> {
    columns.iter().map(|column| column.name().to_owned()).collect()
}

fn arguments(parameters: Vec<Value>) -> Result<SqliteArguments, Failure> {
    use sqlx::Arguments;
    let mut arguments = SqliteArguments::default();
    for parameter in parameters {
        match parameter {
            Value::Null => arguments.add(None::<i64>),
            Value::Integer(integer) => arguments.add(integer),
            Value::Real(real) => arguments.add(real),
            Value::Text(text) => arguments.add(text),
            Value::Blob(bytes) => arguments.add(bytes),
        }
        .map_err(|error| Failure::statement(Error::Invalid(error.to_string())))?;
    }
    Ok(arguments)
}

/// The values as they are stored, whatever the columns were declared as.
fn values(row: &SqliteRow) -> Result<Vec<Value>, Failure> {
    (0..row.len()).map(|index| Ok(value(row, index)?)).collect()
}

fn value(row: &SqliteRow, index: usize) -> sqlx::Result<Value> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let stored = raw.type_info();
    match stored.name() {
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(raw).map(Value::Integer),
        "REAL" => <f64 as Decode<Sqlite>>::decode(raw).map(Value::Real),
        "TEXT" => <String as Decode<Sqlite>>::decode(raw).map(Value::Text),
        "BLOB" => <Vec<u8> as Decode<Sqlite>>::decode(raw).map(Value::Blob),
        other => Err(format!("the storage class {other} is unknown").into()),
    }
    .map_err(sqlx::Error::Decode)
}
