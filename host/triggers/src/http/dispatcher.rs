//! The way of a request from its endpoint to the component and back. It is the same
//! for the requests of visitors and of plugins.

use super::{
    body,
    exchange::Exchange,
    idempotency::{self, Admitted, Keyed, RunningRequests},
    visitor::Asker,
};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use host_capabilities::identity::Session;
use host_engine::{CallContext, Patience, Request, RequestHead};
use host_http::{client_link::ClientLink, error::Refusal};
use host_plugin::{Revision, registry::Target};
use host_telemetry::Span;
use http::request::Parts;
use std::{sync::Arc, time::Duration};

/// A request without its body, and the revision that answers it.
#[derive(Clone, Copy)]
pub(super) struct IncomingRequest<'a> {
    pub(super) target: &'a Target<'a>,
    pub(super) revision: &'a Arc<Revision>,
    pub(super) asker: Asker<'a>,
    /// The way back to the client. None for the request of a plugin.
    pub(super) link: Option<&'a ClientLink>,
    pub(super) parts: &'a Parts,
    pub(super) id: &'a Arc<str>,
    pub(super) span: &'a Span,
}

/// A request after everything that comes before the call of the component.
enum Prepared {
    /// It goes to the component.
    Exchange(Exchange),
    /// It goes to the component unless its key has an answer.
    Keyed(Keyed, Exchange),
    /// It is answered.
    Answered(Response),
}

/// Lets revisions answer requests.
#[derive(Clone)]
pub(super) struct Dispatcher {
    /// The requests with a key that run now.
    running_requests: Arc<RunningRequests>,
    body_read_timeout: Duration,
}

impl Dispatcher {
    pub(super) fn new(body_read_timeout: Duration) -> Self {
        Self { running_requests: Arc::default(), body_read_timeout }
    }

    /// The answer of a revision, or a refusal in its place.
    pub(super) async fn answer(&self, incoming: IncomingRequest<'_>, call: CallContext, body: Body) -> Response {
        if incoming.revision.exports_wasi_http() {
            return Box::pin(incoming.stream(call, body)).await.unwrap_or_else(IntoResponse::into_response);
        }
        let invocation = incoming.revision.begin(Patience::Caller);
        let response = match self.prepare(incoming, call, body).await {
            Ok(Prepared::Keyed(keyed, exchange)) => return Box::pin(keyed.answer(exchange, invocation)).await,
            Ok(Prepared::Exchange(exchange)) => {
                exchange.answer(&invocation).await.unwrap_or_else(IntoResponse::into_response)
            }
            Ok(Prepared::Answered(response)) => response,
            Err(refusal) => refusal.into_response(),
        };
        invocation.end(response.status().is_server_error());
        response
    }

    /// Does everything that comes before the call of the component.
    async fn prepare(&self, incoming: IncomingRequest<'_>, call: CallContext, body: Body) -> Result<Prepared, Refusal> {
        let IncomingRequest { target, revision, asker, link, parts, id, .. } = incoming;
        let key = idempotency::key_of(revision, target, parts)?;
        let limit_bytes = revision.manifest.limits.body_bytes;
        let body = body::read(&parts.headers, body, limit_bytes, self.body_read_timeout).await?;
        let request = component_request(target, parts, body, call.session.as_deref(), id).ok_or(Refusal::NotFound)?;
        let exchange = |request| Exchange { call, request, link: link.cloned() };
        let Some(key) = key else { return Ok(Prepared::Exchange(exchange(request))) };
        let admitted = idempotency::admit(&self.running_requests, revision, &key, &asker.key_owner(), &request)?;
        Ok(match admitted {
            Admitted::Runs(keyed) => Prepared::Keyed(keyed, exchange(request)),
            Admitted::Answered(response) => Prepared::Answered(response),
        })
    }
}

/// None when the path cannot be decoded or contains U+0000, because such a path
/// names nothing.
fn component_request<'a>(
    target: &'a Target<'_>,
    parts: &Parts,
    body: Vec<u8>,
    session: Option<&Session>,
    id: &str,
) -> Option<Request> {
    let decoded = |(name, value): (&'a str, &'a str)| {
        let decoded = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
        // Nothing can have such a name, because no database stores it.
        let decoded = (!decoded.contains('\0')).then_some(decoded)?;
        Some((name, decoded))
    };
    let params = target.params.iter().map(decoded).collect::<Option<Vec<_>>>()?;
    let head = RequestHead {
        id,
        method: target.endpoint.method(),
        route: target.pattern,
        path: parts.uri.path(),
        query: parts.uri.query(),
        principal: session.map(|session| (session.principal.id.as_str(), session.principal.email.as_str())),
    };
    Some(Request::new(head, &params, &parts.headers, body))
}
