//! A test on both database engines.

use crate::postgres;
use std::path::Path;
use tempfile::TempDir;

/// An empty database for one test. The test can open it more than once.
#[derive(Debug)]
pub enum TestDatabase {
    /// Files in a folder that is removed after the test.
    Sqlite(TempDir),
    /// The URL of a database on the shared PostgreSQL server.
    Postgres(String),
}

/// The type with which a crate opens a [`TestDatabase`]. The crate that has
/// the type implements this, because this crate depends on no crate of the host.
#[expect(async_fn_in_trait, reason = "only tests call it, and on types that they know")]
pub trait OpenTestDatabase: Sized {
    /// Opens or creates the SQLite file.
    async fn open_sqlite(file: &Path) -> Self;
    /// Connects to the PostgreSQL database.
    async fn open_postgres(url: &str) -> Self;
}

impl TestDatabase {
    /// A new folder for SQLite files.
    #[must_use]
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// A new database on the shared PostgreSQL server.
    pub async fn postgres() -> Self {
        Self::Postgres(postgres::new_database().await)
    }

    /// Opens the database: with SQLite, the file `host.db` in the folder.
    pub async fn open<D: OpenTestDatabase>(&self) -> D {
        match self {
            Self::Sqlite(folder) => D::open_sqlite(&folder.path().join("host.db")).await,
            Self::Postgres(url) => D::open_postgres(url).await,
        }
    }
}

/// Makes a test on each engine of each function that is named. The function
/// takes a [`TestDatabase`].
#[macro_export]
macro_rules! on_both_engines {
    ($($case:ident)*) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                super::$case($crate::TestDatabase::sqlite()).await;
            }
        )*}

        mod postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            #[ignore = "needs PostgreSQL"]
            async fn $case() {
                super::$case($crate::TestDatabase::postgres().await).await;
            }
        )*}
    };
}
