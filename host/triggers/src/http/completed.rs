//! The record of a request that has its answer: the log line, the metrics and the
//! attributes of the span.

use host_base::{clock, text::truncate};
use host_plugin::registry::{Served, Target};
use host_telemetry::{
    Span,
    recent_traces::{self, Operation, OperationKind},
};
use http::{Method, StatusCode, request::Parts};
use std::time::{Duration, Instant};

/// The visitor's part of a log line is cut at this length.
const LOGGED_BYTES: usize = 2 << 10;

/// The name of the span comes from the manifest, never from the request.
pub(super) fn span_name(method: &Method, target: Option<&Target<'_>>) -> String {
    target.map_or_else(|| "no route".to_owned(), |target| format!("{method} {}", target.pattern))
}

/// A request with its outcome.
pub(super) struct CompletedRequest<'a> {
    pub(super) parts: &'a Parts,
    /// None if no component has the route.
    pub(super) target: Option<&'a Target<'a>>,
    /// None if the component does not serve.
    pub(super) served: Option<&'a Served>,
    pub(super) status: StatusCode,
    pub(super) id: &'a str,
    /// The plugin that asked. None if a visitor asked.
    pub(super) caller: Option<&'a str>,
}

impl CompletedRequest<'_> {
    fn component(&self) -> &str {
        self.target.map_or("", |target| target.endpoint.plugin())
    }

    fn revision(&self) -> &str {
        self.served.map_or("", |served| served.revision.id.as_str())
    }

    /// Records the request in the log, the metrics and the span.
    pub(super) fn record(&self, begun: Instant, span: &mut Span) {
        let took = begun.elapsed();
        self.log(took, span);
        match self.served {
            Some(served) => served.metrics.record(self.status, took),
            None => metrics::counter!("http_requests_unrouted_total").increment(1),
        }
        self.describe(span);
        self.keep(begun, took, span);
    }

    /// Tells of the request, unless it only read and everything was well.
    fn keep(&self, begun: Instant, took: Duration, span: &Span) {
        let failed = self.status.is_server_error();
        if !failed && self.parts.method.is_safe() && !recent_traces::is_slow(took) {
            return;
        }
        recent_traces::record(Operation {
            trace: span.trace_id(),
            kind: self.caller.map_or(OperationKind::Request, |_| OperationKind::PluginRequest),
            component: self.component().to_owned(),
            name: span_name(&self.parts.method, self.target),
            id: self.id.to_owned(),
            begun_ms: clock::ms_at(begun),
            took,
            failure: failed.then(|| self.status.to_string()),
        });
    }

    fn log(&self, took: Duration, span: &Span) {
        let Self { parts, status, id, caller, .. } = self;
        tracing::info!(
            target: "request",
            id, method = %truncate(parts.method.as_str(), LOGGED_BYTES),
            path = truncate(parts.uri.path(), LOGGED_BYTES), status = status.as_u16(),
            duration_us = took.as_micros() as u64, component = self.component(), revision = self.revision(), caller,
            trace = %span.trace_text(),
        );
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
        if let Some(caller) = self.caller {
            span.set_attributes(|| [("caller", caller.to_owned().into())]);
        }
        if self.status.is_server_error() {
            span.fail(|| self.status.to_string());
        }
    }
}
