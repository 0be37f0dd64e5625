//! The embedded engine: one SQLite file per component.
//!
//! One connection writes, in a thread of its own, and a few others only read. The file is opened when its component is first loaded, and closed
//! when the host stops.

mod component_sql;
mod connection;
mod databases;
mod disk_use;
mod errors;
mod group_commit;
mod host_tables;
mod inbox;
mod keyed_requests;
mod leases;
mod live_log;
mod migrations;
mod native;
mod outbox;
mod read_connection;
mod readers;
mod timer_queue;
mod transaction;
mod values;
mod writer;

use super::{
    Database, DiskUse, Error, OutboxSignal, Rows, TimersSignal, Topics, Value, disk_use::DiskAccount, gate::Gate,
    limits::Limits, pace::Pace,
};
use async_trait::async_trait;
use connection::Connection;
pub use databases::SqliteDatabases;
use errors::Failure;
use host_base::Dialect;
use host_database::durable_options;
use read_connection::ReadConnection;
use readers::Readers;
use sqlx::sqlite::SqliteConnectOptions;
use std::{path::Path, sync::Arc, time::Duration};
use transaction::SqliteTransaction;
use writer::Writer;

const PAGE_BYTES: u32 = 4_096;
/// The size to which SQLite truncates its write-ahead log.
const WAL_BYTES: u64 = 64 * 1024 * 1024;
const CACHED_STATEMENTS: usize = 256;

/// The database of one component in its own file.
pub(crate) struct SqliteDatabase {
    shared: Arc<Shared>,
    readers: Readers,
    /// That of the host's own queries.
    own_pace: Pace,
}

/// The state that the database shares with its open transactions.
struct Shared {
    gate: Gate,
    writer: Writer,
    limits: Limits,
    disk: DiskAccount,
    outbox_signal: Arc<OutboxSignal>,
    timers_signal: Arc<TimersSignal>,
    topics: Arc<Topics>,
}

impl SqliteDatabase {
    /// Opens a component's file. Creates it, with the host's own tables, if it
    /// does not exist.
    pub(crate) async fn open(path: &Path, limits: Limits) -> Result<Arc<Self>, Error> {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder)
                .await
                .map_err(|error| Error::Unavailable(format!("{}: {error}", folder.display())))?;
        }
        let limits = limits.of_component();
        let options = options(path, &limits);
        let mut connection = Connection::open(&options).await.map_err(Failure::into_error)?;
        host_tables::create(&mut connection).await.map_err(Failure::into_error)?;
        let wait = Duration::from_millis(limits.wait_ms);
        let database = Arc::new(Self {
            readers: Readers::new(path, limits.readers, wait),
            own_pace: Pace::default(),
            shared: Arc::new(Shared {
                gate: Gate::new(Dialect::Sqlite),
                writer: Writer::new(options, connection, wait),
                disk: DiskAccount::new(limits.disk.clone()),
                limits,
                outbox_signal: Arc::default(),
                timers_signal: Arc::default(),
                topics: Arc::default(),
            }),
        });
        database.measure().await?;
        Ok(database)
    }

    async fn begin_write(&self) -> Result<SqliteTransaction, Error> {
        Ok(SqliteTransaction::new(self.shared.clone(), self.shared.writer.begin().await?))
    }

    /// Reads rows of the host's own tables.
    async fn read_own<T>(&self, sql: &'static str, parameters: &[i64]) -> Result<Vec<T>, Error>
    where
        T: for<'row> TryFrom<&'row rusqlite::Row<'row>, Error = rusqlite::Error> + Send + 'static,
    {
        let (limit, parameters) = (self.shared.limits.statement_limit(), parameters.to_vec());
        self.readers.read(&self.own_pace, limit, move |connection| connection.read_own(sql, &parameters)).await
    }

    /// Runs a query outside of a transaction.
    async fn rows(&self, pace: &Pace, sql: Arc<str>, parameters: Vec<Value>) -> Result<Rows, Error> {
        let shared = self.shared.clone();
        let query = move |connection: &ReadConnection| connection.rows(&sql, &parameters, &shared.limits);
        self.readers.read(pace, self.shared.limits.statement_limit(), query).await
    }
}

fn options(path: &Path, limits: &Limits) -> SqliteConnectOptions {
    let most_pages = (limits.database_bytes / u64::from(PAGE_BYTES)).max(1);
    durable_options(path)
        .statement_cache_capacity(CACHED_STATEMENTS)
        .page_size(PAGE_BYTES)
        .pragma("max_page_count", most_pages.to_string())
        .pragma("journal_size_limit", WAL_BYTES.to_string())
        .pragma("trusted_schema", "off")
}

#[async_trait]
impl Database for SqliteDatabase {
    async fn close(&self) {
        self.readers.close();
        self.shared.writer.close().await;
    }
}

#[cfg(test)]
mod tests;
