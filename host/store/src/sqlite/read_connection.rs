//! A connection that only reads, and works in the thread that uses it.
//!
//! SQLite calls the progress handler after a number of steps of its virtual machine,
//! and ends the statement when its time is over. The gate bounds the time of one step.

use super::{CACHED_STATEMENTS, errors::Failure};
use crate::{
    Error, Rows, Value,
    limits::{LimitedRows, Limits},
};
use host_sql::VALUE_BYTES;
use rusqlite::{Connection, OpenFlags, Row, Statement, limits::Limit, types::ValueRef};
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

/// When the statement of a connection ends, in microseconds since the first use of
/// this clock. 0 ends it at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Deadline(Arc<AtomicU64>);

impl Deadline {
    fn set(&self, time: Duration) {
        self.0.store(now_us().saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)), Relaxed);
    }

    /// Ends the statement that runs.
    pub(super) fn end_now(&self) {
        self.0.store(0, Relaxed);
    }

    fn is_over(&self) -> bool {
        now_us() >= self.0.load(Relaxed)
    }
}

fn now_us() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// A connection to a component's file.
pub(super) struct ReadConnection {
    inner: Connection,
    deadline: Deadline,
}

impl ReadConnection {
    /// Opens the file, which exists.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let inner = Connection::open_with_flags(path, flags)?;
        let value_bytes = i32::try_from(VALUE_BYTES).unwrap_or(i32::MAX);
        inner.set_limit(Limit::SQLITE_LIMIT_LENGTH, value_bytes)?;
        inner.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        inner.pragma_update(None, "query_only", true)?;
        inner.pragma_update(None, "trusted_schema", false)?;
        let deadline = Deadline::default();
        let over = deadline.clone();
        inner.progress_handler(STEPS_BETWEEN_CLOCK_READS, Some(move || over.is_over()))?;
        Ok(Self { inner, deadline })
    }

    /// Allows the next statement this time, and so long a wait for a lock.
    pub(super) fn allow(&self, time: Duration, wait: Duration) -> Result<(), Failure> {
        self.deadline.set(time);
        Ok(self.inner.busy_timeout(wait)?)
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.deadline.clone()
    }

    /// Runs a query of the component.
    pub(super) fn rows(&self, sql: &str, parameters: &[Value], limits: &Limits) -> Result<Rows, Failure> {
        let mut statement = self.inner.prepare_cached(sql)?;
        for index in 1..=statement.parameter_count() {
            let number = parameter_number(&statement, index);
            let parameter = number.checked_sub(1).and_then(|before| parameters.get(before));
            match parameter.unwrap_or(&Value::Null) {
                Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null)?,
                Value::Integer(integer) => statement.raw_bind_parameter(index, integer)?,
                // A sum with zero has no sign of zero.
                Value::Real(real) => statement.raw_bind_parameter(index, real + 0.0)?,
                Value::Text(text) => statement.raw_bind_parameter(index, text)?,
                Value::Blob(bytes) => statement.raw_bind_parameter(index, bytes)?,
            }
        }
        let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut limited = LimitedRows::new(limits);
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            limited.push(columns.len(), |column| value(row.get_ref(column)?), Failure::statement)?;
        }
        Ok(limited.with_columns(columns))
    }

    /// Reads rows of the host's own tables.
    pub(super) fn read_own<T>(&self, sql: &str, parameters: &[i64]) -> Result<Vec<T>, Failure>
    where
        T: for<'row> TryFrom<&'row Row<'row>, Error = rusqlite::Error>,
    {
        let mut statement = self.inner.prepare_cached(sql)?;
        for index in 1..=statement.parameter_count() {
            let number = parameter_number(&statement, index);
            statement.raw_bind_parameter(index, number.checked_sub(1).and_then(|before| parameters.get(before)))?;
        }
        let mut rows = statement.raw_query();
        let mut read = Vec::new();
        while let Some(row) = rows.next()? {
            read.push(T::try_from(row)?);
        }
        Ok(read)
    }
}

/// The number of a parameter. SQLite gives `$2` the index 1 where it is the first
/// one in the text.
fn parameter_number(statement: &Statement<'_>, index: usize) -> usize {
    let number = statement.parameter_name(index).and_then(|name| name.get(1..)?.parse().ok());
    number.unwrap_or(index)
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
