//! An event, as the outbox keeps it and the bus carries it.

/// A message from one component to others.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// Unique. It is the same in every delivery.
    pub id: String,
    /// The kind of event, such as `thing.created`.
    pub subject: String,
    /// The component that published the event.
    pub source: String,
    /// When the event was published, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// W3C trace context of the work that published the event.
    pub traceparent: Option<String>,
    /// The bytes that the component published.
    #[serde(with = "hex::serde")]
    pub payload: Vec<u8>,
}
