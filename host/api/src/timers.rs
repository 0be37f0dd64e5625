//! `/timers`: how many timers each plugin has set, and which of them are due.

use crate::{Word, plugins::PluginStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// No count of timers goes beyond this number.
pub const MAX_COUNTED_TIMERS: u32 = 10_000;

/// The timers of a plugin that has a database.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TimersView {
    /// The plugin's name.
    pub plugin: String,
    /// Whether it serves. The timers of a plugin that does not serve wait.
    #[schema(value_type = PluginStatus)]
    pub status: Word<PluginStatus>,
    /// Its timers. None if its database does not answer in time.
    pub timers: Option<TimerFigures>,
}

/// The timers of one plugin, as figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimerFigures {
    /// All timers that wait, up to 10,000.
    pub set: u64,
    /// Those among them that are due, up to 10,000.
    pub due: u64,
    /// The time since the longest overdue timer was due, in milliseconds. Zero if
    /// none is due.
    pub overdue_ms: u64,
    /// When the next timer will be due, in milliseconds since the Unix epoch. None
    /// if none is set for later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due_ms: Option<u64>,
}
