//! Who there is: a row for each host, which it renews while it lives. The
//! database's clock decides, since those of the hosts may differ.

use super::{Identity, LOST_AFTER_MS};
use crate::HostDatabase;
use host_api::cluster::{Member, Runs, Status};
use host_base::Dialect;
use std::collections::BTreeMap;

/// The database's time, see [`Dialect::now_ms`].
pub(super) const NOW_MS: &str = Dialect::Postgres.now_ms();
/// A host that ended without a word is shown for this long.
const FORGOTTEN_AFTER_MS: i64 = 600_000;

const SCHEMA: &[&str] = &["
    CREATE TABLE cluster_hosts (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL,
        started_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, ready INTEGER NOT NULL, runs TEXT NOT NULL) STRICT;
    CREATE TABLE cluster_proposals (
        id TEXT PRIMARY KEY, plugin TEXT NOT NULL, state TEXT NOT NULL, host TEXT NOT NULL,
        at_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE cluster_answers (
        proposal TEXT NOT NULL, host TEXT NOT NULL, problem TEXT, PRIMARY KEY (proposal, host)) STRICT;
"];

impl Identity {
    /// This host as the only member, with a database of its own.
    pub fn only_member(&self, ready: bool, plugins: Runs) -> Member {
        Member {
            id: self.id.clone(),
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms: self.started_ms,
            seen_ms_ago: 0,
            status: if ready { Status::Ready } else { Status::Starting },
            plugins,
        }
    }
}

type Row = (String, String, String, i64, i64, i64, String);

/// The table of hosts.
pub(super) struct Members {
    database: HostDatabase,
}

impl Members {
    pub(super) async fn open(database: HostDatabase) -> sqlx::Result<Self> {
        database.ensure("cluster", SCHEMA).await?;
        Ok(Self { database })
    }

    /// Says that this host lives, and what it runs.
    pub(super) async fn beat(&self, me: &Identity, ready: bool, runs: &Runs) -> sqlx::Result<()> {
        let runs = serde_json::to_string(runs).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let sql = format!(
            "INSERT INTO cluster_hosts (id, name, version, started_ms, seen_ms, ready, runs) \
             VALUES ($1, $2, $3, $4, {NOW_MS}, $5, $6) \
             ON CONFLICT (id) DO UPDATE SET seen_ms = excluded.seen_ms, ready = excluded.ready, runs = excluded.runs"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&me.id)
            .bind(&me.name)
            .bind(env!("CARGO_PKG_VERSION"))
            .bind(me.started_ms)
            .bind(i64::from(ready))
            .bind(runs)
            .execute(&self.database.write)
            .await?;
        Ok(())
    }

    /// Takes a host that ends out, and those that ended long ago.
    pub(super) async fn leave(&self, me: &Identity) -> sqlx::Result<()> {
        let sql = format!("DELETE FROM cluster_hosts WHERE id = $1 OR seen_ms < {NOW_MS} - {FORGOTTEN_AFTER_MS}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&me.id).execute(&self.database.write).await?;
        Ok(())
    }

    /// All of them, the oldest first.
    pub(super) async fn all(&self) -> sqlx::Result<Vec<Member>> {
        let sql = format!(
            "SELECT id, name, version, started_ms, {NOW_MS} - seen_ms, ready, runs \
             FROM cluster_hosts ORDER BY started_ms, id"
        );
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&self.database.read).await?;
        let member = |(id, name, version, started_ms, seen_ms_ago, ready, runs): Row| Member {
            id,
            name,
            version,
            started_ms,
            seen_ms_ago,
            status: match (seen_ms_ago.abs() > LOST_AFTER_MS, ready) {
                (true, _) => Status::Lost,
                (false, 0) => Status::Starting,
                _ => Status::Ready,
            },
            plugins: read(&runs),
        };
        Ok(rows.into_iter().map(member).collect())
    }
}

/// What another version of the host writes may be unknown to this one: what it
/// does not understand of one plugin hides no other.
fn read(runs: &str) -> Runs {
    let runs: BTreeMap<String, serde_json::Value> = serde_json::from_str(runs).unwrap_or_default();
    let known = |(plugin, running)| Some((plugin, serde_json::from_value(running).ok()?));
    runs.into_iter().filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_api::cluster::{Running, Serving};

    #[test]
    fn what_another_version_runs_is_read_as_far_as_it_is_understood() {
        let runs = r#"{"a": {"revision": "r1", "mood": ["good"]}, "b": "all of it", "c": {"revision": 3}}"#;
        let serving = Serving { revision: "r1".to_owned(), ..Serving::default() };
        let running = Running { serving, ..Running::default() };
        assert_eq!(read(runs), Runs::from([("a".to_owned(), running)]));
        assert!(read("[]").is_empty() && read("").is_empty());
    }
}
