//! The probe: a request to a revision that does not serve yet. A revision that
//! traps here is never activated.

use super::RolloutError;
use crate::{LoadError, Revision, StreamedRequest};
use axum::body::Body;
use host_api::swap::ProbeView;
use host_engine::{CallContext, Failure, Request, RequestHead};
use http::HeaderMap;
use http_body_util::BodyExt;
use std::{sync::Arc, time::Duration};

/// Asks the health path of the manifest. None without a health path.
pub(super) async fn probe(revision: &Arc<Revision>) -> Result<Option<ProbeView>, RolloutError> {
    let Some(path) = &revision.manifest.health else { return Ok(None) };
    let call = CallContext { id: format!("probe of {}", revision.id).into(), ..CallContext::default() };
    let status = match revision.exports_wasi_http() {
        true => ask_wasi_http(revision, path, call).await,
        false => ask(revision, path, call).await,
    };
    match status {
        Ok(status) if status < 500 => Ok(Some(ProbeView { path: path.clone(), status })),
        Ok(status) => Err(RolloutError::Probe(format!("GET {path} answered {status}"))),
        Err(failure) if failure.is_full() => Err(LoadError::from(failure).into()),
        Err(failure) => Err(RolloutError::Probe(format!("GET {path}: {failure}"))),
    }
}

async fn ask(revision: &Arc<Revision>, path: &str, call: CallContext) -> Result<u16, Failure> {
    let head = RequestHead { id: &call.id, method: "GET", route: path, path, ..RequestHead::default() };
    let request = Request::new(head, &[], &HeaderMap::new(), Vec::new());
    let invocation = revision.begin_probe();
    let answer = invocation.answer(&call, &request).await;
    invocation.end(answer.as_ref().map_or(true, |answer| answer.status >= 500));
    Ok(answer?.status)
}

/// The body is part of the answer: an answer that breaks off is a failure.
async fn ask_wasi_http(revision: &Arc<Revision>, path: &str, call: CallContext) -> Result<u16, Failure> {
    let host = |problem: String| Failure::Host { component: revision.name().to_owned(), problem };
    let request = http::Request::get(format!("http://localhost{path}"));
    let request = request.body(Body::empty()).map_err(|error| host(error.to_string()))?;
    let (method, route) = ("GET".to_owned(), path.to_owned());
    let asked = StreamedRequest { method, route, id: call.id.clone(), traceparent: None };
    let (head, body) = revision.begin_probe().stream(asked.into(), call, request).await?.into_parts();
    let milliseconds = revision.manifest.limits.wall_time_ms;
    match tokio::time::timeout(Duration::from_millis(milliseconds), body.collect()).await {
        Ok(Ok(_)) => Ok(head.status.as_u16()),
        Ok(Err(error)) => Err(Failure::Answer { component: revision.name().to_owned(), problem: error.to_string() }),
        Err(_) => Err(Failure::Deadline { component: revision.name().to_owned(), milliseconds, computes: false }),
    }
}
