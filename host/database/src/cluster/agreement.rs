//! How a change reaches all hosts or none: one proposes it, every other one
//! prepares it and answers, and only then does it become durable.

use super::{Cluster, LOST_AFTER_MS, members::NOW_MS};
use host_api::cluster::{Member, PeerReport, Running, Serving, Status};
use host_base::id;
use serde::{Serialize, de::DeserializeOwned};
use std::time::{Duration, Instant};

/// How long the others may take to prepare a change.
const PREPARED_WITHIN: Duration = Duration::from_secs(30);
/// How long the proposer waits until the others run what was decided. Those
/// that take longer follow later; the report says so.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// A proposal that is older was made by a host that died.
const STALE_AFTER_MS: i64 = 60_000;

/// A change that another host is about to make.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Identifies it.
    pub id: String,
    /// What is to change.
    pub plugin: String,
    /// What is to be active then, as it was written.
    state: String,
}

/// A proposal under way. It is withdrawn when it has been decided on.
pub struct Agreement {
    id: String,
}

impl Proposal {
    /// What is to be active then.
    ///
    /// # Errors
    /// When a newer version of the host has proposed what this one does not
    /// understand.
    pub fn state<S: DeserializeOwned>(&self) -> serde_json::Result<S> {
        serde_json::from_str(&self.state)
    }
}

impl Cluster {
    /// Asks all live hosts to prepare a change, and waits until they have.
    /// The inner error names those that cannot, each with its reason.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn propose(&self, plugin: &str, state: &impl Serialize) -> sqlx::Result<Result<Agreement, Vec<String>>> {
        let agreement = Agreement { id: id::new().to_string() };
        let state = serde_json::to_string(state).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let sql =
            format!("INSERT INTO cluster_proposals (id, plugin, state, host, at_ms) VALUES ($1, $2, $3, $4, {NOW_MS})");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&agreement.id)
            .bind(plugin)
            .bind(state)
            .bind(&self.me.id)
            .execute(&self.database.write)
            .await?;
        self.announce().await;
        let begun = Instant::now();
        loop {
            let (open, problems) = self.answers(&agreement).await?;
            if !problems.is_empty() {
                self.withdraw(&agreement).await?;
                return Ok(Err(problems));
            }
            if open.is_empty() {
                return Ok(Ok(agreement));
            }
            if begun.elapsed() > PREPARED_WITHIN {
                self.withdraw(&agreement).await?;
                return Ok(Err(open.iter().map(|host| format!("{host} does not answer")).collect()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends a proposal, whatever came of it.
    ///
    /// # Errors
    /// When the database cannot be reached; it ends by itself after a while.
    pub async fn withdraw(&self, agreement: &Agreement) -> sqlx::Result<()> {
        for sql in ["DELETE FROM cluster_answers WHERE proposal = $1", "DELETE FROM cluster_proposals WHERE id = $1"] {
            sqlx::query(sql).bind(&agreement.id).execute(&self.database.write).await?;
        }
        Ok(())
    }

    /// What other hosts propose and this one has not answered.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn proposals(&self) -> sqlx::Result<Vec<Proposal>> {
        let sql = format!(
            "SELECT id, plugin, state FROM cluster_proposals WHERE host <> $1 AND at_ms > {NOW_MS} - {STALE_AFTER_MS} \
             AND id NOT IN (SELECT proposal FROM cluster_answers WHERE host = $1)"
        );
        let rows: Vec<(String, String, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(&self.me.id).fetch_all(&self.database.write).await?;
        Ok(rows.into_iter().map(|(id, plugin, state)| Proposal { id, plugin, state }).collect())
    }

    /// Says whether this host is prepared, or why it cannot be.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn answer(&self, proposal: &Proposal, problem: Option<&str>) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO cluster_answers (proposal, host, problem) \
             SELECT id, $2, $3 FROM cluster_proposals WHERE id = $1 ON CONFLICT DO NOTHING",
        )
        .bind(&proposal.id)
        .bind(&self.me.id)
        .bind(problem)
        .execute(&self.database.write)
        .await?;
        Ok(())
    }

    /// Waits until the others run a plugin as it was decided, for a bounded
    /// time, and says what became of it on each. None for a plugin that was
    /// removed.
    pub async fn followed(&self, plugin: &str, decided: Option<&Serving>) -> Vec<PeerReport> {
        let begun = Instant::now();
        loop {
            let Ok(members) = self.members.all().await else { return Vec::new() };
            let others = members.into_iter().filter(|one| one.id != self.me.id && one.status == Status::Ready);
            let reports: Vec<PeerReport> = others.map(|member| report(&member, plugin, decided)).collect();
            if reports.iter().all(|report| report.follows) || begun.elapsed() > FOLLOWED_WITHIN {
                return reports;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The hosts whose answer is still open, and the problems of those that
    /// have one. A host that dies meanwhile is not waited for.
    async fn answers(&self, agreement: &Agreement) -> sqlx::Result<(Vec<String>, Vec<String>)> {
        let sql = format!(
            "SELECT h.name, a.host IS NOT NULL, a.problem FROM cluster_hosts h \
             LEFT JOIN cluster_answers a ON a.proposal = $1 AND a.host = h.id \
             WHERE h.id <> $2 AND h.ready = 1 AND abs({NOW_MS} - h.seen_ms) < {LOST_AFTER_MS} ORDER BY h.name"
        );
        let rows: Vec<(String, bool, Option<String>)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(&agreement.id)
            .bind(&self.me.id)
            .fetch_all(&self.database.write)
            .await?;
        let open = rows.iter().filter(|(_, answered, _)| !answered).map(|(name, ..)| name.clone());
        let problems = rows.iter().filter_map(|(name, _, problem)| Some(format!("{name}: {}", problem.as_ref()?)));
        Ok((open.collect(), problems.collect()))
    }
}

fn report(member: &Member, plugin: &str, decided: Option<&Serving>) -> PeerReport {
    let running = member.plugins.get(plugin);
    let follows = match (running, decided) {
        (Some(running), Some(decided)) => runs_what_was_decided(running, decided),
        (None, None) => true,
        _ => false,
    };
    let problem = running.and_then(|running| running.behind.clone());
    PeerReport { host: member.name.clone(), follows, problem }
}

/// Whether a host runs the revision that was decided on, or the one of its own
/// binary in its place.
fn runs_what_was_decided(running: &Running, decided: &Serving) -> bool {
    let Serving { revision, canary, held } = &running.serving;
    let revision = running.instead_of.as_ref().unwrap_or(revision);
    (revision, canary, held) == (&decided.revision, &decided.canary, &decided.held)
}
