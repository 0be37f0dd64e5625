//! The members of the cluster: a row for each host, which the host renews while
//! it lives. The database's clock decides, because the clocks of the hosts may
//! differ.

use super::{HostIdentity, LOST_AFTER_MS};
use crate::HostDatabase;
use host_api::cluster::{Member, RunningPlugins, Status};
use host_base::Dialect;
use std::collections::BTreeMap;

/// The database's time, see [`Dialect::now_ms`].
pub(super) const NOW_MS: &str = Dialect::Postgres.now_ms();
/// A lost host is shown for this time.
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

impl HostIdentity {
    /// This host as the only member, with a database of its own.
    pub fn only_member(&self, ready: bool, plugins: RunningPlugins) -> Member {
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

fn member((id, name, version, started_ms, seen_ms_ago, ready, plugins): Row) -> Member {
    let status = match (seen_ms_ago.abs() > LOST_AFTER_MS, ready) {
        (true, _) => Status::Lost,
        (false, 0) => Status::Starting,
        _ => Status::Ready,
    };
    Member { id, name, version, started_ms, seen_ms_ago, status, plugins: parse(&plugins) }
}

/// Reads what a host runs. A host of another version may write something about
/// a plugin that this host does not understand. That plugin is left out, and the
/// others are kept.
fn parse(json: &str) -> RunningPlugins {
    let plugins: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    let understood = |(plugin, running)| Some((plugin, serde_json::from_value(running).ok()?));
    plugins.into_iter().filter_map(understood).collect()
}

/// The table of hosts.
pub(super) struct Members {
    database: HostDatabase,
}

impl Members {
    pub(super) async fn open(database: HostDatabase) -> sqlx::Result<Self> {
        database.ensure_schema("cluster", SCHEMA).await?;
        Ok(Self { database })
    }

    /// Renews the row of a host.
    pub(super) async fn heartbeat(&self, me: &HostIdentity, ready: bool, plugins: &RunningPlugins) -> sqlx::Result<()> {
        let plugins = serde_json::to_string(plugins).map_err(|error| sqlx::Error::Encode(error.into()))?;
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
            .bind(plugins)
            .execute(&self.database.write)
            .await?;
        Ok(())
    }

    /// Deletes the row of a host that ends, so that no other host waits for it.
    /// Deletes the rows of hosts that were lost long ago, too.
    pub(super) async fn leave(&self, me: &HostIdentity) -> sqlx::Result<()> {
        let sql = format!("DELETE FROM cluster_hosts WHERE id = $1 OR seen_ms < {NOW_MS} - {FORGOTTEN_AFTER_MS}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&me.id).execute(&self.database.write).await?;
        Ok(())
    }

    /// Reads all hosts, the oldest first.
    pub(super) async fn all(&self) -> sqlx::Result<Vec<Member>> {
        let sql = format!(
            "SELECT id, name, version, started_ms, {NOW_MS} - seen_ms, ready, runs \
             FROM cluster_hosts ORDER BY started_ms, id"
        );
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&self.database.read).await?;
        Ok(rows.into_iter().map(member).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_api::cluster::{RunningPlugin, Serving};

    #[test]
    fn plugins_that_another_version_runs_are_read_without_unknown_fields() {
        let json = r#"{"a": {"revision": "r1", "mood": ["good"]}, "b": "all of it", "c": {"revision": 3}}"#;
        let serving = Serving { revision: "r1".to_owned(), ..Serving::default() };
        let running = RunningPlugin { serving, ..RunningPlugin::default() };
        assert_eq!(parse(json), RunningPlugins::from([("a".to_owned(), running)]));
        assert!(parse("[]").is_empty() && parse("").is_empty());
    }
}
