//! The embedded engine: a SQLite file for each component.
//!
//! One connection writes, a few beside it only read, and each has a thread of
//! its own. The file is opened when its component is first loaded and closed
//! with the host; see `writer.rs` for how transactions share a commit.

mod connection;
mod databases;
mod errors;
mod readers;
mod schema;
mod transaction;
mod writer;

use super::{
    Database, DueTimer, Error, LeaderRole, Leadership, MigrationError, Once, OutboxEvent, Rows, Signals, Timer,
    Transaction, Value, describe, gate::Gate, permitted,
};
use async_trait::async_trait;
use connection::Connection;
pub use databases::SqliteDatabases;
use errors::Failure;
use host_base::Dialect;
use host_base::event::Event;
use host_database::durable_options;
use host_sql::{Applied, Migration};
use readers::Readers;
use std::{path::Path, sync::Arc, time::Duration};
use transaction::SqliteTransaction;
use writer::Writer;

/// What bounds the use of one component's database.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that only read.
    pub readers: usize,
    /// The longest wait for the writer or for a reader.
    pub wait_ms: u64,
    /// The longest that one statement runs.
    pub statement_ms: u64,
    /// The longest that one statement of a migration runs.
    pub migration_statement_ms: u64,
    /// The most rows of one result.
    pub result_rows: usize,
    /// All values of one result together.
    pub result_bytes: usize,
    /// How large the file may grow.
    pub database_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            readers: 4,
            wait_ms: 5_000,
            statement_ms: 5_000,
            migration_statement_ms: 60_000,
            result_rows: 10_000,
            result_bytes: 8 * 1024 * 1024,
            database_bytes: 16 * 1024 * 1024 * 1024,
        }
    }
}

const PAGE_BYTES: u64 = 4_096;
const WAL_BYTES_KEPT: u64 = 64 * 1024 * 1024;
const CACHED_STATEMENTS: usize = 256;

/// The database of one component in a file of its own.
pub struct SqliteDatabase {
    shared: Arc<Shared>,
    readers: Readers,
}

/// What the database and its open transactions use.
struct Shared {
    gate: Gate,
    writer: Writer,
    limits: Limits,
    signals: Arc<Signals>,
}

impl SqliteDatabase {
    /// Opens a component's file, or creates it with the host's own tables.
    pub async fn open(path: &Path, limits: Limits) -> Result<Arc<Self>, Error> {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder)
                .await
                .map_err(|error| Error::Unavailable(format!("{}: {error}", folder.display())))?;
        }
        let options = durable_options(path)
            .statement_cache_capacity(CACHED_STATEMENTS)
            .page_size(u32::try_from(PAGE_BYTES).unwrap_or(4_096))
            .pragma("max_page_count", (limits.database_bytes / PAGE_BYTES).max(1).to_string())
            .pragma("journal_size_limit", WAL_BYTES_KEPT.to_string())
            .pragma("trusted_schema", "off");
        let mut first = Connection::open(&options).await.map_err(|failure| failure.error)?;
        schema::create_host_tables(&mut first).await.map_err(|failure| failure.error)?;
        let wait = Duration::from_millis(limits.wait_ms);
        Ok(Arc::new(Self {
            readers: Readers::new(options.clone(), limits.readers, wait),
            shared: Arc::new(Shared {
                gate: Gate::new(Dialect::Sqlite),
                writer: Writer::new(options, first, wait),
                limits,
                signals: Arc::default(),
            }),
        }))
    }

    async fn begin_write(&self) -> Result<SqliteTransaction, Error> {
        Ok(SqliteTransaction::new(self.shared.clone(), self.shared.writer.begin().await?))
    }
}

#[async_trait]
impl Database for SqliteDatabase {
    async fn migrate(&self, migrations: &[Migration]) -> Result<Vec<String>, MigrationError> {
        let mut applied = Vec::new();
        for migration in migrations {
            let failed =
                |error: Error| MigrationError::Failed { name: migration.name.clone(), reason: describe(&error) };
            let statements = permitted(migration, Dialect::Sqlite).await?;
            let mut transaction = self.begin_write().await.map_err(failed)?;
            if transaction.migrate(migration, &statements).await? {
                Box::new(transaction).commit().await.map_err(failed)?;
                applied.push(migration.name.clone());
            } else {
                Box::new(transaction).rollback().await;
            }
        }
        if !applied.is_empty() {
            // A statement prepared for the old schema has the old columns.
            self.shared.writer.forget_statements().await;
            self.readers.renew();
        }
        Ok(applied)
    }

    async fn applied(&self) -> Result<Vec<Applied>, Error> {
        let sql = "SELECT name, digest FROM host_migrations ORDER BY name";
        let rows: Vec<(String, String)> = self.read(sql, 0, 0).await?;
        Ok(rows.into_iter().map(|(name, digest)| Applied { name, digest }).collect())
    }

    async fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        let permitted = self.shared.gate.check(statement, &parameters).await?;
        if !permitted.reads_only {
            return Err(Error::Invalid("a query outside a transaction only reads".into()));
        }
        let mut lease = self.readers.lease().await?;
        let result = lease.connection().rows(&permitted.sql, parameters, &self.shared.limits).await;
        lease.release();
        result.map_err(|failure| failure.error)
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, Error> {
        Ok(Box::new(self.begin_write().await?))
    }

    async fn begin_once(&self, what: &Once) -> Result<Option<Box<dyn Transaction>>, Error> {
        let mut transaction = self.begin_write().await?;
        if transaction.note_once(what).await? {
            return Ok(Some(Box::new(transaction)));
        }
        Box::new(transaction).rollback().await;
        Ok(None)
    }

    async fn outbox(&self, after_sequence: i64, limit_rows: u32) -> Result<Vec<OutboxEvent>, Error> {
        type Row = (i64, String, String, String, i64, Option<String>, Vec<u8>);
        let rows: Vec<Row> = self
            .read(
                "SELECT sequence, id, subject, source, time_ms, traceparent, payload \
                 FROM host_outbox WHERE sequence > $2 ORDER BY sequence LIMIT $1",
                i64::from(limit_rows),
                after_sequence,
            )
            .await?;
        let event = |(sequence, id, subject, source, time_ms, traceparent, payload): Row| OutboxEvent {
            sequence,
            event: Event { id, subject, source, time_ms: time_ms.cast_unsigned(), traceparent, payload },
        };
        Ok(rows.into_iter().map(event).collect())
    }

    async fn clear_outbox(&self, up_to_sequence: i64) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        transaction.run("DELETE FROM host_outbox WHERE sequence <= $1", vec![Value::Integer(up_to_sequence)]).await?;
        Box::new(transaction).commit().await
    }

    async fn next_timer_ms(&self) -> Result<Option<u64>, Error> {
        let rows: Vec<(i64,)> = self.read("SELECT due_ms FROM host_timers ORDER BY due_ms LIMIT 1", 0, 0).await?;
        Ok(rows.first().map(|(due_ms,)| due_ms.cast_unsigned()))
    }

    async fn upcoming_timers(&self, now_ms: u64, limit_rows: u32) -> Result<Vec<DueTimer>, Error> {
        type Row = (i64, String, i64, Vec<u8>, u32, Option<String>);
        let rows: Vec<Row> = self
            .read(
                "SELECT generation, key, due_ms, payload, attempt, traceparent FROM host_timers \
                 WHERE due_ms <= max($2, coalesce((SELECT min(due_ms) FROM host_timers WHERE due_ms > $2), $2)) \
                 ORDER BY due_ms LIMIT $1",
                i64::from(limit_rows),
                clamp(now_ms),
            )
            .await?;
        let timer = |(generation, key, due_ms, payload, attempt, traceparent): Row| DueTimer {
            timer: Timer { key, due_ms: due_ms.cast_unsigned(), payload },
            attempt,
            generation,
            traceparent,
        };
        Ok(rows.into_iter().map(timer).collect())
    }

    async fn prune_inbox(&self, before_ms: u64) -> Result<u64, Error> {
        // In portions, so that nobody waits long for the writer.
        let mut pruned = 0;
        loop {
            let mut transaction = self.begin_write().await?;
            let portion = transaction
                .run(
                    "DELETE FROM host_inbox WHERE event_id IN \
                     (SELECT event_id FROM host_inbox WHERE at_ms < $1 LIMIT 1000)",
                    vec![Value::Integer(clamp(before_ms))],
                )
                .await?;
            Box::new(transaction).commit().await?;
            pruned += portion;
            if portion < 1_000 {
                return Ok(pruned);
            }
        }
    }

    fn system(&self) -> &'static str {
        "sqlite"
    }

    fn signals(&self) -> &Arc<Signals> {
        &self.shared.signals
    }

    async fn lead(&self, _: LeaderRole) -> Result<Box<dyn Leadership>, Error> {
        Ok(Box::new(Alone))
    }

    async fn close(&self) {
        self.readers.close().await;
        self.shared.writer.close().await;
    }
}

impl SqliteDatabase {
    /// Rows of the host's own tables.
    async fn read<T>(&self, sql: &'static str, first: i64, second: i64) -> Result<Vec<T>, Error>
    where
        T: for<'row> sqlx::FromRow<'row, sqlx::sqlite::SqliteRow> + Send + Unpin,
    {
        let mut lease = self.readers.lease().await?;
        let result = lease.connection().typed(sql, first, second, self.shared.limits.statement_ms).await;
        lease.release();
        result.map_err(|failure: Failure| failure.error)
    }
}

/// No other host has the file.
struct Alone;

#[async_trait]
impl Leadership for Alone {
    async fn lost(&mut self) {
        std::future::pending().await
    }
}

/// SQLite's integers are signed.
fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
