//! `/traces`: the last slow and failed operations of a host, with all that belongs
//! to each.

use super::Word;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A trace that the host has kept, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TraceView {
    /// Its identifier, in hexadecimal. The log of a request has it too.
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    pub trace: String,
    /// Its first known operation.
    pub first: OperationView,
    /// When it began, in milliseconds since the Unix epoch.
    pub begun_ms: u64,
    /// From the beginning of its first operation to the end of its last one, in
    /// microseconds.
    pub took_us: u64,
    /// The number of its operations.
    pub operations: u64,
    /// Those among them that failed.
    pub failed: u64,
    /// The plugins that took part, by name.
    pub plugins: Vec<String>,
}

/// A trace with its operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TraceDetails {
    /// The trace, as in the list.
    #[serde(flatten)]
    pub view: TraceView,
    /// What happened on this host, by the time of its beginning.
    pub steps: Vec<OperationView>,
    /// Later operations for which there was no room.
    pub left_out: u64,
}

/// One operation of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationView {
    /// Its kind.
    #[schema(value_type = OperationKind)]
    pub kind: Word<OperationKind>,
    /// The plugin that did it. Empty if a request found none.
    pub plugin: String,
    /// What was done: a method with a route, an event's subject or a timer's key.
    #[schema(example = "POST /api/things")]
    pub name: String,
    /// The id of the request or event. Empty for a timer.
    pub id: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub begun_ms: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The kind of an operation. The sequence is that of cause and effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// A visitor's request.
    Request,
    /// A request of another plugin.
    PluginRequest,
    /// An event on its way from its commit to the bus.
    Publication,
    /// The handler of an event.
    Event,
    /// The handler of a timer.
    Timer,
}
