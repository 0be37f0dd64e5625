//! A test of a plugin, as a file in TOML describes it.

mod raw;

use crate::offline::Visitor;
use http::Method;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// The longest wait until all is done if the file names none.
const PATIENCE: Duration = Duration::from_secs(10);
/// Timers are due before the year 2100.
const MAX_ADVANCE: Duration = Duration::from_secs(50 * 366 * 86_400);

/// The content of a file.
#[derive(Debug)]
pub(super) struct Fixture {
    /// The time of the first step, in milliseconds since the Unix epoch.
    pub(super) start_ms: Option<u64>,
    /// The longest wait until all is done after a step.
    pub(super) patience: Duration,
    /// The values of settings of the plugin.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) steps: Vec<Step>,
}

/// A step: what happens, and what it should cause.
#[derive(Debug)]
pub(super) struct Step {
    /// The line in the file.
    pub(super) line: usize,
    pub(super) action: Action,
    /// The events that the plugin publishes. None if they are not compared.
    pub(super) events: Option<Vec<ExpectedEvent>>,
    /// A part of the reason of a dead letter.
    pub(super) refused: Option<String>,
}

/// The action of a step.
#[derive(Debug)]
pub(super) enum Action {
    Request {
        method: Method,
        path: String,
        headers: BTreeMap<String, String>,
        content: Option<Content>,
        visitor: Option<Visitor>,
        answer: Answer,
    },
    Event {
        subject: String,
        from: String,
        content: Option<Content>,
    },
    Advance(Duration),
    Query {
        statement: String,
        rows: Vec<Vec<Value>>,
    },
}

/// The expected answer. The host compares the parts that are there.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// None for any status below 400.
    pub(super) status: Option<u16>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) content: Option<Content>,
}

/// An event that the plugin should publish.
#[derive(Debug, PartialEq)]
pub(super) struct ExpectedEvent {
    pub(super) subject: String,
    pub(super) content: Option<Content>,
}

/// A body or a payload.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Body(String),
    Json(Value),
}

impl Fixture {
    /// # Errors
    /// Names the line or the step, and what to write.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        raw::Fixture::parse(text)?.check(text)
    }
}

impl Step {
    /// The step in one line.
    pub(super) fn title(&self) -> String {
        match &self.action {
            Action::Request { method, path, .. } => format!("{method} {path}"),
            Action::Event { subject, .. } => format!("event {subject}"),
            Action::Advance(time) => format!("advance {}", humantime::format_duration(*time)),
            Action::Query { statement, .. } => statement.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}

#[cfg(test)]
mod tests;
