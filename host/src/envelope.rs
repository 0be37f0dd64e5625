//! Every error that the host answers with, and the one place where its HTTP
//! status is decided: `{"errors":[{"message": "..."}]}`.

use crate::engine::Failure;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER},
};

/// An answer that the host gives in place of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No plugin answers this method on this path.
    NotFound,
    /// The request's head or body cannot be read.
    Malformed(&'static str),
    /// The body is over the component's limit.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// Another site tried to use the visitor's session.
    CrossSite,
    /// A bearer token is missing or wrong.
    Unauthorized,
    /// Too much at once; worth another try.
    Busy,
    /// Something that the host needs is not there at the moment.
    Unavailable,
    /// The component took too long.
    Deadline,
    /// The component or the host failed.
    Failed,
}

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Self::Malformed(message) => (StatusCode::BAD_REQUEST, message),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "Requests from another site are not accepted"),
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
            Failure::Busy { .. } => Self::Busy,
            Failure::Deadline { .. } => Self::Deadline,
            Failure::Trap { .. } | Failure::Answer { .. } | Failure::Host { .. } => Self::Failed,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message) = self.parts();
        let mut response = respond(status, message);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if matches!(self, Self::TooLarge | Self::TooSlow) {
            // What is left of the body may not have been read, so nothing can
            // follow it on this connection.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// An error of any status in the envelope.
pub fn respond(status: StatusCode, message: &str) -> Response {
    let body = serde_json::json!({ "errors": [{ "message": message }] }).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
