//! The figures of a plugin that the host keeps by itself.

use super::unknown;
use crate::{Operator, caller::Caller};
use axum::{
    Json,
    extract::{Path, State},
};
use host_api::{
    error::Envelope,
    figures::{FailureView, HistorySlot, HistoryView, RecentView, RevisionCallsView, TimeRangeView},
    tokens::Role,
};
use host_base::{clock::now_ms, text::truncate};
use host_http::error::Problem;
use host_plugin::{
    Revision,
    failure_log::KeptFailure,
    figures::Figures,
    history::{SLOT_SECONDS, SLOTS, SlotCounts},
    registry::Plugin,
};
use std::{sync::Arc, time::Instant};

/// The beginning of a message that the list of plugins has.
const SHORT_MESSAGE_BYTES: usize = 200;

/// The last failed calls of a plugin on this host, the newest first: up to 20 of
/// each revision.
#[utoipa::path(get, path = "/plugins/{name}/failures", operation_id = "list_failures", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = [FailureView]),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
))]
pub(crate) async fn failures(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Vec<FailureView>>, Problem> {
    let failures = read(&operator, &caller, &name, |figures| figures.failures.newest_first())?;
    Ok(Json(failures.unwrap_or_default().into_iter().map(failure_view).collect()))
}

/// The calls of a plugin on this host in the last 15 minutes.
#[utoipa::path(get, path = "/plugins/{name}/history", operation_id = "show_history", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = HistoryView),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
))]
pub(crate) async fn history(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<HistoryView>, Problem> {
    let view = read(&operator, &caller, &name, |figures| history_view(figures, Instant::now(), now_ms()))?;
    Ok(Json(view.unwrap_or(HistoryView { slot_seconds: SLOT_SECONDS, slots: Vec::new() })))
}

/// Reads the figures of a plugin. None while the plugin is being loaded.
fn read<T>(
    operator: &Operator,
    caller: &Caller,
    name: &str,
    of: impl FnOnce(&Figures) -> T,
) -> Result<Option<T>, Problem> {
    caller.require(Role::View, Some(name))?;
    let snapshot = operator.rollout.registry.snapshot();
    match (snapshot.plugin(name), snapshot.starting(name)) {
        (Some(plugin), _) => Ok(Some(of(plugin.revision.figures()))),
        (None, Some(_)) => Ok(None),
        (None, None) => Err(unknown(name)),
    }
}

fn failure_view(kept: KeptFailure) -> FailureView {
    let KeptFailure { time_ms, revision, call, kind, blame, message, id, trace } = kept;
    FailureView { time_ms, revision, call, kind: kind.to_owned(), blame: blame.to_owned(), message, id, trace }
}

/// The newest failure, with the beginning of its message.
pub(super) fn last_failure(plugin: &Plugin) -> Option<FailureView> {
    let failure = failure_view(plugin.revision.figures().failures.newest()?);
    Some(FailureView { message: truncate(&failure.message, SHORT_MESSAGE_BYTES).to_owned(), ..failure })
}

/// The calls of a plugin in the last minute, and how they developed.
pub(super) fn recent(plugin: &Plugin) -> RecentView {
    let (history, now) = (&plugin.revision.figures().history, Instant::now());
    let minute = history.last_minute(now);
    let calls = history.slots(now).map(|slot| slot.calls());
    let first = calls.iter().position(|calls| *calls > 0).unwrap_or(SLOTS);
    RecentView {
        calls_per_second: minute.calls_per_second(),
        error_percent: minute.error_percent(),
        p50_us: minute.counts.quantile_us(0.5),
        p99_us: minute.counts.quantile_us(0.99),
        memory_bytes: plugin.revision.memory_bytes() as u64,
        calls: calls.into_iter().skip(first).collect(),
    }
}

/// The active revision of a plugin beside its canary.
pub(super) fn compared(plugin: &Plugin) -> Vec<RevisionCallsView> {
    let Some(canary) = &plugin.canary else { return Vec::new() };
    [(&plugin.revision, 100_u8.saturating_sub(canary.percent)), (&canary.revision, canary.percent)]
        .map(|(revision, percent)| revision_calls(revision, percent))
        .into()
}

fn revision_calls(revision: &Revision, percent: u8) -> RevisionCallsView {
    let (counts, times) = (revision.call_counts(), revision.call_times());
    let ranges: Vec<_> = times.ranges().map(|(below_us, calls)| TimeRangeView { below_us, calls }).collect();
    let is_used = |range: &TimeRangeView| range.calls > 0;
    let first = ranges.iter().position(is_used).unwrap_or(ranges.len());
    let end = ranges.iter().rposition(is_used).map_or(0, |last| last + 1);
    RevisionCallsView {
        revision: revision.id.clone(),
        percent,
        calls: counts.started,
        errors: counts.errors,
        failures: revision.failures(),
        p50_us: times.quantile_us(0.5),
        p99_us: times.quantile_us(0.99),
        times: ranges.get(first..end).unwrap_or_default().to_vec(),
    }
}

fn history_view(figures: &Figures, now: Instant, now_ms: u64) -> HistoryView {
    let into_slot_ms = u64::try_from(figures.history.into_slot(now).as_millis()).unwrap_or(0);
    let view = |(age, slot): (u64, SlotCounts)| HistorySlot {
        begin_ms: now_ms.saturating_sub(into_slot_ms + age * SLOT_SECONDS * 1_000),
        calls: slot.calls(),
        errors: slot.errors(),
        p50_us: slot.quantile_us(0.5),
        p99_us: slot.quantile_us(0.99),
    };
    let slots = (0..SLOTS as u64).rev().zip(figures.history.slots(now));
    HistoryView { slot_seconds: SLOT_SECONDS, slots: slots.map(view).collect() }
}
