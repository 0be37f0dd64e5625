//! How the host connects to its database.

use super::{
    HostDatabase, SCHEMA,
    connections::{Connections, HostPool, guarded},
};
use host_base::{Dialect, Secret};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use sqlx::{
    AnyPool, ConnectOptions, Executor,
    any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers},
};
use std::{path::Path, str::FromStr, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 8;

/// Settings of the writing SQLite connection. An acknowledged commit survives a
/// power loss.
const SQLITE_WRITER_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON";

/// Settings of each PostgreSQL connection. Every wait has a limit. If a host
/// stops inside a transaction, it delays the other hosts no longer than these
/// limits.
const POSTGRES_SETTINGS: &str = "SET search_path TO ticketing_host; SET statement_timeout = '30s'; SET lock_timeout = '25s'; \
     SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = warning";

impl HostDatabase {
    /// Opens the SQLite file, or creates it.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub async fn open(path: &Path) -> sqlx::Result<Self> {
        install_default_drivers();
        let write = pool_options(1, SQLITE_WRITER_SETTINGS).connect_with(sqlite_options(path, "rwc")?).await?;
        let read =
            pool_options(SQLITE_READERS, "PRAGMA query_only = ON").connect_lazy_with(sqlite_options(path, "ro")?);
        let connections = Connections::to_file();
        let pool = |pool| HostPool::new(pool, connections.clone());
        let (write, read) = (pool(write), pool(read));
        let database = Self { write, read, dialect: Dialect::Sqlite, connections, _monitor: None };
        database.create_schema_steps().await?;
        Ok(database)
    }

    /// Connects to PostgreSQL. Creates the schema [`SCHEMA`] for the host's
    /// tables if it does not exist. Several hosts can do this at the same time.
    ///
    /// # Errors
    /// If the database cannot be reached, or if the host may not create its
    /// schema.
    pub async fn connect(url: &Secret) -> sqlx::Result<Self> {
        install_default_drivers();
        let options = AnyConnectOptions::from_str(url.expose())?.disable_statement_logging();
        let connections = Connections::to_server();
        let pool = guarded(pool_options(POSTGRES_CONNECTIONS, POSTGRES_SETTINGS), &connections);
        let pool: AnyPool = pool.connect_with(options).await?;
        let pool = HostPool::new(pool, connections.clone());
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(connections.clone().monitor(url.clone())));
        let monitor = Some(Arc::new(stop.drop_guard()));
        let (write, read) = (pool.clone(), pool);
        let database = Self { write, read, dialect: Dialect::Postgres, connections, _monitor: monitor };
        let mut transaction = database.begin("schema").await?;
        let schemas: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_namespace WHERE nspname = $1")
            .bind(SCHEMA)
            .fetch_one(&mut *transaction)
            .await?;
        if schemas == 0 {
            transaction.execute("CREATE SCHEMA ticketing_host").await?;
        }
        transaction.commit().await?;
        database.create_schema_steps().await?;
        Ok(database)
    }
}

/// Options of a pool that executes `settings` on each new connection.
fn pool_options(max_connections: u32, settings: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| Box::pin(async move { connection.execute(settings).await.map(drop) }))
}

/// Options for a file. Its path may have any characters.
fn sqlite_options(path: &Path, mode: &str) -> sqlx::Result<AnyConnectOptions> {
    let path = std::path::absolute(path)?;
    let path = percent_encode(path.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC).to_string().replace("%2F", "/");
    Ok(AnyConnectOptions::from_str(&format!("sqlite://{path}?mode={mode}"))?.disable_statement_logging())
}
