//! Requests, from the connection to the component and back.
//!
//! This module does the host's part for every component: the route, the session,
//! the limits on the size and time of the body, the refusal of changes from
//! other sites, the headers of caches, the request's id, its log line and its metrics.

mod answer;
mod body;
mod caching;
mod cross_site;
mod exchange;
mod idempotency;
mod origin;
mod rate_limits;
mod unrouted;
mod wasi_http;

use crate::client::Client;
use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use exchange::{ASK_AGAIN, Exchange};
use host_base::{id, text::truncate};
use host_capabilities::identity::{Identity, Session};
use host_config::http::HttpConfig;
use host_engine::{
    CallContext, Patience,
    bindings::{exports::platform::http::handler as wit, platform::http::types::Principal},
};
use host_http::{client_link::ClientLink, compression, error::Refusal, page};
use host_plugin::{
    Registry, Revision,
    registry::{Lookup, Served, Target},
};
use host_telemetry::{Span, SpanKind, TraceId};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
pub use idempotency::RunningRequests;
use idempotency::{Admitted, Keyed, REPEATABLE, REPLAYED};
pub use rate_limits::RateLimits;
use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// The public side of the host.
pub struct Front {
    /// The active revisions and their routes.
    pub registry: Arc<Registry>,
    /// Verifies sessions.
    pub identity: Arc<Identity>,
    /// The limits of a request.
    pub config: HttpConfig,
    /// The requests with a key that run now.
    pub running_requests: Arc<RunningRequests>,
    /// The limits on the requests of one visitor, unless they are off.
    pub rate_limits: Option<Arc<RateLimits>>,
}

/// A request without its body.
#[derive(Clone, Copy)]
struct IncomingRequest<'a> {
    visitor: &'a Visitor<'a>,
    parts: &'a Parts,
    id: &'a str,
    span: &'a Span,
}

/// The person or program that asks.
struct Visitor<'a> {
    client: Client,
    headers: &'a HeaderMap,
    identity: &'a Identity,
    session: OnceLock<Option<Arc<Session>>>,
}

impl<'a> Visitor<'a> {
    fn new(client: Client, headers: &'a HeaderMap, identity: &'a Identity) -> Self {
        Self { client, headers, identity, session: OnceLock::new() }
    }

    /// The session, whether the plugin learns it or not. The host verifies it when
    /// something needs it.
    fn session(&self) -> Option<&Arc<Session>> {
        self.session.get_or_init(|| self.identity.session(self.headers, self.client.secure)).as_ref()
    }

    /// The id of the account, if the visitor has a session.
    fn account(&self) -> Option<&str> {
        self.session().map(|session| session.principal.id.as_str())
    }
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

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REVISION: HeaderName = HeaderName::from_static("x-plugin-revision");

impl Front {
    /// Answers a request with the component's answer, or with a refusal in the
    /// error envelope.
    pub async fn serve(&self, peer: SocketAddr, request: Request) -> Response {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let id = request_id(&parts.headers);
        let snapshot = self.registry.snapshot();
        let lookup = snapshot.find(parts.method.as_str(), parts.uri.path());
        let target = match &lookup {
            Lookup::Target(target) => Some(target),
            _ => None,
        };
        let served = target.and_then(|target| target.endpoint.choose(&parts.headers));
        let traceparent = parts.headers.get("traceparent").and_then(|value| value.to_str().ok());
        let mut span = Span::start(SpanKind::Server, traceparent, || span_name(&parts.method, target));
        let visitor = self.visitor(peer, &parts);
        let account = || visitor.account().map(str::to_owned);
        let limit =
            self.rate_limits.as_ref().map(|limits| limits.admit(&visitor.client, account, &parts.method, target));
        let mut response = match (&limit, target, served) {
            (Some(Err(over)), ..) => Refusal::TooManyRequests(over.seconds).into_response(),
            (_, Some(target), Some(served)) => {
                let incoming = IncomingRequest { visitor: &visitor, parts: &parts, id: &id, span: &span };
                self.answer(target, &served.revision, incoming, body).await
            }
            (_, Some(_), None) => Refusal::Unavailable.into_response(),
            (_, None, _) => unrouted::answer(&snapshot, &lookup, &parts),
        };
        if let Some(limit) = limit.filter(|_| !caching::is_public(response.headers())) {
            limit.unwrap_or_else(|over| over.reading).write(response.headers_mut());
        }
        page::show_refusal(&parts.headers, &mut response);
        if self.config.compression {
            compression::compress(&parts.headers, &mut response);
        }
        caching::shorten(&parts, &mut response);
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        if let (true, Some(served)) = (self.config.revision_header, served)
            && let Ok(value) = HeaderValue::from_str(&format!("{} {}", served.revision.name(), served.revision.id))
        {
            response.headers_mut().insert(REVISION, value);
        }
        let status = response.status();
        let completed = CompletedRequest { parts: &parts, target, served, status, id: &id };
        completed.log_and_count(started.elapsed(), span.trace_id());
        completed.describe(&mut span);
        response
    }

    async fn answer(
        &self,
        target: &Target<'_>,
        revision: &Arc<Revision>,
        incoming: IncomingRequest<'_>,
        body: Body,
    ) -> Response {
        if revision.exports_wasi_http() {
            return self.stream(revision, target, incoming, body).await.unwrap_or_else(IntoResponse::into_response);
        }
        let invocation = revision.begin(Patience::Caller);
        let response = match self.prepare(target, revision, incoming, body).await {
            Ok(Prepared::Keyed(keyed, exchange)) => return keyed.answer(exchange, invocation).await,
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
    async fn prepare(
        &self,
        target: &Target<'_>,
        revision: &Arc<Revision>,
        incoming: IncomingRequest<'_>,
        body: Body,
    ) -> Result<Prepared, Refusal> {
        let call = call_context(revision, &incoming)?;
        let IncomingRequest { visitor, parts, id, .. } = incoming;
        let key = idempotency::key_of(revision, target, parts)?;
        let body = body::read(&parts.headers, body, revision.manifest.limits.body_bytes, self.config.body_read_timeout)
            .await?;
        let request = wit_request(target, parts, body, call.session.as_deref(), id).ok_or(Refusal::NotFound)?;
        let exchange = |request| Exchange { call, request, link: parts.extensions.get().cloned() };
        let Some(key) = key else { return Ok(Prepared::Exchange(exchange(request))) };
        let (account, client) = (visitor.account(), &visitor.client);
        let admitted = idempotency::admit(&self.running_requests, revision, &key, account, client, &request)?;
        Ok(match admitted {
            Admitted::Runs(keyed) => Prepared::Keyed(keyed, exchange(request)),
            Admitted::Answered(response) => Prepared::Answered(response),
        })
    }

    fn visitor<'a>(&'a self, peer: SocketAddr, parts: &'a Parts) -> Visitor<'a> {
        let is_tls = parts.extensions.get::<ClientLink>().is_some_and(ClientLink::is_tls);
        Visitor::new(Client::of(peer, is_tls, &parts.headers, &self.config), &parts.headers, &self.identity)
    }
}

/// The context of the call. Only some plugins learn who the visitor is.
fn call_context(revision: &Revision, incoming: &IncomingRequest<'_>) -> Result<CallContext, Refusal> {
    let IncomingRequest { visitor, parts, id, span } = *incoming;
    let client = &visitor.client;
    if cross_site::is_forbidden(&parts.method, &parts.headers, client) {
        return Err(Refusal::CrossSite);
    }
    if origin::is_foreign_script(revision, &parts.headers) {
        return Err(Refusal::ForeignScript);
    }
    Ok(CallContext {
        id: id.to_owned(),
        traceparent: Some(span.traceparent()),
        client_address: Some(client.address),
        session: visitor.session().filter(|_| origin::knows_visitor(revision)).cloned(),
        secure: client.secure,
        issued: origin::may_issue_sessions(revision).then(Arc::default),
        ..CallContext::default()
    })
}

/// None when the path cannot be decoded or contains U+0000, because such a path
/// names nothing.
fn wit_request(
    target: &Target<'_>,
    parts: &Parts,
    body: Vec<u8>,
    session: Option<&Session>,
    id: &str,
) -> Option<wit::Request> {
    let params = target
        .params
        .iter()
        .map(|(name, value)| {
            let decoded = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
            // Nothing can have such a name, because no database stores it.
            let decoded = (!decoded.contains('\0')).then_some(decoded)?;
            Some((name.to_owned(), decoded.into_owned()))
        })
        .collect::<Option<Vec<_>>>()?;
    let headers = parts
        .headers
        .iter()
        .filter(|(name, _)| **name != header::COOKIE && **name != header::AUTHORIZATION)
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    Some(wit::Request {
        id: id.to_owned(),
        method: target.endpoint.method().to_owned(),
        route: target.pattern.to_owned(),
        params,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers,
        body,
        principal: session
            .map(|session| Principal { id: session.principal.id.clone(), email: session.principal.email.clone() }),
    })
}

/// Headers that the host removes, because they belong to the host or to one
/// connection.
const REMOVED_HEADERS: [HeaderName; 14] = [
    ASK_AGAIN,
    REQUEST_ID,
    REVISION,
    REPEATABLE,
    REPLAYED,
    rate_limits::LIMIT,
    rate_limits::POLICY,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// The caller's own id if it is harmless, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (8..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        .map_or_else(|| id::new().to_string(), str::to_owned)
}

/// The name comes from the manifest, never from the request.
fn span_name(method: &Method, target: Option<&Target<'_>>) -> String {
    target.map_or_else(|| "no route".to_owned(), |target| format!("{method} {}", target.pattern))
}

/// The visitor's part of a log line is cut at this length.
const LOGGED_BYTES: usize = 2 << 10;

/// A request with its outcome.
struct CompletedRequest<'a> {
    parts: &'a Parts,
    /// None if no component has the route.
    target: Option<&'a Target<'a>>,
    /// None if the component does not serve.
    served: Option<&'a Served>,
    status: StatusCode,
    id: &'a str,
}

impl CompletedRequest<'_> {
    fn component(&self) -> &str {
        self.target.map_or("", |target| target.endpoint.plugin())
    }

    fn revision(&self) -> &str {
        self.served.map_or("", |served| served.revision.id.as_str())
    }

    /// Writes the request's log line and counts it.
    fn log_and_count(&self, took: Duration, trace_id: TraceId) {
        let Self { parts, status, id, .. } = self;
        tracing::info!(
            target: "request",
            id, method = %truncate(parts.method.as_str(), LOGGED_BYTES),
            path = truncate(parts.uri.path(), LOGGED_BYTES), status = status.as_u16(),
            duration_us = took.as_micros() as u64, component = self.component(), revision = self.revision(),
            trace = %trace_id,
        );
        match self.served {
            Some(served) => served.metrics.record(*status, took),
            None => metrics::counter!("http_requests_unrouted_total").increment(1),
        }
    }

    /// Writes the attributes of the request's span, as OpenTelemetry's
    /// conventions for HTTP name them.
    fn describe(&self, span: &mut Span) {
        span.set_attributes(|| {
            [
                ("http.request.method", self.parts.method.to_string().into()),
                ("http.route", self.target.map_or("", |target| target.pattern).to_owned().into()),
                ("http.response.status_code", i64::from(self.status.as_u16()).into()),
                ("component", self.component().to_owned().into()),
                ("revision", self.revision().to_owned().into()),
                ("request.id", self.id.to_owned().into()),
            ]
        });
        if self.status.is_server_error() {
            span.fail(|| self.status.to_string());
        }
    }
}
