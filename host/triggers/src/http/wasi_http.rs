//! Requests to `wasi:http` components. Both bodies are streamed. Headers carry
//! the values that the platform's interface has as fields.

use super::{REMOVED_HEADERS, REQUEST_ID, TRACEPARENT, answer::Asked, body, dispatcher::IncomingRequest};
use axum::{body::Body, response::Response};
use host_engine::{CallContext, Patience};
use host_http::error::Refusal;
use host_plugin::StreamedRequest;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, uri::Authority};
use std::sync::Arc;

/// The visitor of the verified session.
const PRINCIPAL_ID: HeaderName = HeaderName::from_static("x-principal-id");
const PRINCIPAL_EMAIL: HeaderName = HeaderName::from_static("x-principal-email");

/// Headers of the client that the component does not get. The host sets some of
/// them itself.
static UNTRUSTED_HEADERS: [HeaderName; 5] =
    [header::AUTHORIZATION, header::COOKIE, header::HOST, PRINCIPAL_EMAIL, PRINCIPAL_ID];

impl IncomingRequest<'_> {
    /// Lets a `wasi:http` component answer.
    pub(super) async fn stream(self, call: CallContext, body: Body) -> Result<Response, Refusal> {
        let Self { target, revision, link, parts, id, .. } = self;
        let limit = revision.manifest.limits.body_bytes as u64;
        if body::announced_bytes(&parts.headers).is_some_and(|bytes| bytes > limit) {
            return Err(Refusal::TooLarge);
        }
        let mut request = request(&self, &call, body).ok_or(Refusal::NotFound)?;
        let method = target.endpoint.method();
        *request.method_mut() = method.parse().map_err(|_| Refusal::NotFound)?;
        let asked = Arc::new(StreamedRequest {
            method: method.to_owned(),
            route: target.pattern.to_owned(),
            id: id.clone(),
            traceparent: call.traceparent.clone(),
        });
        let answered = revision.begin(Patience::Caller).stream(asked.clone(), call, request).await;
        let answer = answered.map_err(|failure| Refusal::from(&failure))?;
        Asked { revision, called: asked.called(), issued: None, link }.streamed_response(answer)
    }
}

/// None when the address cannot be written as a URL.
fn request(incoming: &IncomingRequest<'_>, call: &CallContext, body: Body) -> Option<Request<Body>> {
    let parts = incoming.parts;
    let (scheme, authority) = incoming.asker.origin();
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority.unwrap_or(Authority::from_static("localhost")))
        .path_and_query(parts.uri.path_and_query()?.clone())
        .build()
        .ok()?;
    let mut request = Request::new(body);
    *request.uri_mut() = uri;
    *request.headers_mut() = headers(&parts.headers);
    let principal = call.session.as_ref().map(|session| &session.principal);
    let added = [
        (REQUEST_ID, Some(&*call.id)),
        (TRACEPARENT, call.traceparent.as_deref()),
        (PRINCIPAL_ID, principal.map(|principal| principal.id.as_str())),
        (PRINCIPAL_EMAIL, principal.map(|principal| principal.email.as_str())),
    ];
    for (name, text) in added {
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
            request.headers_mut().insert(name, value);
        }
    }
    Some(request)
}

fn headers(sent: &HeaderMap) -> HeaderMap {
    let is_removed = |name: &HeaderName| REMOVED_HEADERS.contains(name) && *name != header::CONTENT_LENGTH;
    let kept = sent.iter().filter(|(name, _)| !UNTRUSTED_HEADERS.contains(name) && !is_removed(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}
