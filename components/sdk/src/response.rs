//! HTTP responses, and the one place that turns an [`Error`] into a response:
//! a status and the body `{"errors":[{"message", "field"?}]}`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bindings::imports::platform::http::types;
use crate::bindings::imports::platform::identity::identity;
use crate::bindings::imports::platform::store::sql;
use crate::error::{Error, Problem, Result};
use crate::headers::{etag, first_value};
use crate::log;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const EVENTS: &str = "text/event-stream";
/// How long the host asks again after [`Error::NotFoundYet`].
const ASK_AGAIN_MS: u32 = 1_000;
/// The number of seconds after which a client may try again after a 503.
const RETRY_AFTER_SECONDS: u32 = 1;

/// An HTTP response.
#[derive(Debug)]
pub struct Response(types::Response);

impl Response {
    /// A response with a JSON body.
    pub fn json(status: u16, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Self::content(status, JSON, body))
    }

    /// A response with a body of any media type.
    pub fn content(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), media_type.to_owned())];
        Self(types::Response { status, headers, body: body.into() })
    }

    /// A response with a plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::content(status, TEXT, text.into())
    }

    /// A response without a body.
    pub fn empty(status: u16) -> Self {
        Self(types::Response { status, headers: Vec::new(), body: Vec::new() })
    }

    /// Adds a header. The name is in lower case.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds the version as `ETag`.
    #[must_use]
    pub fn version(self, version: i64) -> Self {
        self.header("etag", etag(version))
    }

    /// A refusal with a further member next to the problem.
    pub fn refusal(status: u16, message: &str, name: &str, value: &impl Serialize) -> Result<Self> {
        #[derive(Serialize)]
        struct Envelope<'a, T> {
            errors: [Problem; 1],
            #[serde(flatten)]
            further: BTreeMap<&'a str, T>,
        }

        let errors = [Problem { message: message.to_owned(), field: None }];
        Self::json(status, &Envelope { errors, further: BTreeMap::from([(name, value)]) })
    }

    /// 503: the client may try again in a moment.
    pub fn busy() -> Self {
        busy()
    }

    /// Tells the host that an event under way may change this response. The host
    /// repeats the request until a response does not say so, or until this number
    /// of milliseconds (at most 2000) has passed.
    #[must_use]
    pub fn ask_again_for(self, ms: u32) -> Self {
        self.header("x-ask-again-ms", ms.to_string())
    }

    /// Tells the host that a repetition of this request with the same
    /// `Idempotency-Key` may reach the component although this call has changed
    /// something. It matters only for a response that the host does not store.
    #[must_use]
    pub fn repeatable(self) -> Self {
        self.header("x-repeatable", "true")
    }

    /// The response to a `GET` whose client listens to the live events of these
    /// channels: server-sent events. [`Response::event`] adds the first ones.
    ///
    /// ```
    /// # use ticketing_sdk::{Request, Response, Result};
    /// fn listen(_: &Request) -> Result<Response> {
    ///     Ok(Response::live(&["visitors"]).event("count", "3"))
    /// }
    /// ```
    pub fn live(channels: &[&str]) -> Self {
        Self::content(200, EVENTS, "").hold(channels)
    }

    /// Adds a server-sent event to the body of [`Response::live`].
    #[must_use]
    pub fn event(mut self, event: &str, data: &str) -> Self {
        let data = data.replace("\r\n", "\n");
        let lines = data.split(['\n', '\r']).map(|line| format!("data: {line}\n"));
        let text: String = std::iter::once(format!("event: {event}\n")).chain(lines).collect();
        self.0.body.extend(text.bytes().chain([b'\n']));
        self
    }

    /// Lets the host hold the connection of a `GET` and send the live events of these
    /// channels after the body, which has the media type `text/event-stream`.
    /// [`Tx::send_live`](crate::store::Tx::send_live) sends them.
    #[must_use]
    pub fn hold(self, channels: &[&str]) -> Self {
        self.header("grip-hold", "stream").header("grip-channel", channels.join(","))
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// The first value of a header.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        first_value(&self.0.headers, name)
    }
}

impl From<Response> for types::Response {
    fn from(response: Response) -> Self {
        response.0
    }
}

/// Details that the client must not see go to the log.
impl From<Error> for Response {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused { status, problems, retry_after_seconds } => {
                envelope(status, &problems, retry_after_seconds)
            }
            Error::NotFoundYet => Self::from(Error::not_found()).ask_again_for(ASK_AGAIN_MS),
            Error::Conflict | Error::Store(sql::Error::Conflict | sql::Error::Timeout) => busy(),
            Error::Store(sql::Error::Unavailable(detail))
            | Error::Identity(identity::Error::Unavailable(detail))
            | Error::Unavailable(detail) => {
                log::warn("unavailable", &detail);
                busy()
            }
            Error::Identity(identity::Error::Throttled(seconds)) => {
                Error::throttled("Too many attempts", seconds).into()
            }
            error => {
                log::error("internal", error.detail());
                let problem = Problem { message: "Something went wrong".to_owned(), field: None };
                envelope(500, &[problem], None)
            }
        }
    }
}

fn busy() -> Response {
    let problem = Problem { message: "The service is busy, try again".to_owned(), field: None };
    envelope(503, &[problem], Some(RETRY_AFTER_SECONDS))
}

fn envelope(status: u16, problems: &[Problem], retry_after_seconds: Option<u32>) -> Response {
    #[derive(Serialize)]
    struct Envelope<'a> {
        errors: &'a [Problem],
    }

    // Strings always serialize, so the default is never used.
    let body = serde_json::to_vec(&Envelope { errors: problems }).unwrap_or_default();
    let response = Response::content(status, JSON, body);
    match retry_after_seconds {
        Some(seconds) => response.header("retry-after", seconds.to_string()),
        None => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_names_the_field_only_where_there_is_one() {
        let with_field = Response::from(Error::field("price", "Too low"));
        assert_eq!(with_field.status(), 400);
        assert_eq!(with_field.body(), br#"{"errors":[{"message":"Too low","field":"price"}]}"#);
        let without_field = Response::from(Error::not_found());
        assert_eq!(without_field.status(), 404);
        assert_eq!(without_field.body(), br#"{"errors":[{"message":"Not Found"}]}"#);
    }

    #[test]
    fn a_live_response_begins_with_its_events() {
        let response = Response::live(&["a", "b"]).event("state", "1\n2");
        assert_eq!(response.header_value("grip-channel"), Some("a,b"));
        assert_eq!(response.header_value("content-type"), Some("text/event-stream"));
        assert_eq!(response.body(), b"event: state\ndata: 1\ndata: 2\n\n");
    }

    #[test]
    fn a_conflict_asks_the_client_to_try_again() {
        let response = Response::from(Error::from(sql::Error::Conflict));
        assert_eq!(response.status(), 503);
        assert_eq!(response.header_value("retry-after"), Some("1"));
    }
}
