//! A connection to the file of a component. It works in the thread that uses it.
//!
//! SQLite calls the progress handler after a number of steps of its virtual
//! machine, and ends the statement when the time of the statement is over. The gate bounds the
//! time of one step, because nothing ends a step.

use super::{CACHED_STATEMENTS, PAGE_BYTES, WAL_BYTES, errors::Failure};
use crate::{
    Error, Rows, Value,
    limits::{LimitedRows, Limits},
};
use host_sql::VALUE_BYTES;
use rusqlite::{OpenFlags, Row, Statement, limits::Limit, types::Null, types::ValueRef};
use std::{
    path::Path,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A few rows of the shortest loop.
const STEPS_BETWEEN_CLOCK_READS: i32 = 50;
const NO_DEADLINE: u64 = u64::MAX;
/// The longest wait for a lock while the file is opened.
const OPEN_WAIT: Duration = Duration::from_secs(5);

/// When the statement of a connection ends, in microseconds since the first use of
/// this clock.
#[derive(Debug, Clone)]
pub(super) struct Deadline(Arc<AtomicU64>);

impl Deadline {
    /// Gives the next statement this time. None is as long as it needs.
    pub(super) fn set(&self, time: Option<Duration>) {
        self.0.store(time.map_or(NO_DEADLINE, end_of), Relaxed);
    }

    /// Gives the statement that runs no more than this time.
    pub(super) fn cut_off_after(&self, time: Duration) {
        self.0.fetch_min(end_of(time), Relaxed);
    }

    fn is_over(&self) -> bool {
        now_us() >= self.0.load(Relaxed)
    }
}

fn now_us() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn end_of(time: Duration) -> u64 {
    now_us().saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// A connection to a component's file.
pub(super) struct Connection {
    inner: rusqlite::Connection,
    deadline: Deadline,
}

impl Connection {
    /// Opens a file that exists, to read only.
    pub(super) fn open_to_read(path: &Path) -> Result<Self, Failure> {
        let connection = Self::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.inner.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF")?;
        Ok(connection)
    }

    /// Opens the file, and creates it if it does not exist. An acknowledged commit survives a
    /// power loss.
    pub(super) fn open_to_write(path: &Path, limits: &Limits) -> Result<Self, Failure> {
        let connection = Self::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        connection.inner.execute_batch(&format!(
            "PRAGMA page_size = {PAGE_BYTES};
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = {WAL_BYTES};
             PRAGMA trusted_schema = OFF"
        ))?;
        connection.set_max_pages((limits.database_bytes / u64::from(PAGE_BYTES)).max(1))?;
        Ok(connection)
    }

    fn open(path: &Path, flags: OpenFlags) -> Result<Self, Failure> {
        let inner = rusqlite::Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        inner.busy_timeout(OPEN_WAIT)?;
        inner.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::try_from(VALUE_BYTES).unwrap_or(i32::MAX))?;
        inner.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        let deadline = Deadline(Arc::new(AtomicU64::new(NO_DEADLINE)));
        let end = deadline.clone();
        inner.progress_handler(STEPS_BETWEEN_CLOCK_READS, Some(move || end.is_over()))?;
        Ok(Self { inner, deadline })
    }

    pub(super) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// The longest wait of a statement for a lock of the file.
    pub(super) fn wait_for_locks(&self, wait: Duration) -> Result<(), Failure> {
        // SQLite counts the milliseconds in 31 bits.
        Ok(self.inner.busy_timeout(wait.min(Duration::from_hours(24)))?)
    }

    /// Sets the largest size of the file.
    pub(super) fn set_max_pages(&self, pages: u64) -> Result<(), Failure> {
        Ok(self.inner.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?)
    }

    /// Runs statements of the host, each once.
    pub(super) fn batch(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.inner.execute_batch(sql)?)
    }

    /// Runs a statement and returns its rows.
    pub(super) fn rows(&self, sql: &str, parameters: &[Value], limits: &Limits) -> Result<Rows, Failure> {
        let mut statement = self.inner.prepare_cached(sql)?;
        bind(&mut statement, parameters)?;
        let mut limited = LimitedRows::new(limits);
        let mut columns = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            // The first step prepares the statement again if the schema was changed.
            if columns.is_empty() {
                columns = names(row.as_ref());
            }
            limited.push(columns.len(), |column| value(row.get_ref(column)?), Failure::statement)?;
        }
        drop(rows);
        if columns.is_empty() {
            columns = names(&statement);
        }
        Ok(limited.with_columns(columns))
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub(super) fn execute(&self, sql: &str, parameters: &[Value]) -> Result<u64, Failure> {
        let mut statement = self.inner.prepare_cached(sql)?;
        bind(&mut statement, parameters)?;
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        Ok(self.inner.changes())
    }

    /// Reads rows of the host's own tables.
    pub(super) fn read_own<T>(&self, sql: &str, parameters: &[i64]) -> Result<Vec<T>, Failure>
    where
        T: for<'row> TryFrom<&'row Row<'row>, Error = rusqlite::Error>,
    {
        let mut statement = self.inner.prepare_cached(sql)?;
        let parameters: Vec<Value> = parameters.iter().map(|parameter| Value::Integer(*parameter)).collect();
        bind(&mut statement, &parameters)?;
        let mut rows = statement.raw_query();
        let mut read = Vec::new();
        while let Some(row) = rows.next()? {
            read.push(T::try_from(row)?);
        }
        Ok(read)
    }

    pub(super) fn clear_prepared_statements(&self) {
        self.inner.flush_prepared_statement_cache();
    }
}

fn bind(statement: &mut Statement<'_>, parameters: &[Value]) -> Result<(), Failure> {
    for index in 1..=statement.parameter_count() {
        // SQLite gives `$2` the index 1 where it is the first one in the text.
        let number = statement.parameter_name(index).and_then(|name| name.get(1..)?.parse().ok()).unwrap_or(index);
        match number.checked_sub(1).and_then(|before| parameters.get(before)) {
            None | Some(Value::Null) => statement.raw_bind_parameter(index, Null)?,
            Some(Value::Integer(integer)) => statement.raw_bind_parameter(index, integer)?,
            // A sum with zero has no sign of zero.
            Some(Value::Real(real)) => statement.raw_bind_parameter(index, real + 0.0)?,
            Some(Value::Text(text)) => statement.raw_bind_parameter(index, text)?,
            Some(Value::Blob(bytes)) => statement.raw_bind_parameter(index, bytes)?,
        }
    }
    Ok(())
}

fn names(statement: &Statement<'_>) -> Vec<String> {
    statement.column_names().into_iter().map(str::to_owned).collect()
}

/// A value of a row as SQLite stores it. The declared type of the column does
/// not matter.
fn value(raw: ValueRef<'_>) -> Result<Value, Failure> {
    Ok(match raw {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(error) => return Err(Failure::statement(Error::Invalid(format!("a text is not UTF-8: {error}")))),
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
    })
}

/// The component whose file it is.
pub(super) fn component_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
