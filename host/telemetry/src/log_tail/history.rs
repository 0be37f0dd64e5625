//! The last lines of each component, in bounded memory.

use super::KEPT_LINES;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use tokio::sync::broadcast;

/// The most bytes of lines that are kept of a component.
const KEPT_BYTES: usize = 128 << 10;
/// The most components with lines. The one that has been silent for the longest
/// time gives way to another one.
const COMPONENTS: usize = 256;

/// The lines of all components.
#[derive(Debug, Default)]
pub(super) struct Histories(HashMap<String, History>);

/// The lines of one component.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The way to the readers. None if there is none.
    pub(super) readers: Option<broadcast::Sender<Arc<str>>>,
    /// The lines with their times, the oldest first.
    lines: VecDeque<(u64, Arc<str>)>,
    bytes: usize,
}

impl Histories {
    pub(super) fn get(&self, component: &str) -> Option<&History> {
        self.0.get(component)
    }

    /// The lines of a component.
    pub(super) fn of(&mut self, component: &str) -> &mut History {
        if !self.0.contains_key(component) {
            self.make_room();
        }
        self.0.entry(component.to_owned()).or_default()
    }

    fn make_room(&mut self) {
        if self.0.len() < COMPONENTS {
            return;
        }
        let unread = self.0.iter().filter(|(_, log)| log.readers.is_none());
        let silent = unread.min_by_key(|(_, log)| log.lines.back().map(|(at_ms, _)| *at_ms));
        if let Some(name) = silent.map(|(name, _)| name.clone()) {
            self.0.remove(&name);
        }
    }
}

impl History {
    pub(super) fn keep(&mut self, at_ms: u64, line: Arc<str>) {
        self.bytes += line.len();
        self.lines.push_back((at_ms, line));
        while self.lines.len() > KEPT_LINES || (self.bytes > KEPT_BYTES && self.lines.len() > 1) {
            if let Some((_, oldest)) = self.lines.pop_front() {
                self.bytes -= oldest.len();
            }
        }
    }

    pub(super) fn since(&self, since_ms: u64) -> Vec<Arc<str>> {
        self.lines.iter().filter(|(at_ms, _)| *at_ms >= since_ms).map(|(_, line)| line.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(history: &History, since_ms: u64) -> Vec<String> {
        history.since(since_ms).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_newest_lines_are_kept_within_their_bounds() {
        let mut history = History::default();
        for number in 0..KEPT_LINES as u64 + 3 {
            history.keep(number, number.to_string().into());
        }
        assert_eq!(history.lines.len(), KEPT_LINES);
        assert_eq!(texts(&history, 501), ["501", "502"]);
        assert!(texts(&history, 503).is_empty());
        assert_eq!((texts(&history, 0).len(), texts(&history, 0)[0].as_str()), (KEPT_LINES, "3"));

        history.keep(600, "x".repeat(2 * KEPT_BYTES).into());
        assert_eq!(history.lines.len(), 1, "a line that is too long is alone");
        history.keep(601, "y".into());
        assert_eq!((texts(&history, 0), history.bytes), (vec!["y".to_owned()], 1));
    }

    #[test]
    fn the_component_that_was_silent_for_the_longest_time_gives_way() {
        let mut all = Histories::default();
        for number in 0..COMPONENTS {
            all.of(&format!("component-{number}")).keep(number as u64 + 1, "a".into());
        }
        all.of("component-0").keep(10_000, "b".into());
        all.of("component-1").readers = Some(broadcast::Sender::new(1));
        all.of("another").keep(10_001, "c".into());
        assert_eq!(all.0.len(), COMPONENTS);
        assert!(["component-0", "component-1", "component-3", "another"].iter().all(|name| all.get(name).is_some()));
        assert!(all.get("component-2").is_none());
    }
}
