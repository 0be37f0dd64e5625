use super::*;
use host_store::LiveEvent;
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    task::Wake,
};

fn logged(sequence: u64, channel: &str) -> LoggedEvent {
    let event = LiveEvent { channel: channel.to_owned(), name: String::new(), data: String::new() };
    LoggedEvent { sequence, at_ms: sequence * 1_000, event }
}

fn empty() -> Ring {
    Ring::new(ByteBudget::new(usize::MAX))
}

fn ring(events: impl IntoIterator<Item = (u64, &'static str)>) -> Ring {
    let mut ring = empty();
    ring.append(events.into_iter().map(|(sequence, channel)| logged(sequence, channel)).collect());
    ring
}

fn names(channels: &[&str]) -> Vec<Arc<str>> {
    channels.iter().map(|name| Arc::from(*name)).collect()
}

/// The numbers of all events after this one.
fn rest(ring: &Ring, channels: &[Arc<str>], mut after: u64) -> Vec<u64> {
    let mut taken = Vec::new();
    while let Next::Event(sequence, _) = ring.next(channels, after) {
        taken.push(sequence);
        after = sequence;
    }
    taken
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_listener_gets_the_events_of_its_channels_in_order() {
    let mut ring = ring([(1, "a"), (2, "b"), (3, "c"), (4, "a")]);
    let (both, other) = (names(&["a", "b"]), names(&["none"]));
    ring.join(1, &both, &Arc::default());
    ring.join(2, &other, &Arc::default());
    ring.append(vec![logged(5, "b"), logged(6, "c")]);
    assert_eq!(rest(&ring, &both, 0), [1, 2, 4, 5]);
    assert_eq!(rest(&ring, &both, 2), [4, 5]);
    assert_eq!(ring.next(&both, 5), Next::Nothing(6));
    assert_eq!(ring.next(&other, 0), Next::Nothing(6));
    ring.append(vec![logged(6, "c"), logged(7, "a")]);
    assert_eq!(rest(&ring, &both, 5), [7], "an event that was read twice counts once");
}

#[test]
fn only_the_listeners_of_a_channel_wake() {
    let mut ring = empty();
    let counts: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
    for (id, (count, channels)) in counts.iter().zip([&["a"][..], &["b"], &["a", "b"]]).enumerate() {
        let waker = Arc::new(AtomicWaker::new());
        waker.register(&count.clone().into());
        ring.join(id as u64, &names(channels), &waker);
    }
    ring.append(vec![logged(1, "a"), logged(2, "a"), logged(3, "c")]).iter().for_each(|waker| waker.wake());
    let woken: Vec<usize> = counts.iter().map(|count| count.0.load(Relaxed)).collect();
    assert_eq!(woken, [1, 0, 1]);
    ring.leave(2, &names(&["a", "b"]));
    assert_eq!(ring.append(vec![logged(4, "a")]).len(), 1);
    ring.leave(0, &names(&["a"]));
    ring.leave(1, &names(&["b"]));
    assert!(ring.channels.is_empty());
}

#[test]
fn a_client_comes_back_to_its_place_as_long_as_nothing_is_gone() {
    let ring = ring((205..=210).map(|sequence| (sequence, "a")));
    let place = |after, is_reset| Place { after, is_reset };
    for (id, expected) in [
        (210, place(210, false)),
        (207, place(207, false)),
        (204, place(204, false)),
        (203, place(210, true)),
        (0, place(210, true)),
        (211, place(210, true)),
        (u64::MAX, place(210, true)),
    ] {
        assert_eq!(ring.place(Start::After(id)), expected, "{id}");
    }
    assert_eq!(empty().place(Start::After(0)), place(0, false));
    assert_eq!(empty().place(Start::After(1)), place(0, true));
}

#[test]
fn a_new_client_begins_with_the_events_since_its_request() {
    let events = ring((1..=5).map(|sequence| (sequence, "a")));
    let place = |after, is_reset| Place { after, is_reset };
    assert_eq!(events.place(Start::Since(6_000)), place(5, false));
    assert_eq!(events.place(Start::Since(4_000)), place(3, false));
    assert_eq!(events.place(Start::Since(0)), place(0, false));
    assert_eq!(empty().place(Start::Since(0)), place(0, false));
    let full = ring((1..=LIVE_EVENTS + 9).map(|sequence| (sequence, "a")));
    assert_eq!(full.place(Start::Since(0)), place(LIVE_EVENTS + 9, true), "some may be gone");
    assert_eq!(full.place(Start::Since(500_000)), place(499, false));
}

#[test]
fn a_slow_listener_loses_its_place_and_others_do_not() {
    let mut ring = ring([(1, "a"), (2, "b")]);
    let (slow, fast, quiet) = (names(&["a"]), names(&["a"]), names(&["b"]));
    for (id, channels) in [(1, &slow), (2, &fast), (3, &quiet)] {
        ring.join(id, channels, &Arc::default());
    }
    ring.append((3..LIVE_EVENTS + 4).map(|sequence| logged(sequence, "a")).collect());
    assert_eq!(ring.next(&slow, 1), Next::Lost);
    assert!(matches!(ring.next(&fast, 3), Next::Event(4, _)));
    assert_eq!(ring.next(&quiet, 2), Next::Nothing(LIVE_EVENTS + 3), "it has taken what is gone");
    assert_eq!(ring.events.len() as u64, LIVE_EVENTS);
}

#[test]
fn large_events_take_the_place_of_more() {
    let mut ring = empty();
    let channels = names(&["a"]);
    ring.join(1, &channels, &Arc::default());
    let large = |sequence| {
        let event = LiveEvent { data: "x".repeat(64 << 10), ..logged(1, "a").event };
        LoggedEvent { event, ..logged(sequence, "a") }
    };
    for sequence in 1..=200 {
        ring.append(vec![large(sequence)]);
    }
    let kept: u64 = ring.events.iter().map(|event| event.bytes).sum();
    assert!(kept == ring.bytes && kept <= LIVE_BYTES && ring.events.len() > 60, "{kept}");
    assert_eq!(ring.channels["a"].events.len(), ring.events.len());
}

#[test]
fn events_beyond_the_budget_are_lost_and_give_their_bytes_back() {
    let event_bytes = sse::event(&logged(1, "a")).len() + size_of::<Event>();
    let budget = ByteBudget::new(3 * event_bytes);
    let mut ring = Ring::new(budget.clone());
    let channels = names(&["a"]);
    ring.join(1, &channels, &Arc::default());
    ring.append((1..=5).map(|sequence| logged(sequence, "a")).collect());
    assert_eq!(ring.next(&channels, 1), Next::Lost);
    assert_eq!(rest(&ring, &channels, 2), [3, 4, 5]);
    assert_eq!(ring.place(Start::After(1)), Place { after: 5, is_reset: true });
    assert_eq!(ring.place(Start::Since(0)), Place { after: 5, is_reset: true }, "some are gone");
    assert_eq!(ring.place(Start::Since(4_000)), Place { after: 3, is_reset: false });

    // Answers of the plugin that nobody reads leave no byte for events.
    budget.set_limit(0);
    ring.append(vec![logged(6, "b"), logged(7, "b")]);
    let waiting = ring.append(vec![logged(8, "a")]);
    assert_eq!((waiting.len(), ring.next(&channels, 7)), (1, Next::Lost), "the listener wakes and hears it");
    assert_eq!((budget.held(), ring.events.len(), ring.last()), (0, 0, 8));
    assert_eq!(ring.place(Start::After(7)), Place { after: 8, is_reset: true });
    budget.set_limit(event_bytes);
    ring.append(vec![logged(9, "a")]);
    assert_eq!(rest(&ring, &channels, 8), [9]);
    drop(ring);
    assert_eq!(budget.held(), 0);
}

#[test]
fn events_that_this_host_has_not_read_in_time_are_lost_for_all() {
    let mut ring = ring([(1, "a"), (2, "b")]);
    let channels = names(&["a"]);
    ring.join(1, &channels, &Arc::default());
    ring.append(vec![logged(50, "a")]);
    assert_eq!(ring.next(&channels, 2), Next::Lost);
    assert_eq!(ring.place(Start::After(2)), Place { after: 50, is_reset: true });
    assert_eq!(ring.place(Start::After(49)), Place { after: 49, is_reset: false });
}

#[test]
fn the_last_events_come_before_the_end() {
    let mut ring = empty();
    let channels = names(&["a"]);
    ring.join(1, &channels, &Arc::default());
    ring.append(vec![logged(1, "a")]);
    assert_eq!(ring.end().len(), 1);
    assert!(ring.is_over);
    assert!(matches!(ring.next(&channels, 0), Next::Event(1, _)));
    assert_eq!(ring.next(&channels, 1), Next::End);
}
