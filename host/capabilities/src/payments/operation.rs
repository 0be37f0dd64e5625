//! The operations of a provider and their outcomes, as the providers store them.

use super::{Decline, Error};
use serde::{Deserialize, Serialize};

/// An operation with all its arguments. Two calls with one key must have equal
/// operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    Authorize { amount: u64, currency: String, token: String },
    Capture { authorization: String },
    Void { authorization: String },
    Refund { authorization: String },
}

impl Operation {
    /// The settlement and its authorization. `None` for an operation that authorizes.
    pub(super) fn settlement(&self) -> Option<(Settlement, &str)> {
        match self {
            Self::Authorize { .. } => None,
            Self::Capture { authorization } => Some((Settlement::Capture, authorization)),
            Self::Void { authorization } => Some((Settlement::Void, authorization)),
            Self::Refund { authorization } => Some((Settlement::Refund, authorization)),
        }
    }
}

/// An operation that changes the state of an authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settlement {
    Capture,
    Void,
    Refund,
}

impl Settlement {
    pub(super) fn of(self, authorization: String) -> Operation {
        match self {
            Self::Capture => Operation::Capture { authorization },
            Self::Void => Operation::Void { authorization },
            Self::Refund => Operation::Refund { authorization },
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }
}

/// The final outcome of the operation with one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Done { id: Option<String> },
    Declined { code: String, message: String },
    Invalid { reason: String },
}

impl Outcome {
    pub(super) fn into_result(self) -> Result<Option<String>, Error> {
        match self {
            Self::Done { id } => Ok(id),
            Self::Declined { code, message } => Err(Error::Declined(Decline { code, message })),
            Self::Invalid { reason } => Err(Error::Invalid(reason)),
        }
    }

    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }

    /// The outcome of a charge whose amount the provider does not take.
    pub(super) fn invalid_amount(reason: &str) -> Self {
        Self::invalid(format!("amount: {reason}"))
    }

    /// The outcome of a call whose key belongs to another operation.
    pub(super) fn other_arguments() -> Self {
        Self::invalid("the key was used with other arguments")
    }
}

impl From<Decline> for Outcome {
    fn from(decline: Decline) -> Self {
        Self::Declined { code: decline.code, message: decline.message }
    }
}

/// Why a provider cannot read or write its records.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    #[error("the ledger is unavailable: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the ledger contains a damaged record: {0}")]
    Damaged(#[from] serde_json::Error),
}

impl From<LedgerError> for Error {
    fn from(error: LedgerError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
