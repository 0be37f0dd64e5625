//! How a change reaches all hosts or none. One host proposes the change, every
//! other host prepares it and answers, and only then the change becomes durable.

use super::{Cluster, LOST_AFTER_MS, members::NOW_MS};
use host_api::cluster::{Member, PeerReport, RunningPlugin, Serving, Status};
use host_base::id;
use serde::{Serialize, de::DeserializeOwned};
use std::time::{Duration, Instant};

/// The time that the other hosts have to prepare a change.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that the proposer waits until the other hosts run the decided
/// revision. Slower hosts follow later, and the report says so.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// The host that made an older proposal has died.
const STALE_AFTER_MS: i64 = 60_000;

/// A change that another host wants to make.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The identifier of the proposal.
    pub id: String,
    /// The plugin that changes.
    pub plugin: String,
    /// The proposed state, as JSON.
    state: String,
}

/// A proposal that all hosts have agreed to. It is withdrawn after the decision.
pub struct Agreement {
    id: String,
}

impl Proposal {
    /// The proposed state.
    ///
    /// # Errors
    /// If a newer version of the host has made the proposal, and this host does
    /// not understand it.
    pub fn state<S: DeserializeOwned>(&self) -> serde_json::Result<S> {
        serde_json::from_str(&self.state)
    }
}

impl Cluster {
    /// Asks all live hosts to prepare a change, and waits for their answers. The
    /// inner error lists the hosts that cannot prepare it, with their reasons.
    ///
    /// # Errors
    /// If the database cannot be reached.
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
            let (waiting, problems) = self.answers(&agreement).await?;
            if !problems.is_empty() {
                self.withdraw(&agreement).await?;
                return Ok(Err(problems));
            }
            if waiting.is_empty() {
                return Ok(Ok(agreement));
            }
            if begun.elapsed() > PREPARE_TIMEOUT {
                self.withdraw(&agreement).await?;
                return Ok(Err(waiting.iter().map(|host| format!("{host} does not answer")).collect()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Ends a proposal after the decision.
    ///
    /// # Errors
    /// If the database cannot be reached. The proposal then expires after a
    /// while.
    pub async fn withdraw(&self, agreement: &Agreement) -> sqlx::Result<()> {
        for sql in ["DELETE FROM cluster_answers WHERE proposal = $1", "DELETE FROM cluster_proposals WHERE id = $1"] {
            sqlx::query(sql).bind(&agreement.id).execute(&self.database.write).await?;
        }
        Ok(())
    }

    /// The proposals of other hosts that this host has not answered yet.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn open_proposals(&self) -> sqlx::Result<Vec<Proposal>> {
        let sql = format!(
            "SELECT id, plugin, state FROM cluster_proposals WHERE host <> $1 AND at_ms > {NOW_MS} - {STALE_AFTER_MS} \
             AND id NOT IN (SELECT proposal FROM cluster_answers WHERE host = $1)"
        );
        let rows: Vec<(String, String, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(&self.me.id).fetch_all(&self.database.write).await?;
        Ok(rows.into_iter().map(|(id, plugin, state)| Proposal { id, plugin, state }).collect())
    }

    /// Answers a proposal. Without a problem, this host is prepared.
    ///
    /// # Errors
    /// If the database cannot be reached.
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

    /// Waits until the other hosts run the decided revisions of a plugin, for a
    /// limited time, and reports on each host. `decided` is `None` for a plugin
    /// that was removed.
    pub async fn wait_for_followers(&self, plugin: &str, decided: Option<&Serving>) -> Vec<PeerReport> {
        let begun = Instant::now();
        loop {
            let Ok(members) = self.members.all().await else { return Vec::new() };
            let others = members.into_iter().filter(|one| one.id != self.me.id && one.status == Status::Ready);
            let reports: Vec<PeerReport> = others.map(|member| report(&member, plugin, decided)).collect();
            if reports.iter().all(|report| report.follows) || begun.elapsed() > FOLLOW_TIMEOUT {
                return reports;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// The live hosts that have not answered yet, and the problems of those that
    /// have.
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
        let waiting = rows.iter().filter(|(_, answered, _)| !answered).map(|(name, ..)| name.clone());
        let problems = rows.iter().filter_map(|(name, _, problem)| Some(format!("{name}: {}", problem.as_ref()?)));
        Ok((waiting.collect(), problems.collect()))
    }
}

fn report(member: &Member, plugin: &str, decided: Option<&Serving>) -> PeerReport {
    let running = member.plugins.get(plugin);
    let follows = match (running, decided) {
        (Some(running), Some(decided)) => follows(running, decided),
        (None, None) => true,
        _ => false,
    };
    let problem = running.and_then(|running| running.behind.clone());
    PeerReport { host: member.name.clone(), follows, problem }
}

/// Whether a host runs the decided revisions, or those of its own binary in
/// their place.
fn follows(running: &RunningPlugin, decided: &Serving) -> bool {
    let Serving { revision, canary, held } = &running.serving;
    let revision = running.instead_of.as_ref().unwrap_or(revision);
    (revision, canary, held) == (&decided.revision, &decided.canary, &decided.held)
}
