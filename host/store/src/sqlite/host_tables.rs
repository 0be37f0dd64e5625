//! The host's own tables in a component's file.

use super::{errors::Failure, writing::Writing};

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
    CREATE TABLE IF NOT EXISTS host_requests (
        request TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, holder TEXT NOT NULL, attempt TEXT NOT NULL,
        at_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL, answer BLOB) STRICT;
    CREATE INDEX IF NOT EXISTS host_requests_holder ON host_requests (holder, at_ms);
    CREATE INDEX IF NOT EXISTS host_requests_age ON host_requests (at_ms);
    CREATE TABLE IF NOT EXISTS host_live (
        sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, total_bytes INTEGER NOT NULL,
        channel TEXT NOT NULL, name TEXT NOT NULL, data TEXT NOT NULL) STRICT;
    COMMIT";

/// Creates the tables that do not exist.
pub(super) async fn create(connection: &Writing) -> Result<(), Failure> {
    connection.batch(HOST_TABLES).await
}
