//! Access to the databases of a host: reading while it runs, and changes while
//! it is down.

use super::Setup;
use sqlx::{
    AnyConnection, AssertSqlSafe, Connection, Executor,
    any::{AnyRow, install_default_drivers},
};
use std::env;
use tokio::sync::Mutex;

/// Whether hosts keep their state in PostgreSQL in this pass of the tests.
pub(crate) fn on_postgres() -> bool {
    env::var_os("TICKETING_TESTS_ENGINE").is_some_and(|engine| engine == "postgres")
}

/// A read-only connection.
pub(crate) struct Database(Mutex<AnyConnection>);

impl Database {
    /// Opens a component's database, such as `components/orders.db`, or one of
    /// the host's own, `host.db` and `payments.db`. On PostgreSQL, the name
    /// selects the schema.
    pub(crate) async fn open(setup: &Setup, file: &str) -> Self {
        let mut connection = connect(setup, file, "ro").await;
        if setup.database_url().await.is_some() {
            connection.execute("SET default_transaction_read_only = on").await.unwrap();
        }
        Self(Mutex::new(connection))
    }

    /// The single value of the single row.
    pub(crate) async fn number(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&mut *self.0.lock().await).await.unwrap()
    }

    pub(crate) async fn rows<T>(&self, statement: &'static str) -> Vec<T>
    where
        T: for<'r> sqlx::FromRow<'r, AnyRow> + Send + Unpin,
    {
        sqlx::query_as(statement).fetch_all(&mut *self.0.lock().await).await.unwrap()
    }
}

/// Changes a database whose host is down.
pub(crate) async fn edit_database(setup: &Setup, file: &str, edit: impl AsyncFnOnce(&mut AnyConnection)) {
    let mut connection = connect(setup, file, "rw").await;
    edit(&mut connection).await;
    connection.close().await.unwrap();
}

async fn connect(setup: &Setup, file: &str, mode: &str) -> AnyConnection {
    install_default_drivers();
    let Some(url) = setup.database_url().await else {
        let path = setup.database(file);
        let connection = AnyConnection::connect(&format!("sqlite://{}?mode={mode}", path.display())).await;
        return connection.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    };
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let component = file.strip_prefix("components/").and_then(|file| file.strip_suffix(".db"));
    let statements = component.map_or_else(|| "SET search_path TO ticketing_host".to_owned(), views);
    connection.execute(AssertSqlSafe(statements)).await.unwrap();
    connection
}

/// Statements for views of the host's tables for a component. The views have the
/// names that the tables have in the component's own SQLite file.
fn views(component: &str) -> String {
    let tables = [
        ("migrations", "name, digest, at_ms"),
        ("outbox", "sequence, id, subject, source, time_ms, traceparent, payload"),
        ("inbox", "event_id, at_ms"),
        ("requests", "request, fingerprint, holder, attempt, at_ms, ends_ms, answer"),
        ("timers", "generation, key, due_ms, payload, attempt, traceparent"),
    ];
    let views = tables.map(|(table, columns)| {
        format!(
            "CREATE TEMPORARY VIEW host_{table} AS
             SELECT {columns} FROM ticketing_host.store_{table} WHERE component = '{component}';"
        )
    });
    format!("SET search_path TO \"c_{component}\"; {}", views.join("\n"))
}
