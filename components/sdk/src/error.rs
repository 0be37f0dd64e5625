//! What can go wrong in a handler, and the one place where it becomes an
//! answer: the envelope `{"errors":[{"message", "field"?}]}` and its status.

use serde::Serialize;

use crate::bindings::imports::platform::identity::identity;
use crate::bindings::imports::platform::store::sql;
use crate::http::Response;
use crate::time::now_ms;
use crate::{id, log};

/// How long the host asks again for something that is not known yet.
const ASK_AGAIN_MS: u32 = 1_000;

/// What handlers return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Seconds after which a caller may try again when the host is busy.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A handler's failure.
#[derive(Debug)]
pub enum Error {
    /// The caller is refused.
    Refused {
        /// The status to answer with.
        status: u16,
        /// What is wrong, for the caller to read.
        problems: Vec<Problem>,
        /// Seconds after which another attempt makes sense.
        retry_after_seconds: Option<u32>,
    },
    /// The store refused or failed.
    Store(sql::Error),
    /// Identity refused or failed.
    Identity(identity::Error),
    /// What was asked for is so new that the event about it may still be on
    /// its way: 404, unless it arrives while the host asks again.
    NotYet,
    /// Somebody else's change came in between; begin again.
    Conflict,
    /// A dependency cannot be reached; what exactly is for the log.
    Unavailable(String),
    /// The component is at fault; how is for the log.
    Internal(String),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// For the caller to read.
    pub message: String,
    /// The input that is to blame, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Error {
    /// A refusal that no single input is to blame for.
    pub fn refused(status: u16, message: impl Into<String>) -> Self {
        let problem = Problem { message: message.into(), field: None };
        Self::Refused { status, problems: vec![problem], retry_after_seconds: None }
    }

    /// 400 with a message.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::refused(400, message)
    }

    /// 400 that blames one input.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![Problem { message: message.into(), field: Some(field.to_owned()) }])
    }

    /// 400 with everything that is wrong.
    pub fn invalid(problems: Vec<Problem>) -> Self {
        Self::Refused { status: 400, problems, retry_after_seconds: None }
    }

    /// 401: nobody, or the wrong one, is signed in.
    pub fn not_authorized() -> Self {
        Self::refused(401, "Not authorized")
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::refused(404, "Not Found")
    }

    /// 404 for something that another component made: at once, or, if the id
    /// is only moments old, when the event about it fails to arrive.
    pub fn unknown(id: &str) -> Self {
        if id::is_fresh(id, now_ms()) { Self::NotYet } else { Self::not_found() }
    }

    /// 429: not before so many seconds.
    pub fn throttled(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::Refused {
            status: 429,
            problems: vec![Problem { message: message.into(), field: None }],
            retry_after_seconds: Some(retry_after_seconds),
        }
    }

    /// Whether the work may succeed when it is simply begun again.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict | Self::Store(sql::Error::Conflict))
    }

    /// Whether it is a violation of the uniqueness of `target`, such as
    /// `table.column`.
    pub fn is_duplicate_of(&self, target: &str) -> bool {
        matches!(self, Self::Store(sql::Error::Constraint(violation))
            if violation.kind == sql::ConstraintKind::Unique && violation.target == target)
    }

    /// The answer. What the caller must not see goes to the log.
    pub fn into_response(self) -> Response {
        match self {
            Self::Refused { status, problems, retry_after_seconds } => envelope(status, &problems, retry_after_seconds),
            Self::NotYet => Self::not_found().into_response().header("x-ask-again-ms", ASK_AGAIN_MS.to_string()),
            Self::Conflict | Self::Store(sql::Error::Conflict | sql::Error::Timeout) => busy(),
            Self::Store(sql::Error::Unavailable(detail))
            | Self::Identity(identity::Error::Unavailable(detail))
            | Self::Unavailable(detail) => {
                log::warn("unavailable", &detail);
                busy()
            }
            Self::Identity(identity::Error::Throttled(seconds)) => {
                Self::throttled("Too many attempts", seconds).into_response()
            }
            error => {
                log::error("internal", &error.detail());
                let problem = Problem { message: "Something went wrong".to_owned(), field: None };
                envelope(500, &[problem], None)
            }
        }
    }

    /// All that is known, for the log.
    pub fn detail(&self) -> String {
        match self {
            Self::Refused { status, problems, .. } => {
                let messages: Vec<&str> = problems.iter().map(|p| p.message.as_str()).collect();
                format!("{status}: {}", messages.join("; "))
            }
            Self::Store(error) => format!("store: {error}"),
            Self::Identity(error) => format!("identity: {error}"),
            Self::NotYet => "not known yet".to_owned(),
            Self::Conflict => "a concurrent change".to_owned(),
            Self::Unavailable(detail) | Self::Internal(detail) => detail.clone(),
        }
    }
}

impl From<sql::Error> for Error {
    fn from(error: sql::Error) -> Self {
        Self::Store(error)
    }
}

impl From<identity::Error> for Error {
    fn from(error: identity::Error) -> Self {
        Self::Identity(error)
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

    let response = Response::json_or_empty(status, &Envelope { errors: problems });
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
        let one = Error::field("price", "Too low").into_response();
        assert_eq!(one.status(), 400);
        assert_eq!(one.body(), br#"{"errors":[{"message":"Too low","field":"price"}]}"#);
        let other = Error::not_found().into_response();
        assert_eq!(other.status(), 404);
        assert_eq!(other.body(), br#"{"errors":[{"message":"Not Found"}]}"#);
    }

    #[test]
    fn a_conflict_asks_to_try_again() {
        let response = Error::from(sql::Error::Conflict).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.header_value("retry-after"), Some("1"));
    }
}
