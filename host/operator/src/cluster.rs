//! `/cluster`: the hosts that share the work, and the work that waits.

use super::{Operator, caller::Caller, redact::Redaction};
use axum::{Json, extract::State};
use futures::future::join_all;
use host_api::{
    cluster::{ClusterView, LagView, RunningPlugin},
    error::Envelope,
};
use host_base::{clock::now_ms, text};
use host_http::error::{Problem, Refusal};
use host_plugin::Revision;
use std::sync::Arc;

/// The most subjects of a plugin in the answer.
const MAX_SUBJECTS: usize = 20;

/// The hosts, the revisions that each of them runs, and the work that waits.
#[utoipa::path(get, path = "/cluster", tag = "cluster", responses(
    (status = 200, body = ClusterView),
    (status = 503, body = Envelope, description = "The database does not answer"),
))]
pub(super) async fn show(State(operator): State<Arc<Operator>>, caller: Caller) -> Result<Json<ClusterView>, Problem> {
    let unavailable = |error| {
        tracing::warn!(?error, "the host cannot read the state of the cluster");
        Refusal::Unavailable
    };
    let mut hosts = match &operator.cluster {
        Some(cluster) => cluster.hosts().await.map_err(unavailable)?,
        None => vec![operator.this_host.only_member(operator.is_ready(), operator.rollout.runs())],
    };
    let snapshot = operator.rollout.registry.snapshot();
    let redaction = Redaction::of(&operator, &caller);
    for host in &mut hosts {
        host.plugins.retain(|name, _| caller.covers(name));
        host.plugins.values_mut().for_each(|running| shorten(running, &redaction));
    }
    let covered = snapshot.plugins().filter(|plugin| caller.covers(plugin.revision.name()));
    let lag = join_all(covered.map(|plugin| lag_of(&plugin.revision))).await.into_iter().flatten().collect();
    Ok(Json(ClusterView { this: operator.this_host.id.clone(), hosts, lag }))
}

/// Limits the size of what a host runs of a plugin: the rest is in the list of
/// plugins.
fn shorten(running: &mut RunningPlugin, redaction: &Redaction) {
    if running.subscribes.len() > MAX_SUBJECTS {
        running.subscribes = std::mem::take(&mut running.subscribes).into_iter().take(MAX_SUBJECTS).collect();
    }
    running.behind = running.behind.take().map(|reason| redaction.text(&text::failure_reason(&reason)));
}

/// The lag of a plugin; none if it has no database, or if its database does not
/// answer.
async fn lag_of(revision: &Revision) -> Option<(String, LagView)> {
    let database = revision.database.as_ref()?;
    let (outbox, timers) = (database.read_outbox(0, 1).await.ok()?, database.upcoming_timers(0, 1).await.ok()?);
    let since = |at_ms: Option<u64>| at_ms.map_or(0, |at_ms| now_ms().saturating_sub(at_ms));
    let event_ms = outbox.first().map(|oldest| oldest.event.time_ms);
    let due_ms = timers.first().map(|earliest| earliest.timer.due_ms);
    Some((revision.name().to_owned(), LagView { outbox_ms: since(event_ms), timers_ms: since(due_ms) }))
}
