//! A SQLite file as the host opens those of components: the same pragmas, one
//! connection that writes and as many that read.

use std::path::Path;

use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use ticketing::database::durable_options;

/// The host's `store.readers`.
const READERS: u32 = 4;

/// Two ways to one file.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) write: SqlitePool,
    pub(crate) read: SqlitePool,
}

impl Database {
    pub(crate) async fn open(file: &Path) -> sqlx::Result<Self> {
        let options = durable_options(file);
        let pool = || SqlitePoolOptions::new().test_before_acquire(false);
        let write = pool().max_connections(1).connect_with(options.clone()).await?;
        let read = pool().max_connections(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self { write, read })
    }
}
