//! `/healthz`, `/readyz`, `/metrics`: what programs watch, open to everybody
//! who reaches the listener.

use super::Operator;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use host_http::error::{Envelope, Problem, Refusal};
use http::{StatusCode, header::CONTENT_TYPE};
use std::sync::Arc;

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = String, example = "ok\n")))]
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Whether work can be sent here.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, body = String, example = "ready\n"),
    (status = 503, body = Envelope, description = "It starts or stops, or has not reached the event bus yet"),
))]
pub(super) async fn ready(State(operator): State<Arc<Operator>>) -> Response {
    if !operator.is_ready() {
        return Refusal::Unavailable.into_response();
    }
    // Once reached, a bus that is away is no reason to send work elsewhere: the
    // other hosts do not reach it either, or carry the events of this one too.
    match operator.bus.trouble() {
        None => "ready\n".into_response(),
        Some(reason) if operator.bus.was_reached() => {
            format!("ready, and the event bus is out of reach: {reason}\n").into_response()
        }
        Some(reason) => {
            let text = format!("the event bus was not reached yet: {reason}");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

/// Everything that is counted, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String)))]
pub(super) async fn metrics(State(operator): State<Arc<Operator>>) -> Response {
    operator.gauges.refresh();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], operator.metrics.render()).into_response()
}
