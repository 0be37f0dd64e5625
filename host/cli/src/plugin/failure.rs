//! The failure of a command: the line that it prints, and its exit code.

use host_api::error::Envelope;
use host_oci::OciError;
use http::StatusCode;

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A failure of another kind than the others.
    #[error("{0}")]
    Failed(String),
    /// The command line or the profile is wrong.
    #[error("{0}")]
    Usage(String),
    /// The host has no such plugin, revision or token.
    #[error("{0}")]
    NotFound(String),
    /// The host understood the request and refused it.
    #[error("{0}")]
    Refused(String),
    /// The token is missing, is wrong or does not allow this.
    #[error("{0}")]
    NotAuthorized(String),
    /// The host does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// The file is not compatible.
    #[error("{0}")]
    Incompatible(String),
    /// There are changes, and the command was not allowed to make them.
    #[error("{0}")]
    NotMade(String),
    /// Some plugins are not as a file says. The code is that of the first failure.
    #[error("{message}")]
    OfPlugins {
        /// The line.
        message: String,
        /// The exit code.
        code: u8,
    },
}

impl From<OciError> for Failure {
    fn from(error: OciError) -> Self {
        match error {
            OciError::NotAuthorized(message) => Self::NotAuthorized(message),
            OciError::NotFound(message) => Self::NotFound(message),
            OciError::Unreachable(message) => Self::Unreachable(message),
            OciError::Misused(message) => Self::Usage(message),
            OciError::Failed(message) => Self::Failed(message),
        }
    }
}

impl Failure {
    /// The exit code of the process.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::NotFound(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::NotAuthorized(_) => 4,
            Self::Unreachable(_) => 5,
            Self::Incompatible(_) => 6,
            Self::NotMade(_) => 7,
            Self::OfPlugins { code, .. } => *code,
        }
    }

    /// The failure for a status that is not a success, with the host's message.
    pub(crate) fn of_status(status: StatusCode, body: &str) -> Self {
        let message = message(body).unwrap_or_else(|| format!("the host answered {status}"));
        match status.as_u16() {
            401 => Self::NotAuthorized(format!(
                "{message}: the token is missing or wrong; give one with --token-file, TICKETING_ADMIN_TOKEN or a profile"
            )),
            403 => Self::NotAuthorized(message),
            404 => Self::NotFound(message),
            400 | 408 | 409 | 411 | 413 | 415 | 422 => Self::Refused(message),
            503 => Self::Failed(format!("{message}; try again in a moment")),
            _ => Self::Failed(message),
        }
    }
}

/// The messages of an envelope, in one line.
fn message(body: &str) -> Option<String> {
    let envelope: Envelope = serde_json::from_str(body).ok()?;
    let messages = envelope.errors.into_iter().map(|fault| match fault.field {
        Some(field) => format!("{field}: {}", fault.message),
        None => fault.message.into_owned(),
    });
    Some(messages.collect::<Vec<_>>().join("; ")).filter(|message| !message.is_empty())
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_printed_with_the_messages_of_the_host() {
        let body = r#"{"errors":[{"message":"must be 1 to 512","field":"memory_mib"},{"message":"too old"}]}"#;
        let failure = Failure::of_status(StatusCode::UNPROCESSABLE_ENTITY, body);
        assert_eq!((failure.to_string().as_str(), failure.code()), ("memory_mib: must be 1 to 512; too old", 3));
    }

    #[test]
    fn every_status_has_a_code_and_a_line() {
        for (status, code) in [(400, 3), (401, 4), (403, 4), (404, 1), (409, 3), (413, 3), (500, 1), (503, 1)] {
            let failure = Failure::of_status(StatusCode::from_u16(status).unwrap(), "<html>");
            assert_eq!(failure.code(), code, "{status}");
            assert!(failure.to_string().contains(&status.to_string()), "{failure}");
        }
    }
}
