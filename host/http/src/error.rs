//! Every error that the host answers with. The body of the answer is
//! `{"errors":[{"message": "...", "field": "..."}]}`. Only this module decides the
//! HTTP status of an error.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use host_api::error::{Envelope, Fault};
use host_engine::Failure;
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use std::borrow::Cow;

/// An answer that the host gives in place of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No plugin has this path.
    NotFound,
    /// A plugin has this path, with other methods. The answer also has `Allow`.
    MethodNotAllowed,
    /// The host cannot read the request's head or body.
    Malformed(&'static str),
    /// The body is over the component's limit.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The client expects something that the host does not know.
    UnknownExpectation,
    /// Another site tried to use the visitor's session.
    CrossSite,
    /// A page asked for a script that would act with the visitor's session.
    ForeignScript,
    /// Another request has this `Idempotency-Key`.
    KeyOfOtherRequest,
    /// A request with this `Idempotency-Key` still runs. The answer also has
    /// `Retry-After`.
    KeyInUse,
    /// A request with this `Idempotency-Key` has changed something, and its answer
    /// was not kept.
    AnswerNotKept,
    /// The visitor has used too many keys.
    TooManyKeys,
    /// The visitor has asked too often, and may ask again after this number of seconds.
    TooManyRequests(u32),
    /// A bearer token is missing or wrong.
    Unauthorized,
    /// The host has too much work. The client may try again.
    Busy,
    /// A service that the host needs is unavailable at the moment.
    Unavailable,
    /// The component took too long.
    Deadline,
    /// The component or the host failed.
    Failed,
}

/// The host keeps a key for a day. This says how often a client may look whether one
/// of its keys has become free.
const KEY_RETRY_SECONDS: u32 = 3_600;
const ANSWER_NOT_KEPT: &str = "The request with this Idempotency-Key was interrupted after it changed something. \
                               Look at the result before you use a new key";

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
            Self::Malformed(message) => (StatusCode::BAD_REQUEST, message),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time"),
            Self::UnknownExpectation => (StatusCode::EXPECTATION_FAILED, "Only 100-continue can be expected"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "Requests from another site are not accepted"),
            Self::ForeignScript => (StatusCode::FORBIDDEN, "Scripts of this plugin run in its own pages alone"),
            Self::KeyOfOtherRequest => {
                (StatusCode::UNPROCESSABLE_ENTITY, "This Idempotency-Key belongs to another request")
            }
            Self::KeyInUse => (StatusCode::CONFLICT, "A request with this Idempotency-Key still runs, try again"),
            Self::AnswerNotKept => (StatusCode::CONFLICT, ANSWER_NOT_KEPT),
            Self::TooManyKeys => (StatusCode::TOO_MANY_REQUESTS, "Too many requests with an Idempotency-Key in a day"),
            Self::TooManyRequests(_) => (StatusCode::TOO_MANY_REQUESTS, "Too many requests, try again later"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Not authorized"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Too busy, try again"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Not available, try again"),
            Self::Deadline => (StatusCode::GATEWAY_TIMEOUT, "This took too long"),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong"),
        }
    }
}

impl From<&Failure> for Refusal {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Busy { .. } | Failure::Memory { .. } | Failure::Unread { .. } => Self::Busy,
            Failure::Deadline { .. } => Self::Deadline,
            Failure::Database { .. } => Self::Unavailable,
            Failure::TooLarge { .. } => Self::TooLarge,
            Failure::Unsent { .. } => Self::TooSlow,
            Failure::Trap { .. } | Failure::Answer { .. } | Failure::Host { .. } => Self::Failed,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// Marks an answer that the host gives in place of a component, with its faults.
#[derive(Debug, Clone)]
pub struct RefusedByHost(Vec<Fault>);

impl RefusedByHost {
    /// The messages of all faults, in one line.
    pub fn message(&self) -> String {
        joined(&self.0)
    }
}

fn joined(faults: &[Fault]) -> String {
    faults.iter().map(|fault| fault.message.as_ref()).collect::<Vec<_>>().join("; ")
}

/// An error with a message for operators. Handlers return it, and `?` converts a
/// [`Refusal`] into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    errors: Vec<Fault>,
    /// The seconds after which the client may try again.
    retry_after: Option<u32>,
}

impl Problem {
    /// An error with one fault.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        Self { status, errors: vec![Fault { message: message.into(), field: None }], retry_after }
    }

    /// Names the input that the last fault is about.
    #[must_use]
    pub fn for_field(mut self, field: impl Into<String>) -> Self {
        if let Some(fault) = self.errors.last_mut() {
            fault.field = Some(field.into());
        }
        self
    }

    /// Adds another fault.
    #[must_use]
    pub fn with_fault(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.errors.push(Fault { message: message.into(), field: None });
        self
    }

    /// Changes the message of every fault.
    #[must_use]
    pub fn map_messages(mut self, change: impl Fn(&str) -> String) -> Self {
        for fault in &mut self.errors {
            fault.message = change(&fault.message).into();
        }
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The messages of all faults, in one line.
    pub fn message(&self) -> String {
        joined(&self.errors)
    }

    /// The input of each fault, if the fault is about one.
    pub fn fields(&self) -> Vec<Option<&str>> {
        self.errors.iter().map(|fault| fault.field.as_deref()).collect()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, message) = refusal.parts();
        let problem = Self::new(status, message);
        match refusal {
            Refusal::TooManyRequests(seconds) => Self { retry_after: Some(seconds), ..problem },
            Refusal::TooManyKeys => Self { retry_after: Some(KEY_RETRY_SECONDS), ..problem },
            _ => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let header = match self.status {
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            // The host may not have read the rest of the body, so no other request
            // can follow on this connection.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                Some((CONNECTION, HeaderValue::from_static("close")))
            }
            _ => None,
        };
        let envelope = Envelope { errors: self.errors };
        let mut response = (self.status, Json(&envelope)).into_response();
        response.headers_mut().extend(header);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(RefusedByHost(envelope.errors));
        response
    }
}
