//! How a delivery of an event or a timer to a component ends.

use host_store::Transaction;
use std::time::Duration;

/// How one delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The component handled it, and the commit is durable.
    Done,
    /// Nothing had to be done: it was handled before, or nobody wants it any
    /// more.
    Skipped,
    /// It is to be delivered again.
    Retry {
        /// The component's wish; without one the host's backoff decides.
        after: Option<Duration>,
        /// Why it was not handled.
        reason: String,
    },
    /// Nobody can handle it: it becomes a dead letter, for this reason.
    SetAside(String),
}

/// What a component made of a delivery: the transaction to commit, or the
/// outcome without one. What is not committed is rolled back.
pub type Handled = Result<Box<dyn Transaction>, Outcome>;

impl Outcome {
    /// The host's own wish for another delivery.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    /// Its name in metrics, logs and traces.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Retry { .. } => "retried",
            Self::SetAside(_) => "dead",
        }
    }

    /// Why it was not handled; none if it was, or did not have to be.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Done | Self::Skipped => None,
            Self::Retry { reason, .. } | Self::SetAside(reason) => Some(reason),
        }
    }
}
