//! The routes of plugins, as other plugins call them in the process.
//!
//! Such a call takes the way of a request of a visitor from the route on: the
//! snapshot, the canary, the turns, the limits, the metrics and the log line. It
//! passes no connection, no rate limit and no check that is about browsers.

use super::{
    completed::{CompletedRequest, span_name},
    dispatcher::{Dispatcher, IncomingRequest},
    origin, unrouted,
    visitor::Asker,
};
use async_trait::async_trait;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use host_base::id;
use host_capabilities::{
    plugin_calls::{PluginBody, PluginCall, PluginCaller},
    requests::Error,
};
use host_config::http::HttpConfig;
use host_engine::CallContext;
use host_http::error::Refusal;
use host_plugin::{
    Registry, Revision, Snapshot,
    registry::{Lookup, Served, Target},
};
use host_telemetry::{Span, SpanKind};
use http::{Method, StatusCode, header, request::Parts};
use http_body_util::BodyExt;
use std::{sync::Arc, time::Instant};
use tokio::time::timeout_at;
use tokio_util::task::AbortOnDropHandle;

/// The routes of the plugins that serve.
pub struct PluginRoutes {
    pub(super) registry: Arc<Registry>,
    pub(super) dispatcher: Dispatcher,
}

impl PluginRoutes {
    /// The routes of the registry's current snapshot.
    pub fn new(registry: Arc<Registry>, config: &HttpConfig) -> Self {
        Self { registry, dispatcher: Dispatcher::new(config.body_read_timeout) }
    }
}

#[async_trait]
impl PluginCaller for PluginRoutes {
    /// The callee runs in a task of its own, because the caller polls this on the
    /// stack of its guest.
    async fn call(&self, call: PluginCall) -> Result<http::Response<PluginBody>, Error> {
        let (snapshot, dispatcher) = (self.registry.snapshot(), self.dispatcher.clone());
        let labels = (call.caller.to_string(), call.callee.clone());
        let task = tokio::spawn(async move { serve(&snapshot, &dispatcher, call).await });
        let broken_off = |_| Err(Error::Unreachable("the call broke off".to_owned()));
        let answered = AbortOnDropHandle::new(task).await.unwrap_or_else(broken_off);
        count(labels, &answered);
        answered.map(|response| response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}

/// Counts a request to a plugin that the caller may call. The names are bounded,
/// because the caller's manifest has both.
fn count((component, callee): (String, String), answered: &Result<Response, Error>) {
    let outcome = match answered {
        Ok(response) if response.status().is_server_error() => "failed",
        Ok(_) => "answered",
        Err(Error::Timeout) => "timeout",
        Err(_) => "refused",
    };
    metrics::counter!("plugin_requests_total", "component" => component, "callee" => callee, "outcome" => outcome)
        .increment(1);
}

/// Lets the callee answer, and records the request.
async fn serve(snapshot: &Snapshot, dispatcher: &Dispatcher, mut call: PluginCall) -> Result<Response, Error> {
    let started = Instant::now();
    if snapshot.plugin(&call.callee).is_none() && snapshot.starting(&call.callee).is_none() {
        return Err(Error::Unreachable(format!("there is no plugin {}", call.callee)));
    }
    let (parts, body) = std::mem::take(&mut call.request).into_parts();
    let lookup = snapshot.find_in_plugin(&call.callee, parts.method.as_str(), parts.uri.path());
    let target = match &lookup {
        Lookup::Target(target) => Some(target),
        _ => None,
    };
    let served = target.and_then(|target| target.endpoint.choose(&parts.headers));
    let mut span =
        Span::start(SpanKind::Server, call.origin.traceparent.as_deref(), || span_name(&parts.method, target));
    let id = id::new_text();
    let answered = match (target, served) {
        (Some(target), Some(served)) => {
            let asked = Asked { call: &call, parts: &parts, id: &id, span: &span };
            timeout_at(call.origin.deadline, asked.answer(dispatcher, target, served, body))
                .await
                .map_err(|_| Error::Timeout)
        }
        (Some(_), None) => Ok(Refusal::Unavailable.into_response()),
        (None, _) => Ok(unrouted::answer(&lookup, &parts)),
    };
    let status = answered.as_ref().map_or(StatusCode::GATEWAY_TIMEOUT, |response| response.status());
    let completed = CompletedRequest { parts: &parts, target, served, status, id: &id, caller: Some(&call.caller) };
    completed.record(started, &mut span);
    answered.map(|response| for_plugin(&parts.method, response))
}

/// A request of a plugin that has found its endpoint.
struct Asked<'a> {
    call: &'a PluginCall,
    parts: &'a Parts,
    id: &'a Arc<str>,
    span: &'a Span,
}

impl Asked<'_> {
    async fn answer(&self, dispatcher: &Dispatcher, target: &Target<'_>, served: &Served, body: Vec<u8>) -> Response {
        let Self { call, parts, id, span } = *self;
        let revision = &served.revision;
        let context = self.context(revision);
        let session = context.session.clone();
        let account = session.as_ref().map(|session| session.principal.id.as_str());
        let authority = parts.uri.authority().map_or("", |authority| authority.as_str());
        let asker = Asker::Plugin { caller: &call.caller, authority, account };
        let incoming = IncomingRequest { target, revision, asker, link: None, parts, id, span };
        dispatcher.answer(incoming, context, Body::from(body)).await
    }

    /// The context of the callee's call. The callee gets the visitor only if both
    /// plugins know the visitor. So a plugin that knows no visitor gets nobody to act
    /// for one.
    fn context(&self, revision: &Revision) -> CallContext {
        let Self { call, id, span, .. } = *self;
        CallContext {
            id: id.clone(),
            traceparent: Some(span.traceparent().into()),
            client_address: call.origin.client_address,
            session: call.origin.session.clone().filter(|_| origin::knows_visitor(revision)),
            secure: call.origin.secure,
            deadline: Some(call.origin.deadline),
            depth: call.origin.depth,
            ..CallContext::default()
        }
    }
}

/// The answer without the parts that belong to the client of a connection.
fn for_plugin(method: &Method, mut response: Response) -> Response {
    for name in [header::CONNECTION, header::SET_COOKIE] {
        response.headers_mut().remove(name);
    }
    if *method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}
