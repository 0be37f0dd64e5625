//! `/traces`: the last slow and failed operations of this host. A caller that is
//! bound to plugins sees the operations of these plugins alone.

use super::{
    caller::Caller,
    input::Query,
    page::{Page, PageQuery},
};
use axum::{Json, extract::Path};
use host_api::{
    Word,
    error::Envelope,
    traces::{OperationView, TraceDetails, TraceView},
};
use host_http::error::Problem;
use host_telemetry::{
    TraceId,
    recent_traces::{self, KeptTrace, Operation},
};
use http::StatusCode;
use std::collections::BTreeSet;

/// The traces of slow and failed operations on this host since it started, the
/// newest first: up to 200, of which a plugin causes up to 20. An operation is slow
/// from `log.slow_ms` on.
#[utoipa::path(get, path = "/traces", operation_id = "list_traces", tag = "operators", params(PageQuery), responses(
    (status = 200, body = [TraceView]),
    (status = 400, body = Envelope),
))]
pub(super) async fn list(caller: Caller, Query(query): Query<PageQuery>) -> Result<Page<TraceView>, Problem> {
    let traces = recent_traces::newest_first().into_iter().filter_map(|trace| details(&trace, &caller));
    let views: Vec<TraceView> = traces.map(|details| details.view).collect();
    let first = match &query.after {
        Some(after) => views.iter().position(|view| view.trace == *after).map_or(views.len(), |place| place + 1),
        None => 0,
    };
    Page::of("/traces", &query, views.into_iter().skip(first).map(|view| (view.trace.clone(), view)))
}

/// One of these traces, with its operations.
#[utoipa::path(get, path = "/traces/{id}", operation_id = "show_trace", tag = "operators", params(("id" = String, Path)), responses(
    (status = 200, body = TraceDetails),
    (status = 404, body = Envelope),
))]
pub(super) async fn show(caller: Caller, Path(id): Path<String>) -> Result<Json<TraceDetails>, Problem> {
    // The parser also takes fewer digits, capital letters and a sign.
    let trace = TraceId::from_hex(&id).ok().filter(|trace| trace.to_string() == id).and_then(recent_traces::find);
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "this host keeps no trace of this id");
    trace.and_then(|trace| details(&trace, &caller)).map(Json).ok_or_else(unknown)
}

/// The part of a trace that the caller may see. None if there is none.
fn details(trace: &KeptTrace, caller: &Caller) -> Option<TraceDetails> {
    let mut covered: Vec<_> = trace.operations.iter().filter(|operation| caller.covers(&operation.component)).collect();
    // A request and its event often begin in the same millisecond.
    covered.sort_by_key(|operation| (operation.begun_ms, operation.kind));
    let steps: Vec<OperationView> = covered.into_iter().map(|operation| view(operation)).collect();
    let first = steps.first()?.clone();
    let end_us = steps.iter().map(|step| (step.begun_ms - first.begun_ms) * 1_000 + step.took_us).max()?;
    let plugins: BTreeSet<_> = steps.iter().map(|step| step.plugin.clone()).filter(|name| !name.is_empty()).collect();
    let view = TraceView {
        trace: trace.trace.to_string(),
        begun_ms: first.begun_ms,
        first,
        took_us: end_us,
        operations: steps.len() as u64,
        failed: steps.iter().filter(|step| step.failure.is_some()).count() as u64,
        plugins: plugins.into_iter().collect(),
    };
    Some(TraceDetails { view, steps, left_out: trace.left_out })
}

fn view(operation: &Operation) -> OperationView {
    let Operation { kind, component, name, id, begun_ms, took, failure, trace: _ } = operation;
    OperationView {
        kind: Word::Known(*kind),
        plugin: component.clone(),
        name: name.clone(),
        id: id.clone(),
        begun_ms: *begun_ms,
        took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        failure: failure.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_api::{tokens::Role, traces::OperationKind};
    use std::time::Duration;

    fn operation(component: &str, begun_ms: u64, ms: u64, failure: Option<&str>) -> Operation {
        Operation {
            trace: TraceId::from_bytes([7; 16]),
            kind: OperationKind::Event,
            component: component.to_owned(),
            name: "a.made".to_owned(),
            id: "e".to_owned(),
            begun_ms,
            took: Duration::from_millis(ms),
            failure: failure.map(str::to_owned),
        }
    }

    #[test]
    fn a_trace_has_its_operations_by_time_and_only_those_of_the_callers_plugins() {
        let operations = vec![operation("b", 1_020, 30, Some("trap")).into(), operation("a", 1_000, 10, None).into()];
        let trace = KeptTrace { trace: TraceId::from_bytes([7; 16]), operations, left_out: 3 };
        let all = Caller::unbound("all", Role::View);
        let whole = details(&trace, &all).unwrap();
        assert_eq!((whole.view.begun_ms, whole.view.took_us, whole.left_out), (1_000, 50_000, 3));
        assert_eq!((whole.view.operations, whole.view.failed), (2, 1));
        assert_eq!(whole.view.plugins, ["a", "b"]);
        assert_eq!(whole.steps.iter().map(|step| step.plugin.as_str()).collect::<Vec<_>>(), ["a", "b"]);

        let bound = |plugin: &str| Caller { plugins: Some(BTreeSet::from([plugin.to_owned()])), ..all.clone() };
        let part = details(&trace, &bound("b")).unwrap();
        assert_eq!((part.view.plugins, part.view.took_us), (vec!["b".to_owned()], 30_000));
        assert!(details(&trace, &bound("c")).is_none());
    }

    #[test]
    fn in_one_millisecond_a_cause_comes_before_its_effect() {
        let kinds = [OperationKind::Request, OperationKind::Publication, OperationKind::Event];
        let ended = [OperationKind::Publication, OperationKind::Event, OperationKind::Request];
        let operations = ended.map(|kind| Operation { kind, ..operation("a", 1_000, 1, None) }.into()).into();
        let trace = KeptTrace { trace: TraceId::from_bytes([7; 16]), operations, left_out: 0 };
        let steps = details(&trace, &Caller::unbound("all", Role::View)).unwrap().steps;
        assert_eq!(steps.into_iter().map(|step| step.kind).collect::<Vec<_>>(), kinds.map(Word::Known));
    }
}
