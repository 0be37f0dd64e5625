//! `/plugins/{name}/failures` and `/plugins/{name}/history`: the figures that each
//! host keeps of its own calls of a plugin.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A call of a plugin that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureView {
    /// In milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The revision that was called.
    pub revision: String,
    /// What was called: a method and a route, an event's subject or a timer's
    /// key.
    #[schema(example = "GET /api/things/{id}")]
    pub call: String,
    /// The kind, as in metrics and logs, for example `trap` or `deadline`.
    pub kind: String,
    /// Who has to repair the cause: `guest`, `host`, `caller` or `dependency`.
    pub blame: String,
    /// The failure in words, with the text of a trap. A long one lacks its
    /// middle.
    pub message: String,
    /// The id of the request or event. Empty for a timer.
    pub id: String,
    /// The id of the trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// The calls of a plugin in the last minute and in the last 15 minutes. Calls are
/// requests, events and timers of all its revisions on this host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecentView {
    /// Calls that ended in the last minute, for each second.
    pub calls_per_second: f64,
    /// Those among them that ended with a failure or an answer of 500 and above,
    /// in percent.
    pub error_percent: f64,
    /// The time within which half of them ended, in microseconds. It is right
    /// within a factor of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<u64>,
    /// The same for 99 of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<u64>,
    /// The memory of all its instances on this host, in bytes.
    pub memory_bytes: u64,
    /// Calls in each 10 s of the last 15 minutes, the oldest first. The first
    /// ones are left out while they are zero. The last one is not over.
    pub calls: Vec<u64>,
}

/// The calls of one revision on this host since it was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevisionCallsView {
    /// The revision's id.
    pub revision: String,
    /// Its share of the work, in percent.
    pub percent: u8,
    /// Requests, events and timers that began.
    pub calls: u64,
    /// Calls that ended with a failure or an answer of 500 and above.
    pub errors: u64,
    /// Calls that trapped, took too long, or found no room.
    pub failures: u64,
    /// The time within which half of its calls ended, in microseconds. It is right
    /// within a factor of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<u64>,
    /// The same for 99 of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<u64>,
    /// How many calls ended within each range of time, the shortest first. Empty
    /// ranges at both ends are left out.
    pub times: Vec<TimeRangeView>,
}

/// The calls that took a time in one range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimeRangeView {
    /// The end of the range, in microseconds. The last range has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_us: Option<u64>,
    /// The number of calls.
    pub calls: u64,
}

/// The calls of a plugin in the last 15 minutes, on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryView {
    /// The length of a slot.
    pub slot_seconds: u64,
    /// The slots, the oldest first. The last one is not over.
    pub slots: Vec<HistorySlot>,
}

/// The calls of a plugin in one slot of its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistorySlot {
    /// In milliseconds since the Unix epoch.
    pub begin_ms: u64,
    /// Calls that ended.
    pub calls: u64,
    /// Those among them that ended with a failure or an answer of 500 and above.
    pub errors: u64,
    /// The time within which half of them ended, in microseconds. It is right
    /// within a factor of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<u64>,
    /// The same for 99 of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<u64>,
}
