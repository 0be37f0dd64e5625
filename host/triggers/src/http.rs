//! Requests, from the connection to the component and back.
//!
//! This module does the host's part for every component: the route, the session,
//! the limits on the size and time of the body, the refusal of changes from
//! other sites, the headers of caches, the request's id, its log line and its metrics.

mod answer;
mod body;
mod caching;
mod completed;
mod cross_site;
mod dispatcher;
mod exchange;
mod idempotency;
mod live;
mod origin;
mod plugin_routes;
mod rate_limits;
mod unrouted;
mod visitor;
mod wasi_http;

use crate::client::Client;
use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use completed::{CompletedRequest, span_name};
use dispatcher::IncomingRequest;
use exchange::ASK_AGAIN;
use host_base::{clock, id};
use host_capabilities::identity::Identity;
use host_config::http::HttpConfig;
use host_engine::CallContext;
use host_http::{client_link::Peer, compression, error::Refusal, page};
use host_plugin::registry::{Lookup, Served};
use host_telemetry::{Span, SpanKind};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};
use idempotency::{REPEATABLE, REPLAYED};
pub use live::LiveAnswers;
use live::{HeldAnswer, Hold};
pub use plugin_routes::PluginRoutes;
pub use rate_limits::RateLimits;
use std::{sync::Arc, time::Instant};
use visitor::{Asker, Visitor};

/// The public side of the host.
pub struct Front {
    /// The routes, which plugins reach too.
    pub routes: Arc<PluginRoutes>,
    /// The connections that it holds.
    pub live: Arc<LiveAnswers>,
    /// Verifies sessions.
    pub identity: Arc<Identity>,
    /// The limits of a request.
    pub config: HttpConfig,
    /// The limits on the requests of one visitor, unless they are off.
    pub rate_limits: Option<Arc<RateLimits>>,
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REVISION: HeaderName = HeaderName::from_static("x-plugin-revision");

impl Front {
    /// Answers a request with the component's answer, or with a refusal in the
    /// error envelope.
    pub async fn serve(&self, peer: Peer, request: Request) -> Response {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let id = request_id(&parts.headers);
        let snapshot = self.routes.registry.snapshot();
        let lookup = snapshot.find(parts.method.as_str(), parts.uri.path());
        let target = match &lookup {
            Lookup::Target(target) => Some(target),
            _ => None,
        };
        let served = target.and_then(|target| target.endpoint.choose(&parts.headers));
        let traceparent = parts.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let mut span = Span::start(SpanKind::Server, traceparent, || span_name(&parts.method, target));
        let visitor = self.visitor(&peer, &parts);
        let account = || visitor.account().map(str::to_owned);
        let limit =
            self.rate_limits.as_ref().map(|limits| limits.admit(&visitor.client, account, &parts.method, target));
        let mut response = match (&limit, target, served) {
            (Some(Err(over)), ..) => Refusal::TooManyRequests(over.seconds).into_response(),
            (_, Some(target), Some(served)) => {
                let (revision, asker) = (&served.revision, Asker::Visitor(&visitor));
                let link = peer.link.as_ref();
                let incoming = IncomingRequest { target, revision, asker, link, parts: &parts, id: &id, span: &span };
                match call_context(&visitor, incoming) {
                    Ok(call) => self.routes.dispatcher.answer(incoming, call, body).await,
                    Err(refusal) => refusal.into_response(),
                }
            }
            (_, Some(_), None) => Refusal::Unavailable.into_response(),
            (_, None, _) => unrouted::answer_visitor(&snapshot, &lookup, &parts),
        };
        if let Some(hold) = response.extensions_mut().remove() {
            response = Box::pin(self.hold(hold, served, &parts, started, response)).await;
        }
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
        let completed = CompletedRequest { parts: &parts, target, served, status, id: &id, caller: None };
        completed.record(started, &mut span);
        response
    }

    /// Holds the connection after an answer to GET.
    async fn hold(
        &self,
        hold: Hold,
        served: Option<&Served>,
        parts: &Parts,
        started: Instant,
        response: Response,
    ) -> Response {
        let Some(served) = served.filter(|_| parts.method == Method::GET) else { return response };
        let (revision, request) = (&*served.revision, &parts.headers);
        let begun_ms = clock::ms_at(started);
        let answer = HeldAnswer { hold, revision, request, begun_ms, response };
        self.live.hold(answer).await.unwrap_or_else(IntoResponse::into_response)
    }

    fn visitor<'a>(&'a self, peer: &Peer, parts: &'a Parts) -> Visitor<'a> {
        Visitor::new(
            Client::of(peer.address, peer.is_tls(), &parts.headers, &self.config),
            &parts.headers,
            &self.identity,
        )
    }
}

/// The context of the call. Only some plugins learn who the visitor is.
fn call_context(visitor: &Visitor<'_>, incoming: IncomingRequest<'_>) -> Result<CallContext, Refusal> {
    let IncomingRequest { revision, parts, id, span, .. } = incoming;
    let client = &visitor.client;
    if cross_site::is_forbidden(&parts.method, &parts.headers, client) {
        return Err(Refusal::CrossSite);
    }
    if origin::is_foreign_script(revision, &parts.headers) {
        return Err(Refusal::ForeignScript);
    }
    Ok(CallContext {
        id: id.clone(),
        traceparent: Some(span.traceparent().into()),
        client_address: Some(client.address),
        session: visitor.session().filter(|_| origin::knows_visitor(revision)).cloned(),
        secure: client.secure,
        issued: origin::may_issue_sessions(revision).then(Arc::default),
        ..CallContext::default()
    })
}

/// Headers that the host removes, because they belong to the host or to one
/// connection.
static REMOVED_HEADERS: [HeaderName; 14] = [
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
fn request_id(headers: &HeaderMap) -> Arc<str> {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (8..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        .map_or_else(id::new_text, Arc::from)
}
