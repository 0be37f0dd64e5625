//! A SQLite file, opened as most programs with sqlx do, and with the pragmas of the file of
//! a component: one connection for writing and the same number for reading.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, SqlitePool, Transaction};

pub(super) use sqlx::SqliteConnection as Connection;
pub(super) use sqlx::sqlite::SqliteRow as Row;

/// The host's `store.readers`.
const READERS: u32 = 4;

/// The host's own tables in a component's file.
pub(super) const HOST_TABLES: &str = "
    CREATE TABLE outbox (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, subject TEXT NOT NULL,
        time_ms INTEGER NOT NULL, payload BLOB NOT NULL) STRICT;
    CREATE TABLE timers (key TEXT NOT NULL UNIQUE, due_ms INTEGER NOT NULL, payload BLOB NOT NULL) STRICT;
    CREATE INDEX timers_due ON timers (due_ms);
    CREATE TABLE calls (key TEXT PRIMARY KEY, operation TEXT NOT NULL, outcome TEXT NOT NULL,
        made_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE authorizations (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL UNIQUE,
        currency TEXT NOT NULL, amount INTEGER NOT NULL, state TEXT NOT NULL, captured INTEGER NOT NULL DEFAULT 0,
        created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL) STRICT";

/// One pool for writing and one for reading.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) write: SqlitePool,
    pub(super) read: SqlitePool,
}

impl Database {
    pub(super) async fn open(file: &Path) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .disable_statement_logging();
        let pool = || SqlitePoolOptions::new().test_before_acquire(false);
        let write = pool().max_connections(1).connect_with(options.clone()).await?;
        let read = pool().max_connections(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self { write, read })
    }

    pub(super) async fn begin(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.write.begin_with("BEGIN IMMEDIATE").await
    }

    /// Commits. The program has no relay to notify of new events.
    pub(super) async fn commit(&self, transaction: Transaction<'static, Sqlite>) -> sqlx::Result<()> {
        transaction.commit().await
    }
}
