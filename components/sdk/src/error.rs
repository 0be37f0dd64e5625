//! The error type of handlers.
//!
//! `response.rs` turns an error into an HTTP response, and `messaging.rs` into the
//! fate of an event.

use serde::Serialize;

use crate::bindings::imports::platform::identity::identity;
use crate::bindings::imports::platform::store::sql;
use crate::id;
use crate::time::now_ms;

/// The result type of handlers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The failure of a handler.
#[derive(Debug)]
pub enum Error {
    /// The component refuses the request.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The reasons. The client sees them.
        problems: Vec<Problem>,
        /// The number of seconds after which the client may try again.
        retry_after_seconds: Option<u32>,
    },
    /// The `store` interface returned an error.
    Store(sql::Error),
    /// The `identity` interface returned an error.
    Identity(identity::Error),
    /// The row does not exist, but its id is so new that the event about it
    /// may still be under way. The host asks the component again for a short
    /// time. If the event does not arrive, the client gets 404.
    NotFoundYet,
    /// Another transaction has changed the row first. The caller must read it
    /// again.
    Conflict,
    /// A dependency cannot be reached. The detail goes to the log only.
    Unavailable(String),
    /// The component has a fault. The detail goes to the log only.
    Internal(String),
}

/// One reason for a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The text for the client.
    pub message: String,
    /// The name of the wrong input, if one input is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Error {
    /// A refusal that belongs to no single input.
    pub fn refused(status: u16, message: impl Into<String>) -> Self {
        let problem = Problem { message: message.into(), field: None };
        Self::Refused { status, problems: vec![problem], retry_after_seconds: None }
    }

    /// 400 with a message.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::refused(400, message)
    }

    /// 400 for one wrong input.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![Problem { message: message.into(), field: Some(field.to_owned()) }])
    }

    /// 400 with all problems of the request.
    pub fn invalid(problems: Vec<Problem>) -> Self {
        Self::Refused { status: 400, problems, retry_after_seconds: None }
    }

    /// 401: no user is signed in, or this user has no right to do it.
    pub fn not_authorized() -> Self {
        Self::refused(401, "Not authorized")
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::refused(404, "Not Found")
    }

    /// 404 for a missing copy of a row that another component owns. If the id
    /// is only moments old, this is [`Error::NotFoundYet`].
    pub fn copy_not_found(id: &str) -> Self {
        if id::is_recent(id, now_ms()) { Self::NotFoundYet } else { Self::not_found() }
    }

    /// 429: the client must wait this number of seconds.
    pub fn throttled(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::Refused {
            status: 429,
            problems: vec![Problem { message: message.into(), field: None }],
            retry_after_seconds: Some(retry_after_seconds),
        }
    }

    /// 503: the client may try again after a second.
    pub fn busy(message: impl Into<String>) -> Self {
        let problem = Problem { message: message.into(), field: None };
        Self::Refused { status: 503, problems: vec![problem], retry_after_seconds: Some(1) }
    }

    /// Whether the same work may succeed in a new transaction.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict | Self::Store(sql::Error::Conflict))
    }

    /// Whether the error is a violation of the unique constraint `target`,
    /// such as `table.column`.
    pub fn is_duplicate_of(&self, target: &str) -> bool {
        matches!(self, Self::Store(sql::Error::Constraint(violation))
            if violation.kind == sql::ConstraintKind::Unique && violation.target == target)
    }

    /// The full text of the error, for the log.
    pub fn detail(&self) -> String {
        match self {
            Self::Refused { status, problems, .. } => {
                let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
                format!("{status}: {}", messages.join("; "))
            }
            Self::Store(error) => format!("store: {error}"),
            Self::Identity(error) => format!("identity: {error}"),
            Self::NotFoundYet => "the copy of the row has not arrived yet".to_owned(),
            Self::Conflict => "another transaction has changed the row first".to_owned(),
            Self::Unavailable(detail) | Self::Internal(detail) => detail.clone(),
        }
    }
}

/// The same as [`Error::detail`].
impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.detail())
    }
}

impl std::error::Error for Error {}

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
