//! `/timers`: the timers of the plugins, as figures. A payload or a key of a timer
//! is in none of them.

use super::{
    Operator,
    caller::Caller,
    input::{Query, limit_rows},
    page::{Page, PageQuery},
    plugins::status_of,
};
use axum::extract::State;
use futures::{StreamExt, stream};
use host_api::{
    Word,
    error::Envelope,
    plugins::PluginStatus,
    timers::{MAX_COUNTED_TIMERS, TimerFigures, TimersView},
};
use host_base::clock::now_ms;
use host_http::error::Problem;
use host_plugin::Revision;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// The time for the databases of all plugins on a page.
const DATABASES_ANSWER: Duration = Duration::from_secs(3);
/// The databases that are asked at the same time.
const ASKED_AT_ONCE: usize = 8;

/// The timers of each plugin that has a database, by name.
#[utoipa::path(get, path = "/timers", operation_id = "list_timers", tag = "events and timers", params(PageQuery), responses(
    (status = 200, body = [TimersView]),
    (status = 400, body = Envelope),
))]
pub(super) async fn list(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Page<TimersView>, Problem> {
    // One more tells whether there is another page.
    let limit_rows = limit_rows(query.limit)? as usize + 1;
    let deadline = Instant::now() + DATABASES_ANSWER;
    let wanted = wanted(&operator, &caller, query.after.as_deref(), limit_rows);
    let asked = wanted.into_iter().map(|(revision, status)| view(revision, status, deadline));
    let views: Vec<TimersView> = stream::iter(asked).buffered(ASKED_AT_ONCE).collect().await;
    Page::of("/timers", &query, views.into_iter().map(|view| (view.plugin.clone(), view)))
}

/// The plugins of a page.
fn wanted(
    operator: &Operator,
    caller: &Caller,
    after: Option<&str>,
    limit_rows: usize,
) -> Vec<(Arc<Revision>, PluginStatus)> {
    let snapshot = operator.rollout.registry.snapshot();
    let covered = snapshot.plugins().filter(|plugin| caller.covers(plugin.revision.name()));
    let rest = covered.filter(|plugin| after.is_none_or(|after| plugin.revision.name() > after));
    let with_database = rest.filter(|plugin| plugin.revision.database.is_some());
    with_database.take(limit_rows).map(|plugin| (plugin.revision.clone(), status_of(plugin))).collect()
}

async fn view(revision: Arc<Revision>, status: PluginStatus, deadline: Instant) -> TimersView {
    let timers = timeout_at(deadline, figures(&revision)).await.ok().flatten();
    TimersView { plugin: revision.name().to_owned(), status: Word::Known(status), timers }
}

/// None if the database does not answer.
async fn figures(revision: &Revision) -> Option<TimerFigures> {
    let now_ms = now_ms();
    let counts = revision.database.as_ref()?.count_timers(now_ms, MAX_COUNTED_TIMERS).await;
    let counts = counts
        .inspect_err(|error| tracing::debug!(component = revision.name(), ?error, "the host cannot count the timers"))
        .ok()?;
    let overdue_ms = counts.first_due_ms.map_or(0, |first_due_ms| now_ms.saturating_sub(first_due_ms));
    Some(TimerFigures { set: counts.set, due: counts.due, overdue_ms, next_due_ms: counts.next_due_ms })
}
