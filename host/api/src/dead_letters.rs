//! `/dead-letters`: events and timers that no attempt could handle.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An event or timer that a component rejected or failed too often. The bus
/// stores it in this form.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its own identifier.
    pub id: String,
    /// The component that could not handle it.
    pub component: String,
    /// `event` or `timer`.
    pub kind: DeadLetterKind,
    /// The event's id, or the timer's key.
    pub subject_id: String,
    /// The event's subject; empty for a timer.
    pub subject: String,
    /// The component that published it.
    pub source: String,
    /// When it was published or due, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The number of attempts.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub reason: String,
    /// When it became a dead letter, in milliseconds since the Unix epoch.
    pub set_aside_ms: u64,
    /// The bytes that the component published, hexadecimal in JSON.
    #[serde(with = "hex::serde")]
    pub payload: Vec<u8>,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
}

impl DeadLetter {
    /// Its entry in a list. The caller gives the size, because the payload may be elsewhere.
    #[must_use]
    pub fn summary(self, payload_bytes: u64) -> DeadLetterSummary {
        DeadLetterSummary {
            id: self.id,
            component: self.component,
            kind: self.kind,
            subject_id: self.subject_id,
            subject: self.subject,
            source: self.source,
            time_ms: self.time_ms,
            attempts: self.attempts,
            reason: self.reason,
            set_aside_ms: self.set_aside_ms,
            payload_bytes,
        }
    }
}

/// A dead letter in a list, without its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterSummary {
    /// Its own identifier.
    pub id: String,
    /// The component that could not handle it.
    pub component: String,
    /// `event` or `timer`.
    pub kind: DeadLetterKind,
    /// The event's id, or the timer's key.
    pub subject_id: String,
    /// The event's subject; empty for a timer.
    pub subject: String,
    /// The component that published it.
    pub source: String,
    /// When it was published or due, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The number of attempts.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub reason: String,
    /// When it became a dead letter, in milliseconds since the Unix epoch.
    pub set_aside_ms: u64,
    /// The size of its payload.
    pub payload_bytes: u64,
}

/// One dead letter in full.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterDetail {
    /// The same as in the list.
    #[serde(flatten)]
    pub summary: DeadLetterSummary,
    /// The bytes that the component published, hexadecimal. They may be personal data, so
    /// they are null for the role `view`.
    pub payload: Option<String>,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
}

/// The kind of work that became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeadLetterKind {
    /// A message from the bus.
    Event,
    /// A timer of the component.
    Timer,
}

/// A dead letter that the host delivers again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Redelivered {
    /// The dead letter's identifier.
    pub id: String,
}
