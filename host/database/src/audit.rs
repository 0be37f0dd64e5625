//! Who did what, when, to which digest. Rows are only ever added, are durable
//! before the caller has the answer, and the oldest go when there are too many.

use crate::HostDatabase;
use host_api::audit::AuditRow;
use host_base::{Dialect, clock::now_ms};
use sqlx::{AnyConnection, AssertSqlSafe};
use std::collections::BTreeSet;

/// The names of those who act without a token.
pub mod actor {
    /// Who has the token of the settings.
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

/// The same for PostgreSQL, whose triggers and indexes are written otherwise.
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

/// The longest text of a column; what follows is cut.
const MAX_TEXT_BYTES: usize = 1 << 10;
/// Old rows go once in so many, because it takes a look at all that are kept.
const PRUNE_EVERY_ROWS: i64 = 32;

/// Writes and reads the audit. It lives as long as the host.
#[derive(Debug, Clone)]
pub struct Audit {
    database: HostDatabase,
    max_rows: u32,
}

/// One row to be written. Secrets have no place in it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Such as `activate`.
    pub action: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// The plugin that it concerns; none: the host.
    pub plugin: Option<&'a str>,
    /// Of the plugin.
    pub revision: Option<&'a str>,
    /// Of the revision.
    pub digest: Option<&'a str>,
    /// What else is worth knowing, such as why it was refused.
    pub detail: Option<&'a str>,
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it was asked for.
    Done,
    /// The caller may not do it, or what was asked for is not acceptable.
    Refused,
    /// It should have worked, and did not.
    Failed,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl<'a> Entry<'a> {
    /// To be completed with what is known: `Entry { plugin, ..Entry::new(..) }`.
    pub fn new(action: &'a str, outcome: Outcome) -> Self {
        Self { action, outcome, plugin: None, revision: None, digest: None, detail: None }
    }
}

type Row = (i64, i64, String, String, Option<String>, Option<String>, Option<String>, String, Option<String>);

impl Audit {
    /// Keeps about so many rows of what was done, and as many of what was
    /// refused: refusals cannot push out what was done.
    pub async fn open(database: HostDatabase, max_rows: u32) -> sqlx::Result<Self> {
        let schema = match database.dialect() {
            Dialect::Sqlite => SCHEMA,
            Dialect::Postgres => POSTGRES_SCHEMA,
        };
        database.ensure("audit", schema).await?;
        Ok(Self { database, max_rows })
    }

    /// Adds a row. It is durable when this returns.
    ///
    /// # Errors
    /// When it cannot be written; that is in the log then.
    pub async fn record(&self, actor: &str, entry: &Entry<'_>) -> sqlx::Result<()> {
        let written = async {
            let mut transaction = self.database.begin("audit").await?;
            self.record_in(&mut transaction, actor, entry).await?;
            transaction.commit().await
        };
        written.await.inspect_err(|error| {
            tracing::error!(%error, action = entry.action, actor, "the audit cannot be written");
        })
    }

    /// Adds a row in a transaction of the host's database, so that it is there
    /// if and only if the change is.
    pub async fn record_in(&self, connection: &mut AnyConnection, actor: &str, entry: &Entry<'_>) -> sqlx::Result<()> {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO audit (time_ms, actor, action, plugin, revision, digest, outcome, detail)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        )
        .bind(now_ms().cast_signed())
        .bind(actor)
        .bind(entry.action)
        .bind(entry.plugin.map(cut))
        .bind(entry.revision.map(cut))
        .bind(entry.digest.map(cut))
        .bind(entry.outcome.as_str())
        .bind(entry.detail.map(cut))
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

    /// What was done before the row with this id, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list(&self, seen: &Seen, before: Option<u64>, limit_rows: u32) -> sqlx::Result<Vec<AuditRow>> {
        let (which, plugins) = match seen {
            Seen::All => (String::new(), None),
            Seen::Plugins => (" AND plugin IS NOT NULL".to_owned(), None),
            Seen::Bound(plugins) => {
                let names: Vec<String> = (0..plugins.len()).map(|index| format!("${}", index + 3)).collect();
                (format!(" AND plugin IN ({})", names.join(", ")), Some(plugins))
            }
        };
        let statement = format!(
            "SELECT id, time_ms, actor, action, plugin, revision, digest, outcome, detail FROM audit
             WHERE id < $1{which} ORDER BY id DESC LIMIT $2"
        );
        // Nothing but the numbers of parameters was put into it.
        let mut query = sqlx::query_as(AssertSqlSafe(statement))
            .bind(before.and_then(|id| i64::try_from(id).ok()).unwrap_or(i64::MAX))
            .bind(i64::from(limit_rows));
        for plugin in plugins.into_iter().flatten() {
            query = query.bind(plugin);
        }
        let rows: Vec<Row> = query.fetch_all(&self.database.read).await?;
        Ok(rows.into_iter().map(audit_row).collect())
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or(text)
}

/// Which rows somebody may see.
pub enum Seen {
    /// All of them.
    All,
    /// What concerns a plugin, and not who may do what.
    Plugins,
    /// What concerns these plugins.
    Bound(BTreeSet<String>),
}

fn audit_row((id, time_ms, actor, action, plugin, revision, digest, outcome, detail): Row) -> AuditRow {
    AuditRow { id, time_ms, actor, action, plugin, revision, digest, outcome, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_test_support::{TestDatabase, on_both_engines};

    on_both_engines! {
        refusals_are_bounded_and_do_not_push_out_what_was_done
        rows_are_seen_by_those_whose_plugins_they_concern
        rows_cannot_be_changed_and_long_texts_are_cut
    }

    async fn open(place: &TestDatabase, max_rows: u32) -> Audit {
        Audit::open(place.open().await, max_rows).await.unwrap()
    }

    async fn count(audit: &Audit, outcome: &str) -> usize {
        let rows = audit.list(&Seen::All, None, 1_000).await.unwrap();
        rows.iter().filter(|row| row.outcome == outcome).count()
    }

    async fn refusals_are_bounded_and_do_not_push_out_what_was_done(place: TestDatabase) {
        let audit = open(&place, 20).await;
        let ci = "ci";
        for _ in 0..5 {
            audit.record(ci, &Entry::new("activate", Outcome::Done)).await.unwrap();
        }
        for _ in 0..200 {
            audit.record(ci, &Entry::new("activate", Outcome::Refused)).await.unwrap();
        }
        assert_eq!(count(&audit, "done").await, 5);
        assert!((20..20 + 32).contains(&count(&audit, "refused").await));
        for _ in 0..200 {
            audit.record(ci, &Entry::new("activate", Outcome::Done)).await.unwrap();
        }
        assert!((20..20 + 32).contains(&count(&audit, "done").await));
    }

    async fn rows_are_seen_by_those_whose_plugins_they_concern(place: TestDatabase) {
        let audit = open(&place, 100).await;
        for plugin in [Some("a"), Some("b"), None] {
            let entry = Entry { plugin, ..Entry::new("x", Outcome::Done) };
            audit.record(actor::OPERATOR, &entry).await.unwrap();
        }
        let listed = async |seen: Seen| {
            let rows = audit.list(&seen, None, 10).await.unwrap();
            rows.into_iter().map(|row| row.plugin.unwrap_or_default()).collect::<Vec<_>>()
        };
        assert_eq!(listed(Seen::All).await, ["", "b", "a"]);
        assert_eq!(listed(Seen::Plugins).await, ["b", "a"]);
        assert_eq!(listed(Seen::Bound(BTreeSet::from(["a".to_owned()]))).await, ["a"]);
    }

    async fn rows_cannot_be_changed_and_long_texts_are_cut(place: TestDatabase) {
        let audit = open(&place, 100).await;
        let long = "ä".repeat(2_000);
        let entry = Entry { plugin: Some(&long), ..Entry::new("x", Outcome::Failed) };
        audit.record(actor::HOST, &entry).await.unwrap();
        let rows = audit.list(&Seen::All, None, 10).await.unwrap();
        assert_eq!(rows[0].plugin.as_ref().unwrap().len(), MAX_TEXT_BYTES);
        assert!(sqlx::query("UPDATE audit SET actor = 'x'").execute(&audit.database.write).await.is_err());
        let before = audit.list(&Seen::All, Some(rows[0].id.unsigned_abs()), 10).await.unwrap();
        assert!(before.is_empty());
    }
}
