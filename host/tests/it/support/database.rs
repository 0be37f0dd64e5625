//! The databases of a host, read while it runs or changed while it is down.

use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};
use std::path::Path;
use tokio::sync::Mutex;

/// A connection that only reads.
pub(crate) struct Database(Mutex<SqliteConnection>);

impl Database {
    pub(crate) async fn open(path: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let connection = options.disable_statement_logging().connect().await;
        Self(Mutex::new(connection.unwrap_or_else(|error| panic!("{}: {error}", path.display()))))
    }

    /// The only value of the only row.
    pub(crate) async fn number(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&mut *self.0.lock().await).await.unwrap()
    }

    pub(crate) async fn rows<T>(&self, statement: &'static str) -> Vec<T>
    where
        T: for<'r> sqlx::FromRow<'r, SqliteRow> + Send + Unpin,
    {
        sqlx::query_as(statement).fetch_all(&mut *self.0.lock().await).await.unwrap()
    }
}

/// Changes a database whose host is down.
pub(crate) async fn edit_database(path: &Path, edit: impl AsyncFnOnce(&mut SqliteConnection)) {
    let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
    let mut connection = options.connect().await.unwrap();
    edit(&mut connection).await;
    connection.close().await.unwrap();
}
