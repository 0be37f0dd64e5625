//! An event as the outbox keeps it and the bus carries it.

/// A message on its way from one component to others.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// Unique; the same on every delivery.
    pub id: String,
    /// What it is about, such as `thing.created`.
    pub subject: String,
    /// The component that published it.
    pub source: String,
    /// When it was published, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// W3C trace context of the work that published it.
    pub traceparent: Option<String>,
    /// The component's own bytes.
    #[serde(with = "hex::serde")]
    pub payload: Vec<u8>,
}
