//! The log lines of one component: the last ones, and those that are written from
//! now on.
//!
//! [`Layer`] is a part of the log of the process. It keeps the last lines of each
//! component in bounded memory. The lines of requests that went well are not kept,
//! because their number would leave no room for others. A reader gets them as they
//! are written. They wait for it in a ring of bounded length. A reader that is too
//! slow loses the lines that the ring has overwritten, and learns how many they
//! were.

mod fields;
mod history;
mod layer;

pub(super) use layer::{Layer, component_of};

pub use host_api::logs::KEPT_LINES;

use history::{Histories, History};
use host_base::clock::now_ms;
use parking_lot::RwLock;
use serde_json::json;
use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::broadcast::{self, error::RecvError};

/// The number of lines that wait for the slowest reader of a component.
const CAPACITY_LINES: usize = 512;

static READERS: AtomicUsize = AtomicUsize::new(0);
static LOGS: LazyLock<RwLock<Histories>> = LazyLock::new(RwLock::default);

/// Reads the log of one component, from the opening until it is dropped.
#[derive(Debug)]
pub struct LogTail {
    component: String,
    kept: Vec<Arc<str>>,
    lines: broadcast::Receiver<Arc<str>>,
}

/// An item of a [`LogTail`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailItem {
    /// A log line, as a JSON object.
    Line(Arc<str>),
    /// The number of lines that the reader has missed.
    Lost(u64),
}

impl LogTail {
    /// Opens the log of a component, with the lines that are kept since this time, in
    /// milliseconds since the Unix epoch. Between these and the next ones there is no
    /// gap and no repetition. The component's requests are among the next ones.
    pub fn open(component: &str, since_ms: u64) -> Self {
        let mut logs = LOGS.write();
        let log = logs.of(component);
        READERS.fetch_add(1, Ordering::Relaxed);
        let kept = log.since(since_ms);
        let lines = log.readers.get_or_insert_with(|| broadcast::Sender::new(CAPACITY_LINES)).subscribe();
        Self { component: component.to_owned(), kept, lines }
    }

    /// Waits for the next item from now on. Returns `None` if there will be no more.
    pub async fn next(&mut self) -> Option<TailItem> {
        match self.lines.recv().await {
            Ok(line) => Some(TailItem::Line(line)),
            Err(RecvError::Lagged(lines)) => Some(TailItem::Lost(lines)),
            Err(RecvError::Closed) => None,
        }
    }

    /// Takes the lines from before, the oldest first.
    pub fn take_kept(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.kept)
    }
}

impl Drop for LogTail {
    fn drop(&mut self) {
        let mut logs = LOGS.write();
        READERS.fetch_sub(1, Ordering::Relaxed);
        let log = logs.of(&self.component);
        // The receiver of this reader still counts.
        if log.readers.as_ref().is_some_and(|readers| readers.receiver_count() <= 1) {
            log.readers = None;
        }
    }
}

impl TailItem {
    /// The item as one line of JSON.
    pub fn to_json(&self) -> String {
        match self {
            Self::Line(line) => line.to_string(),
            Self::Lost(lines) => json!({ "lost_lines": lines }).to_string(),
        }
    }
}

fn has_readers() -> bool {
    READERS.load(Ordering::Relaxed) > 0
}

/// Whether the component has readers.
fn is_read(component: &str) -> bool {
    LOGS.read().get(component).is_some_and(|log| log.readers.is_some())
}

/// Gives a line to the readers of a component, and keeps it if it should be kept.
fn add(component: &str, line: Arc<str>, is_kept: bool) {
    let mut logs = LOGS.write();
    let log: &mut History = logs.of(component);
    if let Some(readers) = &log.readers {
        // The send fails if the last reader leaves at this moment.
        let _ = readers.send(line.clone());
    }
    if is_kept {
        log.keep(now_ms(), line);
    }
}

#[cfg(test)]
mod tests;
