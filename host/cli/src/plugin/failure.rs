//! How a command fails: the line that it prints, and the code that scripts see.

use http::StatusCode;
use serde::Deserialize;

/// Why a command did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Anything that is not one of the others.
    #[error("{0}")]
    Failed(String),
    /// The command line or the profile makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The host knows of no such thing.
    #[error("{0}")]
    NotThere(String),
    /// The host understood, and would not.
    #[error("{0}")]
    Refused(String),
    /// No token, a wrong one, or one that may not do this.
    #[error("{0}")]
    NotAuthorized(String),
    /// No answer.
    #[error("{0}")]
    Unreachable(String),
    /// Nothing failed, but the plugin does not fit.
    #[error("{0}")]
    Incompatible(String),
}

/// What a host answers with when it refuses.
#[derive(Deserialize)]
struct Envelope {
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    message: String,
    field: Option<String>,
}

impl Failure {
    /// What the process ends with.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::NotThere(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::NotAuthorized(_) => 4,
            Self::Unreachable(_) => 5,
            Self::Incompatible(_) => 6,
        }
    }

    /// What a status other than success means, and what the host says to it.
    pub(super) fn of_status(status: StatusCode, body: &str) -> Self {
        let said = said(body).unwrap_or_else(|| format!("the host answered {status}"));
        match status.as_u16() {
            401 => Self::NotAuthorized(format!(
                "{said}: the token is missing or wrong; give one with --token-file, TICKETING_ADMIN_TOKEN or a profile"
            )),
            403 => Self::NotAuthorized(said),
            404 => Self::NotThere(said),
            400 | 408 | 409 | 411 | 413 | 415 | 422 => Self::Refused(said),
            503 => Self::Failed(format!("{said}; try again in a moment")),
            _ => Self::Failed(said),
        }
    }
}

/// The messages of an envelope, in one line.
fn said(body: &str) -> Option<String> {
    let envelope: Envelope = serde_json::from_str(body).ok()?;
    let problems = envelope.errors.into_iter().map(|problem| match problem.field {
        Some(field) => format!("{field}: {}", problem.message),
        None => problem.message,
    });
    Some(problems.collect::<Vec<_>>().join("; ")).filter(|said| !said.is_empty())
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
    fn a_refusal_is_told_in_the_words_of_the_host() {
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
