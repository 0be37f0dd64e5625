//! The baseline of the guest `hello` with the host's duties for each request, done as
//! applications with axum do them: a limit on the requests under way, an id, a log line,
//! metrics, and limits on the body and on the time.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::{BoxError, Router};
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing::Level;
use tracing_appender::non_blocking::WorkerGuard;

use super::hello;

/// The requests under way at once, as the host has them.
const IN_FLIGHT: usize = 1_024;
const BODY_BYTES: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);

/// The log lines go to a file in this folder until the guard is dropped.
pub(super) fn router(folder: &Path) -> Result<(Router, WorkerGuard)> {
    let (log, guard) = tracing_appender::non_blocking(File::create(folder.join("native.log"))?);
    tracing_subscriber::fmt().with_writer(log).with_ansi(false).init();
    host_telemetry::metrics::Metrics::start()?;
    let trace = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let duties = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(overloaded))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(IN_FLIGHT))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(trace)
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(RequestBodyLimitLayer::new(BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIMEOUT));
    Ok((hello::router().route_layer(from_fn(count)).layer(duties), guard))
}

async fn overloaded(_: BoxError) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

/// Counts the request and its time.
async fn count(path: MatchedPath, request: Request, next: Next) -> Response {
    let (begun, method) = (Instant::now(), request.method().to_string());
    let response = next.run(request).await;
    let labels = [("method", method), ("route", path.as_str().to_owned()), ("status", response.status().to_string())];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_seconds", &labels).record(begun.elapsed().as_secs_f64());
    response
}
