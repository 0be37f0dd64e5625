//! The embedded engine: one SQLite file per component.
//!
//! One connection writes, and a few others only read. The file is opened when its
//! component is first loaded, and closed when the host stops.

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
mod outbox;
mod readers;
mod timer_queue;
mod transaction;
mod work;
mod writer;
mod writing;

use super::{
    Database, DiskUse, Error, OutboxSignal, Rows, TimersSignal, Topics, Value, disk_use::DiskAccount, gate::Gate,
    limits::Limits, pace::Pace,
};
use async_trait::async_trait;
use connection::Connection;
pub use databases::SqliteDatabases;
use errors::Failure;
use host_base::Dialect;
use readers::Readers;
use std::{path::Path, sync::Arc, time::Duration};
use transaction::SqliteTransaction;
use writer::Writer;
use writing::Writing;

const PAGE_BYTES: u32 = 4_096;
/// The size to which SQLite truncates its write-ahead log.
const WAL_BYTES: u64 = 64 * 1024 * 1024;
const CACHED_STATEMENTS: usize = 256;

/// The database of one component in its own file.
pub(crate) struct SqliteDatabase {
    shared: Arc<Shared>,
    readers: Readers,
}

/// The state that the database shares with its open transactions.
struct Shared {
    gate: Gate,
    writer: Writer,
    limits: Arc<Limits>,
    /// That of the host's own statements.
    own_pace: Arc<Pace>,
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
        let limits = Arc::new(limits.of_component());
        let connection = Writing::open(path, &limits).await.map_err(Failure::into_error)?;
        host_tables::create(&connection).await.map_err(Failure::into_error)?;
        let wait = Duration::from_millis(limits.wait_ms);
        let database = Arc::new(Self {
            readers: Readers::new(path, limits.readers, wait),
            shared: Arc::new(Shared {
                gate: Gate::new(Dialect::Sqlite),
                writer: Writer::new(path, limits.clone(), connection),
                own_pace: Arc::new(Pace::short()),
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
        self.readers.read(&self.shared.own_pace, limit, move |connection| connection.read_own(sql, &parameters)).await
    }

    /// Reads rows of the host's own tables with a query that looks at many.
    async fn read_large_own<T>(&self, sql: &'static str, parameters: &[i64]) -> Result<Vec<T>, Error>
    where
        T: for<'row> TryFrom<&'row rusqlite::Row<'row>, Error = rusqlite::Error> + Send + 'static,
    {
        let (limit, parameters) = (self.shared.limits.statement_limit(), parameters.to_vec());
        let pace = Arc::new(Pace::unknown());
        self.readers.read(&pace, limit, move |connection| connection.read_own(sql, &parameters)).await
    }

    /// Runs a query outside of a transaction.
    async fn rows(&self, pace: &Arc<Pace>, sql: Arc<str>, parameters: Vec<Value>) -> Result<Rows, Error> {
        let shared = self.shared.clone();
        let query = move |connection: &Connection| connection.rows(&sql, &parameters, &shared.limits);
        self.readers.read(pace, self.shared.limits.statement_limit(), query).await
    }
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
