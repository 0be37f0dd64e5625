//! The connection that writes. It ends each statement at a deadline.
//!
//! SQLite calls the progress handler after a number of steps of its virtual
//! machine, and ends the statement when the handler says so. The gate bounds the
//! time of one step, because nothing ends a step. A statement whose caller was
//! dropped ends there too.

use super::{
    errors::Failure,
    native::{self, RemainingBytes},
    values::{arguments, value},
};
use crate::{
    Error, Rows, Value,
    limits::{LimitedRows, Limits},
};
use futures::TryStreamExt;
use host_sql::VALUE_BYTES;
use rustix::time::{ClockId, clock_gettime};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection as _, Executor, Row, SqlSafeStr, SqliteConnection, Statement,
    sqlite::SqliteConnectOptions,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A few rows of the shortest loop.
const STEPS_BETWEEN_CLOCK_READS: i32 = 50;
const NO_DEADLINE: u64 = u64::MAX;
/// The time in which a statement ends that nobody waits for.
const CUT_OFF_MS: u64 = 400;

/// A clock that is cheap to read and exact to a few milliseconds.
fn clock_ms() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = ClockId::MonotonicCoarse;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let now = clock_gettime(clock);
    let (seconds, nanoseconds) = (now.tv_sec.cast_unsigned(), now.tv_nsec.cast_unsigned());
    seconds.saturating_mul(1_000).saturating_add(nanoseconds / 1_000_000)
}

/// A connection to a component's file.
pub(super) struct Connection {
    /// The component's name, for the log.
    component: String,
    inner: SqliteConnection,
    deadline_ms: Arc<AtomicU64>,
    remaining_bytes: RemainingBytes,
}

impl Connection {
    pub(super) async fn open(options: &SqliteConnectOptions) -> Result<Self, Failure> {
        let mut inner = options.connect().await?;
        let deadline_ms = Arc::new(AtomicU64::new(NO_DEADLINE));
        let deadline = deadline_ms.clone();
        let remaining_bytes = RemainingBytes::default();
        let mut handle = inner.lock_handle().await?;
        handle.set_progress_handler(STEPS_BETWEEN_CLOCK_READS, move || clock_ms() < deadline.load(Ordering::Relaxed));
        native::limit(&mut handle, VALUE_BYTES, &remaining_bytes)
            .map_err(|problem| Failure::transaction(Error::Unavailable(problem.to_owned())))?;
        drop(handle);
        Ok(Self { component: component_of(options), inner, deadline_ms, remaining_bytes })
    }

    /// Runs statements of the host without a deadline.
    pub(super) async fn control(&mut self, sql: &'static str) -> Result<(), Failure> {
        self.deadline_ms.store(NO_DEADLINE, Ordering::Relaxed);
        self.remaining_bytes.set(u64::MAX);
        sqlx::query(sql).execute(&mut self.inner).await?;
        Ok(())
    }

    /// Sets the largest size of the file.
    pub(super) async fn set_max_pages(&mut self, pages: u64) -> Result<(), Failure> {
        self.deadline_ms.store(NO_DEADLINE, Ordering::Relaxed);
        let sql = format!("PRAGMA max_page_count = {pages}");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut self.inner).await?;
        Ok(())
    }

    /// Runs a statement and returns its rows.
    pub(super) async fn rows(
        &mut self,
        sql: &Arc<str>,
        parameters: Vec<Value>,
        limits: &Limits,
    ) -> Result<Rows, Failure> {
        self.begin(limits.statement_ms, limits.result_bytes as u64);
        let mut columns = Vec::new();
        let mut rows = LimitedRows::new(limits);
        {
            let query = sqlx::query_with(AssertSqlSafe(sql.clone()), arguments(parameters)?);
            let mut stream = query.fetch(&mut self.inner);
            while let Some(row) = stream.try_next().await? {
                if rows.is_empty() {
                    columns = names(row.columns());
                }
                rows.push(row.len(), |column| Ok(value(&row, column)?), Failure::statement)?;
            }
        }
        if rows.is_empty() {
            let prepared = (&mut self.inner).prepare(AssertSqlSafe(sql.clone()).into_sql_str()).await?;
            columns = names(prepared.columns());
        }
        Ok(rows.with_columns(columns))
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub(super) async fn execute(
        &mut self,
        sql: &Arc<str>,
        parameters: Vec<Value>,
        statement_ms: u64,
    ) -> Result<u64, Failure> {
        self.begin(statement_ms, u64::MAX);
        let query = sqlx::query_with(AssertSqlSafe(sql.clone()), arguments(parameters)?);
        Ok(query.execute(&mut self.inner).await?.rows_affected())
    }

    /// Gives the statement that runs a short time to end.
    pub(super) fn cut_off(&self) {
        self.deadline_ms.fetch_min(clock_ms().saturating_add(CUT_OFF_MS), Ordering::Relaxed);
    }

    /// Waits until no statement runs.
    pub(super) async fn wait_until_idle(&mut self) -> Result<(), Failure> {
        Ok(self.inner.ping().await?)
    }

    pub(super) async fn clear_prepared_statements(&mut self) -> Result<(), Failure> {
        Ok(self.inner.clear_cached_statements().await?)
    }

    pub(super) async fn close(self) {
        if let Err(error) = self.inner.close().await {
            tracing::warn!(component = self.component, %error, "a connection to the component's database did not close");
        }
    }

    fn begin(&self, statement_ms: u64, result_bytes: u64) {
        self.deadline_ms.store(clock_ms().saturating_add(statement_ms), Ordering::Relaxed);
        self.remaining_bytes.set(result_bytes);
    }
}

/// The component whose file it is.
pub(super) fn component_of(options: &SqliteConnectOptions) -> String {
    options.get_filename().file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn names<C: Column>(columns: &[C]) -> Vec<String> {
    columns.iter().map(|column| column.name().to_owned()).collect()
}
