//! `/cluster`: which hosts share the work, what each runs, and what waits.

use super::{Operator, caller::Caller};
use axum::{Json, extract::State};
use futures::future::join_all;
use host_base::clock::now_ms;
use host_database::cluster::Member;
use host_http::error::{Envelope, Problem, Refusal};
use host_plugin::Revision;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// The hosts on one database.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClusterView {
    /// The id of the host that answers.
    this: String,
    /// All of them, the oldest first, with those that were lost lately.
    hosts: Vec<Member>,
    /// What waits, by plugin, whichever host will do it.
    lag: BTreeMap<String, LagView>,
}

/// How long the oldest work of a plugin has waited.
#[derive(Debug, Default, Serialize, ToSchema)]
struct LagView {
    /// Since the oldest event that is not on the bus was committed, in
    /// milliseconds.
    outbox_ms: u64,
    /// Since the timer that is longest overdue was due, in milliseconds.
    timers_ms: u64,
}

/// Which hosts there are, what each runs, and what waits.
#[utoipa::path(get, path = "/cluster", tag = "cluster", responses(
    (status = 200, body = ClusterView),
    (status = 503, body = Envelope, description = "The database does not answer"),
))]
pub(super) async fn show(State(operator): State<Arc<Operator>>, _: Caller) -> Result<Json<ClusterView>, Problem> {
    let unavailable = |error| {
        tracing::warn!(?error, "the cluster cannot be shown");
        Refusal::Unavailable
    };
    let hosts = match &operator.cluster {
        Some(cluster) => cluster.hosts().await.map_err(unavailable)?,
        None => vec![Member::alone(&operator.me, operator.is_ready(), operator.rollout.runs())],
    };
    let snapshot = operator.rollout.registry.snapshot();
    let lags = snapshot.plugins().map(|plugin| lag(&plugin.revision));
    let lag = join_all(lags).await.into_iter().flatten().collect();
    Ok(Json(ClusterView { this: operator.me.id.clone(), hosts, lag }))
}

/// None for a plugin that has no database, or one that does not answer.
async fn lag(revision: &Revision) -> Option<(String, LagView)> {
    let database = revision.database.as_ref()?;
    let (outbox, timer) = (database.outbox(0, 1).await.ok()?, database.next_timer_ms().await.ok()?);
    let since = |at_ms: Option<u64>| at_ms.map_or(0, |at_ms| now_ms().saturating_sub(at_ms));
    let oldest = outbox.first().map(|oldest| oldest.event.time_ms);
    Some((revision.name().to_owned(), LagView { outbox_ms: since(oldest), timers_ms: since(timer) }))
}
