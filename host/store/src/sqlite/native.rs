//! The limits of a connection that sqlx has no functions for: the longest value
//! and row, and the bytes that a query may return.
//!
//! sqlx copies each row and buffers some of them before the host sees the
//! first. So SQLite itself counts the bytes of each row and ends a query that is
//! over its limit.

#![expect(unsafe_code, reason = "these functions of SQLite have no safe form")]

use libsqlite3_sys::{
    SQLITE_BLOB, SQLITE_LIMIT_LENGTH, SQLITE_TEXT, SQLITE_TRACE_ROW, sqlite3_column_bytes, sqlite3_column_count,
    sqlite3_column_type, sqlite3_db_handle, sqlite3_interrupt, sqlite3_limit, sqlite3_set_clientdata, sqlite3_stmt,
    sqlite3_stmt_readonly, sqlite3_trace_v2,
};
use sqlx::sqlite::LockedSqliteHandle;
use std::{
    ffi::{CStr, c_int, c_uint, c_void},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

const DATA_NAME: &CStr = c"ticketing-result-bytes";

/// The bytes that the statement of a connection may still return.
#[derive(Debug, Clone, Default)]
pub(super) struct RemainingBytes(Arc<AtomicU64>);

impl RemainingBytes {
    /// Begins a statement.
    pub(super) fn set(&self, bytes: u64) {
        self.0.store(bytes, Relaxed);
    }
}

/// Sets the limits of a connection.
pub(super) fn limit(
    connection: &mut LockedSqliteHandle<'_>,
    value_bytes: usize,
    remaining: &RemainingBytes,
) -> Result<(), &'static str> {
    let handle = connection.as_raw_handle().as_ptr();
    let value_bytes = c_int::try_from(value_bytes).map_err(|_| "the limit of a value is too large")?;
    let counter: *mut AtomicU64 = Arc::into_raw(remaining.0.clone()).cast_mut();
    // SAFETY: The handle is that of an open connection, and the lock keeps
    // other threads from using it. SQLite owns one reference to the counter. It
    // passes it to `release` when the connection is closed, or at once when
    // this call fails, and to `count_row` not after that.
    let is_set = unsafe {
        sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, value_bytes);
        sqlite3_set_clientdata(handle, DATA_NAME.as_ptr(), counter.cast(), Some(release)) == 0
            && sqlite3_trace_v2(handle, SQLITE_TRACE_ROW as c_uint, Some(count_row), counter.cast()) == 0
    };
    if is_set { Ok(()) } else { Err("the limit of a result cannot be set") }
}

/// Gives up SQLite's reference to the counter.
unsafe extern "C" fn release(counter: *mut c_void) {
    // SAFETY: It comes from `Arc::into_raw` in `limit`, and SQLite calls this
    // once.
    drop(unsafe { Arc::from_raw(counter.cast_const().cast::<AtomicU64>()) });
}

/// SQLite calls this for each row, before sqlx copies it. A query that is over
/// its limit ends before its next row. A change is not ended, because that
/// would roll back its transaction; the gate keeps its rows short.
unsafe extern "C" fn count_row(_: c_uint, counter: *mut c_void, statement: *mut c_void, _: *mut c_void) -> c_int {
    let statement = statement.cast::<sqlite3_stmt>();
    // SAFETY: SQLite passes the pointer from `limit`, which lives as long as
    // the connection, and a statement that has a row. Texts are stored as
    // UTF-8, so asking for the bytes of a text or blob converts nothing.
    unsafe {
        let remaining = &*counter.cast_const().cast::<AtomicU64>();
        let mut bytes = 0_u64;
        for column in 0..sqlite3_column_count(statement) {
            if matches!(sqlite3_column_type(statement, column), SQLITE_TEXT | SQLITE_BLOB) {
                bytes += u64::try_from(sqlite3_column_bytes(statement, column)).unwrap_or(0);
            }
        }
        match remaining.load(Relaxed).checked_sub(bytes) {
            Some(rest) => remaining.store(rest, Relaxed),
            None if sqlite3_stmt_readonly(statement) != 0 => sqlite3_interrupt(sqlite3_db_handle(statement)),
            None => remaining.store(0, Relaxed),
        }
    }
    0
}
