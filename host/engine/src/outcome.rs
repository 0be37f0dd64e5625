//! The outcome of a delivery of an event or a timer to a component.

use host_store::Transaction;
use std::time::Duration;

/// The outcome of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The component handled it, and the commit is durable.
    Done,
    /// Nothing had to be done. It was handled before, or it is no longer
    /// wanted.
    Skipped,
    /// The host delivers it again.
    Retry {
        /// The delay that the component asked for. Without one the host's
        /// backoff decides.
        after: Option<Duration>,
        /// Why it was not handled.
        reason: String,
    },
    /// It cannot be handled and becomes a dead letter. The text is the reason.
    DeadLetter(String),
}

/// The result of a component's handler: the transaction to commit, or an
/// outcome without a commit. A transaction that is not committed is rolled
/// back.
pub type Handled = Result<Box<dyn Transaction>, Outcome>;

impl Outcome {
    /// The host asks for another delivery itself.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    /// Its name in metrics, logs and traces.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Retry { .. } => "retried",
            Self::DeadLetter(_) => "dead",
        }
    }

    /// The reason why it was not handled. None if it was handled or skipped.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Done | Self::Skipped => None,
            Self::Retry { reason, .. } | Self::DeadLetter(reason) => Some(reason),
        }
    }
}
