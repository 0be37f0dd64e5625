//! `/healthz`, `/readyz`, `/metrics`: what programs watch, open to everybody
//! who reaches the listener.

use super::Operator;
use crate::envelope::{Envelope, Refusal};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header::CONTENT_TYPE;
use std::sync::Arc;

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = String, example = "ok\n")))]
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Whether work can be sent here.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, body = String, example = "ready\n"),
    (status = 503, body = Envelope, description = "It starts or stops"),
))]
pub(super) async fn ready(State(operator): State<Arc<Operator>>) -> Response {
    if operator.is_ready() { "ready\n".into_response() } else { Refusal::Unavailable.into_response() }
}

/// Everything that is counted, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String)))]
pub(super) async fn metrics(State(operator): State<Arc<Operator>>) -> Response {
    operator.gauges.refresh();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], operator.metrics.render()).into_response()
}
