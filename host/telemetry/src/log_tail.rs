//! The log lines of one component, delivered to readers as they are written.
//!
//! [`Layer`] is a part of the log of the process. While there is no reader, it
//! loads one counter and does nothing else. Lines wait for a reader in a ring of
//! bounded length. A reader that is too slow loses the lines that the ring has
//! overwritten, and learns how many they were.

mod fields;
mod layer;

pub(super) use layer::{Layer, component_of};

use parking_lot::RwLock;
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::broadcast::{self, error::RecvError};

/// The number of lines that wait for the slowest reader of a component.
const CAPACITY_LINES: usize = 512;

static READERS: AtomicUsize = AtomicUsize::new(0);
static CHANNELS: LazyLock<RwLock<HashMap<String, broadcast::Sender<Arc<str>>>>> = LazyLock::new(RwLock::default);

/// Reads the log of one component, from the opening until it is dropped.
#[derive(Debug)]
pub struct LogTail {
    component: String,
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
    /// Opens the log of a component. The component's requests are in it too.
    pub fn open(component: &str) -> Self {
        let mut channels = CHANNELS.write();
        let sender = channels.entry(component.to_owned()).or_insert_with(|| broadcast::Sender::new(CAPACITY_LINES));
        READERS.fetch_add(1, Ordering::Relaxed);
        Self { component: component.to_owned(), lines: sender.subscribe() }
    }

    /// Waits for the next item. Returns `None` if there will be no more.
    pub async fn next(&mut self) -> Option<TailItem> {
        match self.lines.recv().await {
            Ok(line) => Some(TailItem::Line(line)),
            Err(RecvError::Lagged(lines)) => Some(TailItem::Lost(lines)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for LogTail {
    fn drop(&mut self) {
        let mut channels = CHANNELS.write();
        READERS.fetch_sub(1, Ordering::Relaxed);
        // The receiver of this reader still counts.
        if channels.get(&self.component).is_some_and(|sender| sender.receiver_count() <= 1) {
            channels.remove(&self.component);
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

/// The channel to the readers of a component, if there are any.
fn channel(component: &str) -> Option<broadcast::Sender<Arc<str>>> {
    CHANNELS.read().get(component).cloned()
}

#[cfg(test)]
mod tests;
