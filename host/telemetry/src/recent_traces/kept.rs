//! The store of recent operations and kept traces.

use super::{KEPT_TRACES, KeptTrace, Operation};
use host_base::text::truncate;
use opentelemetry::trace::TraceId;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// The most operations that are known before their trace is notable.
const RECENT: usize = 4_096;
/// The most operations that are kept of a trace.
const OPERATIONS: usize = 100;
/// The most traces that are kept because of one component. A new one takes the place
/// of its oldest, so a component that fails all the time leaves room for others.
const OF_COMPONENT: usize = 20;
/// The most traces that are kept in a second because of one component. Each costs a
/// search of the recent operations.
const IN_SECOND: usize = 20;
/// Texts are cut at this length, so an operation takes at most about 1 KiB.
const TEXT_BYTES: usize = 200;

/// The recent operations and the kept traces.
#[derive(Debug, Default)]
pub(super) struct Traces {
    recent: VecDeque<Arc<Operation>>,
    kept: HashMap<TraceId, KeptTrace>,
    /// The kept traces with the component that was slow or failed, the oldest first.
    order: VecDeque<(TraceId, String)>,
    /// How many traces were kept for each component in the second that is not over.
    second: u64,
    in_second: HashMap<String, usize>,
}

impl Traces {
    pub(super) fn add(&mut self, operation: Operation, is_notable: bool) {
        let operation = Arc::new(cut(operation));
        if let Some(trace) = self.kept.get_mut(&operation.trace) {
            trace.add(operation);
        } else if !is_notable {
            self.recent.push_back(operation);
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
        } else if self.may_keep(&operation) {
            self.keep(operation);
        }
    }

    /// Counts a trace that is to be kept.
    fn may_keep(&mut self, operation: &Operation) -> bool {
        let second = operation.ended_ms() / 1_000;
        if self.second != second {
            self.second = second;
            self.in_second.clear();
        }
        let count = self.in_second.entry(operation.component.clone()).or_default();
        *count += 1;
        *count <= IN_SECOND
    }

    /// Keeps the trace of an operation, with what is known of it.
    fn keep(&mut self, operation: Arc<Operation>) {
        let id = operation.trace;
        let mut trace = KeptTrace { trace: id, operations: Vec::new(), left_out: 0 };
        self.recent.iter().filter(|known| known.trace == id).for_each(|known| trace.add(known.clone()));
        self.recent.retain(|known| known.trace != id);
        let component = operation.component.clone();
        trace.add(operation);
        self.kept.insert(id, trace);
        self.make_room(&component);
        self.order.push_back((id, component));
    }

    /// Forgets the oldest trace of the component if it has too many, or else the
    /// oldest of all.
    fn make_room(&mut self, component: &str) {
        let own = self.order.iter().filter(|(_, name)| name == component).count();
        let place = match own >= OF_COMPONENT {
            true => self.order.iter().position(|(_, name)| name == component),
            false => (self.order.len() >= KEPT_TRACES).then_some(0),
        };
        if let Some((oldest, _)) = place.and_then(|place| self.order.remove(place)) {
            self.kept.remove(&oldest);
        }
    }

    pub(super) fn newest_first(&self) -> Vec<KeptTrace> {
        self.order.iter().rev().filter_map(|(id, _)| self.find(*id)).collect()
    }

    pub(super) fn find(&self, trace: TraceId) -> Option<KeptTrace> {
        self.kept.get(&trace).cloned()
    }
}

impl KeptTrace {
    fn add(&mut self, operation: Arc<Operation>) {
        match self.operations.len() < OPERATIONS {
            true => self.operations.push(operation),
            false => self.left_out += 1,
        }
    }
}

fn cut(mut operation: Operation) -> Operation {
    let texts = [&mut operation.name, &mut operation.id, &mut operation.component];
    for text in texts.into_iter().chain(operation.failure.as_mut()) {
        if text.len() > TEXT_BYTES {
            *text = truncate(text, TEXT_BYTES).to_owned();
        }
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recent_traces::OperationKind;
    use std::time::Duration;

    fn operation(trace: u128, name: &str) -> Operation {
        Operation {
            trace: TraceId::from_bytes(trace.to_be_bytes()),
            kind: OperationKind::Event,
            component: "a".to_owned(),
            name: name.to_owned(),
            id: String::new(),
            begun_ms: 1,
            took: Duration::from_millis(3),
            failure: None,
        }
    }

    fn names(traces: &Traces, trace: u128) -> Vec<String> {
        let found = traces.find(TraceId::from_bytes(trace.to_be_bytes()));
        found.map(|trace| trace.operations.into_iter().map(|one| one.name.clone()).collect()).unwrap_or_default()
    }

    #[test]
    fn a_notable_trace_has_what_was_before_it_and_what_follows() {
        let mut traces = Traces::default();
        traces.add(operation(1, "request"), false);
        traces.add(operation(2, "other"), false);
        traces.add(operation(1, "publication"), false);
        assert!(traces.newest_first().is_empty());
        traces.add(operation(1, "event"), true);
        traces.add(operation(1, "timer"), false);
        assert_eq!(names(&traces, 1), ["request", "publication", "event", "timer"]);
        assert_eq!((names(&traces, 2).len(), traces.recent.len()), (0, 1));
    }

    /// Of one of many components, at a time of its own.
    fn loud(number: u128) -> Operation {
        Operation {
            component: format!("c{}", number % 15),
            begun_ms: 1_000 * number as u64,
            ..operation(number, "loud")
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut traces = Traces::default();
        for number in 0..3 * RECENT as u128 {
            traces.add(operation(number, "quiet"), false);
        }
        assert_eq!(traces.recent.len(), RECENT);
        let first = 1_000_000;
        for number in first..first + KEPT_TRACES as u128 + 5 {
            traces.add(loud(number), true);
        }
        assert_eq!((traces.kept.len(), traces.order.len()), (KEPT_TRACES, KEPT_TRACES));
        assert!(names(&traces, first + 4).is_empty(), "the oldest is gone");
        assert_eq!(traces.newest_first()[0].trace, loud(first + KEPT_TRACES as u128 + 4).trace);

        for _ in 0..2 * OPERATIONS {
            traces.add(operation(first + 100, &"x".repeat(9_999)), true);
        }
        let long = traces.find(loud(first + 100).trace).unwrap();
        assert_eq!((long.operations.len(), long.left_out), (OPERATIONS, OPERATIONS as u64 + 1));
        assert!(long.operations.iter().all(|one| one.name.len() <= TEXT_BYTES));
    }

    #[test]
    fn a_component_that_fails_all_the_time_leaves_room_for_others() {
        let mut traces = Traces::default();
        traces.add(loud(7), true);
        let failing =
            |number: u128, second: u64| Operation { begun_ms: second * 1_000, ..operation(1_000 + number, "failing") };
        for number in 0..10_000 {
            traces.add(failing(number, 1), true);
        }
        assert_eq!(traces.kept.len(), 1 + IN_SECOND, "no more in a second");
        for number in 10_000..10_005 {
            traces.add(failing(number, 2), true);
        }
        assert_eq!(traces.kept.len(), 1 + OF_COMPONENT, "no more of a component");
        assert!(
            !names(&traces, 7).is_empty() && names(&traces, 1_004).is_empty() && !names(&traces, 11_004).is_empty()
        );
    }
}
