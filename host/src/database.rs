//! The host's own database: one SQLite file beside those of the components.
//!
//! It is opened once, when the host starts, and lives as long as the process.
//! Every module of the host that keeps something in it brings its tables with
//! [`HostDatabase::ensure`] and touches no other module's.

use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{path::Path, time::Duration};

const BUSY_TIMEOUT_SECONDS: u64 = 5;
const ACQUIRE_TIMEOUT_SECONDS: u64 = 10;
const READERS: u32 = 4;
const CACHED_STATEMENTS: usize = 128;

/// Two ways to the same file. Whoever writes uses [`write`](Self::write), so
/// that writers queue in the process and never meet a busy database.
#[derive(Debug, Clone)]
pub struct HostDatabase {
    /// The one connection that writes. What it has committed is durable.
    pub write: SqlitePool,
    /// Connections that only read, and see everything committed.
    pub read: SqlitePool,
}

impl HostDatabase {
    /// Opens the file, or creates it.
    pub async fn open(path: &Path) -> sqlx::Result<Self> {
        let options = durable_options(path).statement_cache_capacity(CACHED_STATEMENTS);
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(Duration::from_secs(ACQUIRE_TIMEOUT_SECONDS))
                .test_before_acquire(false)
        };
        let write = pool().max_connections(1).connect_with(options.clone()).await?;
        let read =
            pool().max_connections(READERS).connect_lazy_with(options.read_only(true).pragma("query_only", "on"));
        let database = Self { write, read };
        sqlx::query("CREATE TABLE IF NOT EXISTS schema_steps (module TEXT PRIMARY KEY, taken INTEGER NOT NULL) STRICT")
            .execute(&database.write)
            .await?;
        Ok(database)
    }

    /// Brings the tables of one module up to date: runs those of its steps
    /// that this file has not seen, each in a transaction. A step may be of
    /// several statements and must never change; a change is a step more.
    pub async fn ensure(&self, module: &str, steps: &'static [&'static str]) -> sqlx::Result<()> {
        let taken: Option<i64> = sqlx::query_scalar("SELECT taken FROM schema_steps WHERE module = $1")
            .bind(module)
            .fetch_optional(&self.write)
            .await?;
        let mut taken = usize::try_from(taken.unwrap_or(0)).unwrap_or(0);
        for &step in steps.iter().skip(taken) {
            taken += 1;
            let mut transaction = self.write.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::raw_sql(step).execute(&mut *transaction).await?;
            sqlx::query("INSERT INTO schema_steps (module, taken) VALUES ($1, $2) ON CONFLICT (module) DO UPDATE SET taken = excluded.taken")
                .bind(module)
                .bind(i64::try_from(taken).unwrap_or(i64::MAX))
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Finishes what is under way and closes the file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// How every SQLite file of the host is opened: a commit that was
/// acknowledged survives a loss of power.
pub fn durable_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(BUSY_TIMEOUT_SECONDS))
        .disable_statement_logging()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_step_is_taken_once_and_survives_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.db");
        let database = HostDatabase::open(&path).await.unwrap();
        database.ensure("one", &["CREATE TABLE one (a TEXT); INSERT INTO one VALUES ('x')"]).await.unwrap();
        database.close().await;

        let database = HostDatabase::open(&path).await.unwrap();
        let steps = &["CREATE TABLE one (a TEXT); INSERT INTO one VALUES ('x')", "INSERT INTO one VALUES ('y')"];
        database.ensure("one", steps).await.unwrap();
        database.ensure("one", steps).await.unwrap();
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT a FROM one ORDER BY a").fetch_all(&database.read).await.unwrap();
        assert_eq!(rows, ["x", "y"]);
    }

    #[tokio::test]
    async fn a_reader_cannot_write_and_commits_are_synced() {
        let folder = tempfile::tempdir().unwrap();
        let database = HostDatabase::open(&folder.path().join("host.db")).await.unwrap();
        assert!(sqlx::query("INSERT INTO schema_steps VALUES ('m', 1)").execute(&database.read).await.is_err());
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&database.write).await.unwrap();
        assert_eq!(synchronous, 2, "FULL");
    }
}
