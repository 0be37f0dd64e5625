//! The audit: who did what, when, and to which digest.
//!
//! A row is durable before the caller has its answer, and rows never change. If
//! there are too many rows, the oldest ones are deleted.

mod entry;
#[cfg(test)]
mod tests;

pub use entry::{Entry, Outcome};

use crate::HostDatabase;
use host_api::audit::AuditRow;
use host_base::{Dialect, clock::now_ms, text::truncate};
use sqlx::{AnyConnection, AssertSqlSafe};
use std::collections::BTreeSet;

/// The names of the actors that have no token of their own.
pub mod actor {
    /// The holder of the token in the settings.
    pub const OPERATOR: &str = "operator";
    /// The host itself.
    pub const HOST: &str = "host";
}

const SCHEMA: &[&str] = &["CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        plugin TEXT,
        revision TEXT,
        digest TEXT,
        outcome TEXT NOT NULL,
        detail TEXT) STRICT;
     CREATE INDEX audit_plugin ON audit (plugin, id);
     CREATE INDEX audit_refused ON audit (outcome = 'refused', id);
     CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit'); END"];

/// The same schema for PostgreSQL. Its syntax of triggers and indexes differs.
const POSTGRES_SCHEMA: &[&str] = &["CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        plugin TEXT,
        revision TEXT,
        digest TEXT,
        outcome TEXT NOT NULL,
        detail TEXT);
     CREATE INDEX audit_plugin ON audit (plugin, id);
     CREATE INDEX audit_refused ON audit ((outcome = 'refused'), id);
     CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'audit'; END $$;
     CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit EXECUTE FUNCTION refuse_change()"];

/// The longest text in a column. A longer text is truncated.
const MAX_TEXT_BYTES: usize = 1 << 10;
/// Old rows are deleted once per this number of rows, because the deletion reads
/// all rows.
const PRUNE_EVERY_ROWS: i64 = 32;

/// The columns of a row, in the order of the query.
type Row = (i64, i64, String, String, Option<String>, Option<String>, Option<String>, String, Option<String>);

/// Writes and reads the audit. It lives as long as the host.
#[derive(Debug, Clone)]
pub struct Audit {
    database: HostDatabase,
    max_rows: u32,
}

/// The values that rows must have to be listed.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// The actor.
    pub actor: Option<String>,
    /// The plugin.
    pub plugin: Option<String>,
    /// The action.
    pub action: Option<String>,
}

/// The rows that a reader may see.
pub enum AuditScope {
    /// All rows.
    All,
    /// The rows of all plugins. Rows about tokens and their rights are not among
    /// them.
    Plugins,
    /// The rows of the plugins with these names.
    Named(BTreeSet<String>),
}

impl Audit {
    /// Opens the audit. It keeps about `max_rows` rows with the outcome
    /// `refused`, and about as many rows with other outcomes. So refusals cannot
    /// push out the other rows.
    ///
    /// # Errors
    /// If the tables cannot be created.
    pub async fn open(database: HostDatabase, max_rows: u32) -> sqlx::Result<Self> {
        let schema = match database.dialect() {
            Dialect::Sqlite => SCHEMA,
            Dialect::Postgres => POSTGRES_SCHEMA,
        };
        database.ensure_schema("audit", schema).await?;
        Ok(Self { database, max_rows })
    }

    /// Adds a row. The row is durable when this returns.
    ///
    /// # Errors
    /// If the row cannot be written. The error is logged here.
    pub async fn record(&self, actor: &str, entry: &Entry<'_>) -> sqlx::Result<()> {
        let written = async {
            let mut transaction = self.database.begin("audit").await?;
            self.record_in(&mut transaction, actor, entry).await?;
            transaction.commit().await
        };
        self.database.unless_silent(written).await.inspect_err(|error| {
            tracing::error!(%error, action = entry.action, actor, "the host cannot write to the audit");
        })
    }

    /// Adds a row in a transaction of the host's database. So the row exists if
    /// and only if the change of that transaction exists.
    ///
    /// # Errors
    /// If the row cannot be written.
    pub async fn record_in(&self, connection: &mut AnyConnection, actor: &str, entry: &Entry<'_>) -> sqlx::Result<()> {
        let short = |text| truncate(text, MAX_TEXT_BYTES);
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO audit (time_ms, actor, action, plugin, revision, digest, outcome, detail)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        )
        .bind(now_ms().cast_signed())
        .bind(actor)
        .bind(entry.action)
        .bind(entry.plugin.map(short))
        .bind(entry.revision.map(short))
        .bind(entry.digest.map(short))
        .bind(entry.outcome.as_str())
        .bind(entry.detail.map(short))
        .fetch_one(&mut *connection)
        .await?;
        match id % PRUNE_EVERY_ROWS {
            0 => self.prune(connection).await,
            _ => Ok(()),
        }
    }

    async fn prune(&self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        for refused in [false, true] {
            sqlx::query(
                "DELETE FROM audit WHERE (outcome = 'refused') = $1 AND id <= (
                    SELECT id FROM audit WHERE (outcome = 'refused') = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
            )
            .bind(refused)
            .bind(i64::from(self.max_rows))
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }

    /// Lists the rows before the row with the id `before`, newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list(
        &self,
        scope: &AuditScope,
        filter: &AuditFilter,
        before: Option<u64>,
        limit_rows: u32,
    ) -> sqlx::Result<Vec<AuditRow>> {
        let mut values: Vec<&str> = Vec::new();
        let mut parameter = |value| {
            values.push(value);
            format!("${}", values.len() + 2)
        };
        let mut condition = match scope {
            AuditScope::All => String::new(),
            AuditScope::Plugins => " AND plugin IS NOT NULL".to_owned(),
            AuditScope::Named(plugins) => {
                let parameters: Vec<String> = plugins.iter().map(|plugin| parameter(plugin.as_str())).collect();
                format!(" AND plugin IN ({})", parameters.join(", "))
            }
        };
        for (column, value) in [("actor", &filter.actor), ("plugin", &filter.plugin), ("action", &filter.action)] {
            if let Some(value) = value {
                condition.push_str(&format!(" AND {column} = {}", parameter(value)));
            }
        }
        let statement = format!(
            "SELECT id, time_ms, actor, action, plugin, revision, digest, outcome, detail FROM audit
             WHERE id < $1{condition} ORDER BY id DESC LIMIT $2"
        );
        // The inserted text has parameters but no values.
        let mut query = sqlx::query_as(AssertSqlSafe(statement))
            .bind(before.and_then(|id| i64::try_from(id).ok()).unwrap_or(i64::MAX))
            .bind(i64::from(limit_rows));
        for value in values {
            query = query.bind(value);
        }
        let rows: Vec<Row> = query.fetch_all(&self.database.read).await?;
        Ok(rows.into_iter().map(audit_row).collect())
    }
}

fn audit_row((id, time_ms, actor, action, plugin, revision, digest, outcome, detail): Row) -> AuditRow {
    AuditRow { id, time_ms, actor, action, plugin, revision, digest, outcome, detail }
}
