//! The span of an outgoing request, if the trace is recorded. Its attributes
//! follow the conventions of OpenTelemetry for HTTP. It contains no path, no
//! query, no header and no body.

use super::SendError;
use host_telemetry::Span;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Response, Url};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A span from the start of a request to the head of its response.
pub(super) struct RequestSpan(Option<Span>);

impl RequestSpan {
    pub(super) fn begin(component: &str, traceparent: Option<&str>, method: &Method, url: &Url) -> Self {
        let span = Span::start_call(traceparent, || method.to_string()).map(|mut span| {
            span.set_attributes(|| {
                [
                    ("component", component.to_owned().into()),
                    ("http.request.method", method.to_string().into()),
                    ("url.scheme", url.scheme().to_owned().into()),
                    ("server.address", url.host_str().unwrap_or_default().to_owned().into()),
                    ("server.port", i64::from(url.port_or_known_default().unwrap_or_default()).into()),
                ]
            });
            span
        });
        Self(span)
    }

    /// Adds the trace context to the request, unless the component has set one.
    pub(super) fn propagate(&self, headers: &mut HeaderMap) {
        let traceparent = self.0.as_ref().and_then(Span::recorded_traceparent);
        if let Some(value) = traceparent.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.entry(TRACEPARENT).or_insert(value);
        }
    }

    /// Ends the span with the head of the response, or with the error.
    pub(super) fn end(&mut self, head: Result<Response, SendError>) -> Result<Response, SendError> {
        if let Some(mut span) = self.0.take() {
            match &head {
                Ok(answer) => {
                    let status = answer.status();
                    span.set_attributes(|| [("http.response.status_code", i64::from(status.as_u16()).into())]);
                    if status.is_client_error() || status.is_server_error() {
                        span.set_attributes(|| [("error.type", status.as_str().to_owned().into())]);
                        span.fail(|| status.to_string());
                    }
                }
                Err(error) => span.fail_with_type(error.kind()),
            }
        }
        head
    }
}
