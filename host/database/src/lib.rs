//! The host's own database: a SQLite file beside the files of the components,
//! or a schema in the PostgreSQL database that several hosts share.
//!
//! The host opens it once at the start and uses it until the process ends. Each
//! module of the host creates its own tables with [`HostDatabase::ensure_schema`]
//! and does not touch the tables of other modules. All statements work on both
//! engines: parameters are `$1`, every integer is an `i64`, and `RETURNING`
//! returns generated values.

pub mod audit;
pub mod cluster;
mod connect;
pub mod connections;
pub mod reach;
mod schema;
mod singleton_lock;
#[cfg(feature = "testing")]
mod testing;
#[cfg(test)]
mod tests;

pub use singleton_lock::SingletonLock;

use connections::{Connections, HostPool, no_answer};
use host_base::{
    Dialect,
    clock::{Reading, system_ms},
};
use sha2::{Digest, Sha256};
use sqlx::{Any, AssertSqlSafe, PgConnection, Transaction};
use std::{sync::Arc, time::Instant};
use tokio_util::sync::DropGuard;

/// The PostgreSQL schema with the host's tables.
pub const SCHEMA: &str = "ticketing_host";

/// The channel on which PostgreSQL notifies all hosts of a change.
pub const CHANNEL: &str = "ticketing_changes";

/// Two connection pools to the same database. Writing code uses
/// [`write`](Self::write). A change of more than one statement uses
/// [`begin`](Self::begin).
#[derive(Debug, Clone)]
pub struct HostDatabase {
    /// A commit through this pool is durable. With SQLite the pool has one
    /// connection, so writers wait in the process and never meet a busy file.
    pub write: HostPool<Any>,
    /// This pool sees all commits. With SQLite its connections can only read.
    pub read: HostPool<Any>,
    /// The connections to PostgreSQL, in the pools of all modules.
    pub connections: Arc<Connections>,
    dialect: Dialect,
    /// Stops the watch over PostgreSQL with the last clone.
    _monitor: Option<Arc<DropGuard>>,
}

impl HostDatabase {
    /// The engine of the database.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Begins a transaction. On all hosts together, only one transaction with
    /// the same name runs at a time. The name is that of a module, or of a part
    /// of a module. So the transaction can first read and then change what it
    /// has read. With SQLite only one transaction of all modules runs at a time.
    ///
    /// # Errors
    /// If the database cannot be reached, or if the other transactions take too
    /// long.
    pub async fn begin(&self, module: &str) -> sqlx::Result<Transaction<'static, Any>> {
        match self.dialect {
            Dialect::Sqlite => self.write.begin_with("BEGIN IMMEDIATE").await,
            Dialect::Postgres => {
                // Both statements go in one round trip.
                let lock = lock_key(&["module", module]);
                let begin_and_lock = format!("BEGIN; SELECT pg_advisory_xact_lock({lock})");
                self.unless_silent(self.write.begin_with(AssertSqlSafe(begin_and_lock))).await
            }
        }
    }

    /// Does work with the database, such as a transaction, and gives up when the
    /// server falls silent. Single statements on the pools do so by themselves.
    ///
    /// # Errors
    /// Those of the work, and the silence.
    pub async fn unless_silent<T, E: From<sqlx::Error>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.connections.unless_silent(work).await.unwrap_or_else(|| Err(no_answer().into()))
    }

    /// Reads the time that all hosts on this database share: PostgreSQL's clock.
    /// With SQLite there is one host, and the time is that of the machine.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn time(&self) -> sqlx::Result<Reading> {
        if self.dialect == Dialect::Sqlite {
            return Ok(Reading { ms: system_ms(), uncertainty_ms: 0 });
        }
        let sql = format!("SELECT {}", self.dialect.now_ms());
        self.unless_silent(self.read_clock(sql)).await
    }

    async fn read_clock(&self, sql: String) -> sqlx::Result<Reading> {
        let mut connection = self.read.acquire().await?;
        let begun = Instant::now();
        let ms: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
        // The database read its clock at some moment between question and
        // answer.
        let half_ms = i64::try_from(begun.elapsed().as_millis() / 2).unwrap_or(i64::MAX);
        Ok(Reading { ms: ms.saturating_add(half_ms), uncertainty_ms: half_ms })
    }

    /// Wakes the other hosts on the database, and they look for changes. A host
    /// that misses the notification looks a little later anyway.
    pub async fn announce(&self) {
        if self.dialect == Dialect::Sqlite {
            return;
        }
        let notified = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(&self.write).await;
        if let Err(error) = notified {
            tracing::debug!(%error, "the host could not notify the other hosts of a change");
        }
    }

    /// Waits for the running statements and closes all connections.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Takes an advisory lock of the session if it is free. PostgreSQL releases it when the
/// session ends, for any reason.
async fn try_advisory_lock(session: &mut PgConnection, key: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(key).fetch_one(session).await
}

/// The number of an advisory lock of the host in PostgreSQL.
pub fn lock_key(name: &[&str]) -> i64 {
    let digest = Sha256::digest(format!("ticketing {}", name.join(" ")).as_bytes());
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}
