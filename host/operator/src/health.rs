//! `/healthz`, `/readyz`, `/metrics`: for programs that watch the host. These
//! routes ask for no token.

use super::Operator;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use host_api::error::Envelope;
use host_http::error::{Problem, Refusal};
use http::{StatusCode, header::CONTENT_TYPE};
use std::sync::Arc;

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = String, example = "ok\n")))]
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Whether the host takes work.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, body = String, example = "ready\n"),
    (status = 503, body = Envelope, description = "It starts or stops, the database takes no writes or refuses a component, or the host has not reached the event bus yet"),
))]
pub(super) async fn ready(State(operator): State<Arc<Operator>>) -> Response {
    if let Some(problem) = operator.database_problem() {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, problem).into_response();
    }
    if !operator.is_ready() {
        return Refusal::Unavailable.into_response();
    }
    // Once this host has reached the bus, a loss of it is no reason to send work
    // to other hosts. Either they do not reach the bus either, or they carry the
    // events of this host too.
    if operator.gauges.disk.is_low() {
        return "ready, and the disk of the data directory is almost full: plugins cannot write\n".into_response();
    }
    match operator.bus.unavailable_reason() {
        None => match operator.bus.problems().as_slice() {
            [] => "ready\n".into_response(),
            problems => format!("ready, and the event bus has a problem: {}\n", problems.join("; ")).into_response(),
        },
        Some(reason) if operator.bus.was_available() => {
            format!("ready, and the event bus is out of reach: {reason}\n").into_response()
        }
        Some(reason) => {
            let text = format!("the event bus was not reached yet: {reason}");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

/// All metrics, in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String)))]
pub(super) async fn metrics(State(operator): State<Arc<Operator>>) -> Response {
    operator.gauges.refresh();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], operator.metrics.render()).into_response()
}
