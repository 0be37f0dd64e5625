//! The host's own tables in a component's file, and the component's
//! migrations.

use super::{
    super::{Error, MigrationError, Value, describe},
    connection::Connection,
    errors::Failure,
    transaction::SqliteTransaction,
};
use host_base::clock::now_ms;
use host_sql::Migration;
use std::sync::Arc;

const HOST_TABLES: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS host_migrations (
        name TEXT PRIMARY KEY, digest TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS host_outbox (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, subject TEXT NOT NULL, source TEXT NOT NULL,
        time_ms INTEGER NOT NULL, traceparent TEXT, payload BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS host_inbox (
        event_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS host_inbox_age ON host_inbox (at_ms);
    CREATE TABLE IF NOT EXISTS host_timers (
        generation INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, due_ms INTEGER NOT NULL,
        payload BLOB NOT NULL, attempt INTEGER NOT NULL, traceparent TEXT) STRICT;
    CREATE INDEX IF NOT EXISTS host_timers_due ON host_timers (due_ms);
    COMMIT";

pub(super) async fn create_host_tables(connection: &mut Connection) -> Result<(), Failure> {
    connection.control(HOST_TABLES).await
}

impl SqliteTransaction {
    /// Applies a migration unless it was applied before. Whether it did.
    pub(super) async fn migrate(
        &mut self,
        migration: &Migration,
        statements: &[String],
    ) -> Result<bool, MigrationError> {
        let failed = |error: Error| MigrationError::Failed { name: migration.name.clone(), reason: describe(&error) };
        let digest = migration.digest();
        let name = Value::Text(migration.name.clone());
        let applied = self
            .read("SELECT digest FROM host_migrations WHERE name = $1", vec![name.clone()])
            .await
            .map_err(failed)?;
        if let Some(row) = applied.rows.first() {
            let same = matches!(row.first(), Some(Value::Text(before)) if *before == digest);
            return if same { Ok(false) } else { Err(MigrationError::Changed(migration.name.clone())) };
        }
        for statement in statements {
            self.run_schema_change(&Arc::from(statement.as_str())).await.map_err(failed)?;
        }
        let at_ms = Value::Integer(super::clamp(now_ms()));
        self.run(
            "INSERT INTO host_migrations (name, digest, at_ms) VALUES ($1, $2, $3)",
            vec![name, Value::Text(digest), at_ms],
        )
        .await
        .map_err(failed)?;
        Ok(true)
    }
}
