//! `/events`: the subjects of events, with the plugins that publish and receive
//! them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A subject of which a plugin may publish or receive events. The plugins are those
/// that the caller may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubjectView {
    /// The subject.
    #[schema(example = "thing.created")]
    pub subject: String,
    /// The plugins that may publish it, by name.
    pub publishers: Vec<String>,
    /// The plugins that receive it, by name.
    pub receivers: Vec<ReceiverView>,
    /// Whether a publisher has a schema of its payload.
    #[serde(default)]
    pub has_schema: bool,
}

/// A subject with the schemas of its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubjectDetails {
    /// The subject with its plugins.
    #[serde(flatten)]
    pub view: SubjectView,
    /// The schemas of its publishers. A canary has one of its own.
    pub schemas: Vec<SchemaView>,
}

/// The schema of an event, from the file of its publisher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SchemaView {
    /// The plugin's name.
    pub plugin: String,
    /// The identifier of the revision.
    pub revision: String,
    /// The schema of the payload, in the form of JSON Schema 2020-12.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// An example of a payload, from the examples in the schema. It comes from no
    /// event. None if the schema has too few examples.
    #[schema(value_type = Value)]
    pub sample: Option<Value>,
}

/// A plugin that receives events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiverView {
    /// The plugin's name.
    pub plugin: String,
    /// The events that wait for it, of all its subjects together. None if the bus
    /// does not answer in time.
    pub backlog: Option<BacklogView>,
    /// The events of the subject that this host has delivered to it.
    #[serde(default)]
    pub delivered: DeliveredView,
}

/// The events of one subject that a host has delivered to a plugin. A repeated
/// attempt counts too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveredView {
    /// In the last minute that is over.
    pub last_minute: u64,
    /// In the last 15 minutes and in the one that is not over.
    pub last_15_minutes: u64,
}

/// An event that was published just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublishedEvent {
    /// The identifier of the event.
    pub id: String,
    /// The subject.
    pub subject: String,
    /// The plugin that published it, or the name that another program gave itself.
    pub source: String,
    /// When it was published, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The position in its trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The size of its payload.
    pub payload_bytes: u64,
    /// The payload, if it is JSON and has at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    pub payload: Option<Value>,
    /// Otherwise its first 16 KiB, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_hex: Option<String>,
}

/// The events that wait for a plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BacklogView {
    /// Events that were not delivered yet.
    pub pending: u64,
    /// Events that were delivered and are not applied, or that wait for another
    /// attempt.
    pub unacknowledged: u64,
    /// Those among the unacknowledged ones that were delivered more than once.
    pub redelivered: u64,
}
