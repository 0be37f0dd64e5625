//! The host's own database: a SQLite file beside those of the components, or
//! a schema in the PostgreSQL database that several hosts share.
//!
//! It is opened once, when the host starts, and lives as long as the process.
//! Every module of the host that keeps something in it brings its tables with
//! [`HostDatabase::ensure`] and touches no other module's. Statements are
//! written in what both engines understand: parameters are `$1`, every
//! integer is an `i64`, and `RETURNING` says what was made.

pub mod audit;
pub mod cluster;
mod singleton_lock;
#[cfg(feature = "testing")]
mod testing;
#[cfg(test)]
mod tests;

pub use singleton_lock::SingletonLock;

use host_base::Dialect;
use host_base::{
    clock::{Reading, system_ms},
    secret::Secret,
};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use sha2::{Digest, Sha256};
use sqlx::{
    Any, AnyPool, AssertSqlSafe, ConnectOptions, Executor, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    path::Path,
    str::FromStr,
    time::{Duration, Instant},
};

/// Where the host's tables are in PostgreSQL.
pub const SCHEMA: &str = "ticketing_host";

/// On it, PostgreSQL tells all hosts that something has changed.
pub const CHANNEL: &str = "ticketing_changes";

const BUSY_TIMEOUT_SECONDS: u64 = 5;
const ACQUIRE_TIMEOUT_SECONDS: u64 = 30;
const READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 8;

/// Each connection to a SQLite file: a commit that was acknowledged survives
/// a loss of power.
const DURABLE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON";

/// Each connection to PostgreSQL: nothing waits for ever. A host that stops
/// in the middle of a transaction holds up the others no longer than this.
const BOUNDED: &str = "SET search_path TO ticketing_host; SET statement_timeout = '30s'; SET lock_timeout = '25s'; \
     SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = warning";

/// Two ways to the same database. Whoever writes uses [`write`](Self::write),
/// and [`begin`](Self::begin) for more than one statement.
#[derive(Debug, Clone)]
pub struct HostDatabase {
    /// What it has committed is durable. With SQLite it is one connection, so
    /// that writers queue in the process and never meet a busy file.
    pub write: AnyPool,
    /// Sees everything committed. With SQLite its connections only read.
    pub read: AnyPool,
    dialect: Dialect,
}

impl HostDatabase {
    /// Opens the SQLite file, or creates it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn open(path: &Path) -> sqlx::Result<Self> {
        install_default_drivers();
        let write = pool(1)
            .after_connect(|connection, _| Box::pin(async move { connection.execute(DURABLE).await.map(drop) }))
            .connect_with(sqlite(path, "rwc")?)
            .await?;
        let read = pool(READERS)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute("PRAGMA query_only = ON").await.map(drop) })
            })
            .connect_lazy_with(sqlite(path, "ro")?);
        Self { write, read, dialect: Dialect::Sqlite }.prepared().await
    }

    /// Connects to PostgreSQL. The tables are in the schema [`SCHEMA`], which
    /// is made if there is none; several hosts may do this at once.
    ///
    /// # Errors
    /// When it cannot be reached, or does not let the host make its schema.
    pub async fn connect(url: &Secret) -> sqlx::Result<Self> {
        install_default_drivers();
        let options = AnyConnectOptions::from_str(url.expose())?.disable_statement_logging();
        let pool = pool(POSTGRES_CONNECTIONS)
            .after_connect(|connection, _| Box::pin(async move { connection.execute(BOUNDED).await.map(drop) }))
            .connect_with(options)
            .await?;
        let database = Self { write: pool.clone(), read: pool, dialect: Dialect::Postgres };
        let mut transaction = database.begin("schema").await?;
        let there: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_namespace WHERE nspname = $1")
            .bind(SCHEMA)
            .fetch_one(&mut *transaction)
            .await?;
        if there == 0 {
            transaction.execute("CREATE SCHEMA ticketing_host").await?;
        }
        transaction.commit().await?;
        database.prepared().await
    }

    /// Which engine it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Begins a transaction that no other one of the same module, or part of a
    /// module, runs beside, in this host or another: it may look first and
    /// change then. With SQLite all modules take turns.
    ///
    /// # Errors
    /// When the database cannot be reached, or the others take too long.
    pub async fn begin(&self, module: &str) -> sqlx::Result<Transaction<'static, Any>> {
        match self.dialect {
            Dialect::Sqlite => self.write.begin_with("BEGIN IMMEDIATE").await,
            Dialect::Postgres => {
                // In one round trip.
                let lock = lock_key(&["module", module]);
                let beginning = format!("BEGIN; SELECT pg_advisory_xact_lock({lock})");
                self.write.begin_with(AssertSqlSafe(beginning)).await
            }
        }
    }

    /// Brings the tables of one module up to date: runs those of its steps
    /// that this database has not seen, each in a transaction. A step may be
    /// of several statements and must never change; a change is a step more.
    /// Steps are written for SQLite and translated ([`Dialect::translate`]).
    ///
    /// # Errors
    /// When a step fails; those before it are kept.
    pub async fn ensure(&self, module: &str, steps: &'static [&'static str]) -> sqlx::Result<()> {
        loop {
            let mut transaction = self.begin("schema").await?;
            let taken: Option<i64> = sqlx::query_scalar("SELECT taken FROM schema_steps WHERE module = $1")
                .bind(module)
                .fetch_optional(&mut *transaction)
                .await?;
            let taken = taken.unwrap_or(0);
            let Some(step) = usize::try_from(taken).ok().and_then(|taken| steps.get(taken)) else {
                return transaction.rollback().await;
            };
            sqlx::raw_sql(AssertSqlSafe(self.dialect.translate(step))).execute(&mut *transaction).await?;
            sqlx::query("INSERT INTO schema_steps (module, taken) VALUES ($1, $2) ON CONFLICT (module) DO UPDATE SET taken = excluded.taken")
                .bind(module)
                .bind(taken + 1)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        }
    }

    /// What time it is for all hosts on this database: by its own clock, and
    /// for a host alone by the machine's.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn time(&self) -> sqlx::Result<Reading> {
        if self.dialect == Dialect::Sqlite {
            return Ok(Reading { ms: system_ms(), give_or_take_ms: 0 });
        }
        let sql = format!("SELECT {}", self.dialect.now_ms());
        let mut connection = self.read.acquire().await?;
        let begun = Instant::now();
        let ms: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
        // It was read at some moment between the question and the answer.
        let half_ms = i64::try_from(begun.elapsed().as_millis() / 2).unwrap_or(i64::MAX);
        Ok(Reading { ms: ms.saturating_add(half_ms), give_or_take_ms: half_ms })
    }

    /// Wakes the hosts on the same database, which then look for what has
    /// changed. One that does not hear it looks by itself a little later.
    pub async fn announce(&self) {
        if self.dialect == Dialect::Sqlite {
            return;
        }
        let told = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(&self.write).await;
        if let Err(error) = told {
            tracing::debug!(%error, "a change could not be announced");
        }
    }

    /// Finishes what is under way and lets go of the database.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    async fn prepared(self) -> sqlx::Result<Self> {
        let steps = self.dialect.translate(
            "CREATE TABLE IF NOT EXISTS schema_steps (module TEXT PRIMARY KEY, taken INTEGER NOT NULL) STRICT",
        );
        let mut transaction = self.begin("schema").await?;
        sqlx::raw_sql(AssertSqlSafe(steps)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(self)
    }
}

fn pool(max_connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(max_connections).acquire_timeout(Duration::from_secs(ACQUIRE_TIMEOUT_SECONDS))
}

/// A file by its path, whatever characters that has.
fn sqlite(path: &Path, mode: &str) -> sqlx::Result<AnyConnectOptions> {
    let path = std::path::absolute(path)?;
    let path = percent_encode(path.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC).to_string().replace("%2F", "/");
    Ok(AnyConnectOptions::from_str(&format!("sqlite://{path}?mode={mode}"))?.disable_statement_logging())
}

/// How every SQLite file of a component is opened: a commit that was
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

/// The number under which PostgreSQL knows a lock of the host's.
pub fn lock_key(name: &[&str]) -> i64 {
    let digest = Sha256::digest(format!("ticketing {}", name.join(" ")).as_bytes());
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}
