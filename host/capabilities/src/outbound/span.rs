//! A request to another host as a step of its component's trace, when somebody
//! records it, named as OpenTelemetry's conventions for HTTP say. Path, query,
//! headers and bodies are not in it.

use host_telemetry::Step;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Response, Url};
use wasmtime_wasi_http::Error;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request, from its start to the head of the answer.
pub(super) struct Asking(Option<Step>);

impl Asking {
    pub(super) fn begin(component: &str, traceparent: Option<&str>, method: &Method, url: &Url) -> Self {
        let step = Step::call(traceparent, || method.to_string()).map(|mut step| {
            step.say(|| {
                [
                    ("component", component.to_owned().into()),
                    ("http.request.method", method.to_string().into()),
                    ("url.scheme", url.scheme().to_owned().into()),
                    ("server.address", url.host_str().unwrap_or_default().to_owned().into()),
                    ("server.port", i64::from(url.port_or_known_default().unwrap_or_default()).into()),
                ]
            });
            step
        });
        Self(step)
    }

    /// Tells the other host where in the trace it is asked, unless the
    /// component does.
    pub(super) fn hand_on(&self, headers: &mut HeaderMap) {
        let place = self.0.as_ref().and_then(Step::recorded);
        if let Some(place) = place.and_then(|place| HeaderValue::from_str(&place).ok()) {
            headers.entry(TRACEPARENT).or_insert(place);
        }
    }

    /// Ends it with the head of the answer, or why there is none.
    pub(super) fn end(&mut self, head: Result<Response, Error>) -> Result<Response, Error> {
        if let Some(mut step) = self.0.take() {
            match &head {
                Ok(answer) => {
                    let status = answer.status();
                    step.say(|| [("http.response.status_code", i64::from(status.as_u16()).into())]);
                    if status.is_client_error() || status.is_server_error() {
                        step.say(|| [("error.type", status.as_str().to_owned().into())]);
                        step.fail(|| status.to_string());
                    }
                }
                Err(Error::HttpResponseTimeout | Error::ConnectionTimeout) => step.fail_as("timeout"),
                Err(Error::DnsError { .. }) => step.fail_as("name"),
                Err(Error::DestinationIpProhibited) => step.fail_as("prohibited"),
                Err(_) => step.fail_as("connection"),
            }
        }
        head
    }
}
