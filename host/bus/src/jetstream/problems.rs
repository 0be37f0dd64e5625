//! Faults of a bus that the host can use. `/readyz`, the log and
//! the metrics name each problem until it is gone.

use parking_lot::Mutex;
use std::collections::BTreeMap;

/// The key of the problem that the bus takes no more events.
const FULL: &str = "full";

/// The known problems, by the thing that they are about.
#[derive(Default)]
pub(super) struct Problems {
    known: Mutex<BTreeMap<String, String>>,
}

impl Problems {
    /// Notes the problem of a thing, in place of an earlier one. It logs a
    /// problem that is new.
    pub(super) fn set(&self, thing: &str, problem: String) {
        let before = self.known.lock().insert(thing.to_owned(), problem.clone());
        if before.is_none() {
            tracing::error!(problem, "the event bus has a problem");
        }
    }

    /// Forgets the problem of a thing.
    pub(super) fn clear(&self, thing: &str) {
        let before = self.known.lock().remove(thing);
        if let Some(problem) = before {
            tracing::info!(problem, "a problem of the event bus is gone");
        }
    }

    /// Notes that the bus takes no more events.
    pub(super) fn set_full(&self, problem: String) {
        self.set(FULL, problem);
    }

    /// The bus has taken an event.
    pub(super) fn clear_full(&self) {
        if self.is_full() {
            self.clear(FULL);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.known.lock().contains_key(FULL)
    }

    /// All problems, for people.
    pub(super) fn all(&self) -> Vec<String> {
        self.known.lock().values().cloned().collect()
    }
}
