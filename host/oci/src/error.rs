//! The reasons why a registry gives or takes no plugin file.

use host_base::{
    printable::printable,
    text::{REASON_BYTES, truncate},
};
use http::StatusCode;
use oci_client::errors::{OciDistributionError, OciErrorCode};
use std::fmt::Display;

/// A registry gives or takes no plugin file. The text is for people.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The credentials are missing, wrong or not enough.
    #[error("{0}")]
    NotAuthorized(String),
    /// The registry has nothing at this place.
    #[error("{0}")]
    NotFound(String),
    /// The registry does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// The place cannot be used in this way.
    #[error("{0}")]
    Misused(String),
    /// The registry or the file is not as it must be.
    #[error("{0}")]
    Failed(String),
}

impl OciError {
    /// The reason why a file did not arrive as its manifest says.
    pub(crate) fn broken_off(error: &std::io::Error, place: &dyn Display) -> Self {
        Self::Failed(format!("{place}: {}", told(error)))
    }

    /// The reason for an error of the registry at this place.
    pub(crate) fn of(error: &OciDistributionError, registry: &str, place: &dyn Display) -> Self {
        let not_authorized = || {
            Self::NotAuthorized(format!("{registry} does not allow this for {place}; try `docker login {registry}`"))
        };
        let not_found = || Self::NotFound(format!("{registry} has no {place}"));
        match error {
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_)
            | OciDistributionError::ServerError { code: 401 | 403, .. } => not_authorized(),
            OciDistributionError::ServerError { code: 404, .. }
            | OciDistributionError::ImageManifestNotFoundError(_) => not_found(),
            OciDistributionError::RegistryError { envelope, .. } => {
                let has = |codes: &[OciErrorCode]| envelope.errors.iter().any(|error| codes.contains(&error.code));
                if has(&[OciErrorCode::Unauthorized, OciErrorCode::Denied]) {
                    not_authorized()
                } else if has(&[OciErrorCode::ManifestUnknown, OciErrorCode::NameUnknown, OciErrorCode::NotFound]) {
                    not_found()
                } else {
                    Self::Failed(format!("{place}: {}", told(envelope)))
                }
            }
            OciDistributionError::RequestError(error)
                if matches!(error.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) =>
            {
                not_authorized()
            }
            OciDistributionError::RequestError(error) if error.is_connect() || error.is_timeout() => {
                Self::Unreachable(format!("the registry {registry} does not answer: {}", cause(error)))
            }
            OciDistributionError::ImageIndexParsingNoPlatformResolverError => {
                Self::Failed(format!("{place} is no plugin: it is a list of images"))
            }
            error => Self::Failed(format!("{place}: {}", told(error))),
        }
    }
}

/// The words of a registry, which may be long or forge a line.
fn told(error: &dyn Display) -> String {
    printable(truncate(&error.to_string(), REASON_BYTES)).into_owned()
}

/// The innermost cause of an error, which says the most.
fn cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source()).last().map_or(error.to_string(), ToString::to_string)
}
