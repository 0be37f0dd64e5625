//! `/events`: the subjects of events, with the plugins that publish and receive
//! them.

use serde::{Deserialize, Serialize};
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
}

/// A plugin that receives events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiverView {
    /// The plugin's name.
    pub plugin: String,
    /// The events that wait for it, of all its subjects together. None if the bus
    /// does not answer in time.
    pub backlog: Option<BacklogView>,
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
