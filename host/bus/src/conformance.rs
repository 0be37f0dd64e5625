//! The properties of every bus, as tests over [`Bus`]. The tests of each bus
//! call these functions with an empty bus.

use super::{
    Bus, Consumer, ConsumerBacklog, DeadLetter, DeadLetterKind, DeadLetterPage, Delivery, Subjects, TAIL_PAYLOAD_BYTES,
    TailedItem,
};
use host_base::event::Event;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

pub(crate) type SharedBus = Arc<dyn Bus>;

pub(crate) fn event(id: &str, subject: &str) -> Event {
    Event {
        id: id.into(),
        subject: subject.into(),
        source: "things".into(),
        time_ms: 17,
        traceparent: Some("00-1-2-01".into()),
        payload: vec![0, 159],
    }
}

impl Subjects {
    /// The subjects of the only host.
    pub(crate) fn of(subjects: &[&str]) -> Self {
        Self { this_host: subjects.iter().map(|subject| (*subject).to_owned()).collect(), ..Self::default() }
    }
}

pub(crate) async fn consumer(bus: &SharedBus, component: &str, subjects: &[&str]) -> Arc<dyn Consumer> {
    bus.consumer(component, Subjects::of(subjects)).await.unwrap()
}

/// A consumer that takes some of its subjects from now on.
pub(crate) async fn consumer_from_now(
    bus: &SharedBus,
    component: &str,
    subjects: &[&str],
    from_now: &[&str],
) -> Arc<dyn Consumer> {
    let from_now = Subjects::of(from_now).this_host;
    bus.consumer(component, Subjects { from_now, ..Subjects::of(subjects) }).await.unwrap()
}

pub(crate) async fn next(consumer: &Arc<dyn Consumer>) -> Delivery {
    timeout(Duration::from_secs(5), consumer.next()).await.unwrap().unwrap()
}

pub(crate) async fn nothing_is_due(consumer: &Arc<dyn Consumer>) {
    assert!(timeout(Duration::from_millis(150), consumer.next()).await.is_err());
}

pub(crate) async fn every_subscriber_gets_an_event_once_and_in_order(bus: SharedBus) {
    let one = consumer(&bus, "one", &["a", "b"]).await;
    let two = consumer(&bus, "two", &["b"]).await;
    let events: Vec<Event> = (0..100).map(|n| event(&format!("e{n}"), if n % 2 == 0 { "a" } else { "b" })).collect();
    bus.publish(&events[..60]).await.unwrap();
    bus.publish(&events[50..]).await.unwrap();
    for expected in &events {
        let delivery = next(&one).await;
        assert_eq!((&delivery.event, delivery.attempt), (expected, 1));
        one.acknowledge(&delivery).await.unwrap();
    }
    for expected in events.iter().skip(1).step_by(2) {
        let delivery = next(&two).await;
        assert_eq!(&delivery.event, expected);
        two.acknowledge(&delivery).await.unwrap();
    }
    nothing_is_due(&one).await;
    nothing_is_due(&two).await;
}

pub(crate) async fn a_waiting_consumer_is_woken(bus: SharedBus) {
    let one = consumer(&bus, "one", &["a"]).await;
    let waiting = tokio::spawn(async move { next(&one).await });
    tokio::task::yield_now().await;
    let published = Instant::now();
    bus.publish(&[event("e", "a")]).await.unwrap();
    assert_eq!(waiting.await.unwrap().event.id, "e");
    assert!(published.elapsed() < Duration::from_secs(2), "the bus wakes the consumer, which does not poll");
}

pub(crate) async fn a_retry_comes_later_and_holds_up_nobody(bus: SharedBus) {
    let one = consumer(&bus, "one", &["a"]).await;
    bus.publish(&[event("first", "a"), event("second", "a")]).await.unwrap();
    let first = next(&one).await;
    let retried = Instant::now();
    one.retry(&first, Duration::from_millis(300)).await.unwrap();
    let second = next(&one).await;
    assert_eq!(second.event.id, "second");
    one.acknowledge(&second).await.unwrap();
    let again = next(&one).await;
    assert_eq!((again.event.id.as_str(), again.attempt), ("first", 2));
    assert!(retried.elapsed() >= Duration::from_millis(290));
    one.acknowledge(&again).await.unwrap();
    nothing_is_due(&one).await;
}

pub(crate) async fn a_new_subject_starts_with_the_oldest_event(bus: SharedBus) {
    bus.publish(&[event("1", "a"), event("2", "b")]).await.unwrap();
    let one = consumer(&bus, "one", &["a"]).await;
    assert_eq!(next(&one).await.event.id, "1");
    let one = consumer(&bus, "one", &["a", "b"]).await;
    assert_eq!(next(&one).await.event.id, "2");
    nothing_is_due(&one).await;
    // The bus does not deliver a subject after the component unsubscribes.
    let one = consumer(&bus, "one", &["b"]).await;
    bus.publish(&[event("3", "a"), event("4", "b")]).await.unwrap();
    assert_eq!(next(&one).await.event.id, "4");
}

pub(crate) async fn an_older_event_comes_once_its_subject_is_subscribed_to(bus: SharedBus) {
    let one = consumer(&bus, "one", &["a"]).await;
    let events: Vec<Event> = (0..20).map(|n| event(&format!("e{n}"), if n % 2 == 0 { "a" } else { "b" })).collect();
    bus.publish(&events).await.unwrap();
    for expected in events.iter().step_by(2) {
        let delivery = next(&one).await;
        assert_eq!(&delivery.event, expected);
        one.acknowledge(&delivery).await.unwrap();
    }
    nothing_is_due(&one).await;
    // Each new subscription delivers all older events again.
    for _ in 0..2 {
        let one = consumer(&bus, "one", &["a", "b"]).await;
        let mut older: Vec<&str> = events.iter().skip(1).step_by(2).map(|event| event.id.as_str()).collect();
        older.sort_unstable();
        let mut seen = Vec::new();
        while seen.len() < older.len() {
            let delivery = next(&one).await;
            assert_eq!((delivery.event.subject.as_str(), delivery.attempt), ("b", 1));
            one.acknowledge(&delivery).await.unwrap();
            seen.push(delivery.event.id);
        }
        seen.sort_unstable();
        assert_eq!(seen, older);
        nothing_is_due(&one).await;
        nothing_is_due(&consumer(&bus, "one", &["a"]).await).await;
    }
}

/// Takes this number of events, in any order.
async fn take(consumer: &Arc<dyn Consumer>, count: usize) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for _ in 0..count {
        let delivery = next(consumer).await;
        consumer.acknowledge(&delivery).await.unwrap();
        ids.insert(delivery.event.id);
    }
    nothing_is_due(consumer).await;
    ids
}

fn ids(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

pub(crate) async fn a_subject_from_now_on_begins_with_the_next_event(bus: SharedBus) {
    bus.publish(&[event("a-old", "a"), event("b-old", "b"), event("c-old", "c")]).await.unwrap();
    // The first consumer of a component, with one subject of each kind.
    let one = consumer_from_now(&bus, "one", &["a", "b"], &["b"]).await;
    bus.publish(&[event("a-new", "a"), event("b-new", "b"), event("c-new", "c")]).await.unwrap();
    assert_eq!(take(&one, 3).await, ids(&["a-old", "a-new", "b-new"]));
    // One more subject of a consumer that is there.
    let one = consumer_from_now(&bus, "one", &["a", "b", "c"], &["b", "c"]).await;
    bus.publish(&[event("c-newer", "c")]).await.unwrap();
    assert_eq!(take(&one, 1).await, ids(&["c-newer"]));
    // A component that takes nothing from the past.
    let two = consumer_from_now(&bus, "two", &["a", "b"], &["a", "b"]).await;
    bus.publish(&[event("a-newest", "a")]).await.unwrap();
    assert_eq!(take(&two, 1).await, ids(&["a-newest"]));
    assert_eq!(take(&one, 1).await, ids(&["a-newest"]));
}

pub(crate) async fn a_subject_from_now_on_has_one_beginning(bus: SharedBus) {
    bus.publish(&[event("old", "a")]).await.unwrap();
    let one = consumer_from_now(&bus, "one", &["a"], &["a"]).await;
    bus.publish(&[event("1", "a")]).await.unwrap();
    assert_eq!(take(&one, 1).await, ids(&["1"]));
    // A swap to a revision without the subject, and back: nothing after the first
    // beginning is skipped. The component's inbox knows the events that it has applied.
    consumer(&bus, "one", &[]).await;
    bus.publish(&[event("2", "a")]).await.unwrap();
    let one = consumer_from_now(&bus, "one", &["a"], &["a"]).await;
    assert_eq!(take(&one, 2).await, ids(&["1", "2"]));
    // A revision that wants what is retained, after the subject was away.
    consumer(&bus, "one", &[]).await;
    let one = consumer(&bus, "one", &["a"]).await;
    assert_eq!(take(&one, 3).await, ids(&["old", "1", "2"]));
    // A component that began with what is retained does not begin a second time.
    let two = consumer(&bus, "two", &["a"]).await;
    assert_eq!(take(&two, 3).await, ids(&["old", "1", "2"]));
    consumer(&bus, "two", &[]).await;
    let two = consumer_from_now(&bus, "two", &["a"], &["a"]).await;
    assert_eq!(take(&two, 3).await, ids(&["old", "1", "2"]));
}

pub(crate) async fn a_tail_shows_the_events_from_now_on_and_cuts_long_payloads(bus: SharedBus) {
    bus.publish(&[event("before", "a.made")]).await.unwrap();
    let (mut one, mut other) = (bus.tail().await.unwrap(), bus.tail().await.unwrap());
    let long = Event { payload: vec![b'x'; TAIL_PAYLOAD_BYTES + 7], ..event("long", "b.made") };
    bus.publish(&[event("after", "a.made"), long.clone()]).await.unwrap();
    for tail in [&mut one, &mut other] {
        let mut next = async || match timeout(Duration::from_secs(5), tail.next()).await.unwrap() {
            Some(TailedItem::Event(tailed)) => tailed,
            other => panic!("{other:?}"),
        };
        let first = next().await;
        assert_eq!(
            (first.event, first.payload_bytes),
            (event("after", "a.made"), event("after", "a.made").payload.len() as u64)
        );
        let second = next().await;
        assert_eq!((second.event.id.as_str(), second.payload_bytes), ("long", TAIL_PAYLOAD_BYTES as u64 + 7));
        assert_eq!(second.event.payload.len(), TAIL_PAYLOAD_BYTES);
    }
    drop(one);
    bus.publish(&[event("last", "a.made")]).await.unwrap();
    let last = timeout(Duration::from_secs(5), other.next()).await.unwrap();
    assert!(
        matches!(last, Some(TailedItem::Event(tailed)) if tailed.event.id == "last"),
        "the reader that left is no matter"
    );
}

pub(crate) async fn the_backlog_counts_waiting_events(bus: SharedBus) {
    let one = consumer(&bus, "one", &["a"]).await;
    consumer(&bus, "two", &[]).await;
    bus.publish(&[event("1", "a"), event("2", "a"), event("3", "b")]).await.unwrap();
    let first = next(&one).await;
    one.retry(&first, Duration::from_secs(60)).await.unwrap();
    one.acknowledge(&next(&one).await).await.unwrap();
    bus.add_dead_letter(dead_letter("x", 1)).await.unwrap();
    let begun = Instant::now();
    loop {
        let backlog = bus.backlog().await.unwrap();
        let (one, two) = (backlog.consumers["one"], backlog.consumers["two"]);
        if (one.pending, one.unacknowledged, backlog.dead_letters, two) == (0, 1, 1, ConsumerBacklog::default()) {
            break;
        }
        assert!(begun.elapsed().as_secs() < 10, "{backlog:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn dead_letter(id: &str, set_aside_ms: u64) -> DeadLetter {
    DeadLetter {
        id: id.into(),
        component: "one".into(),
        kind: DeadLetterKind::Event,
        subject_id: format!("event-{id}"),
        subject: "a".into(),
        source: "things".into(),
        time_ms: 17,
        attempts: 10,
        reason: "no".into(),
        set_aside_ms,
        payload: vec![1, 2],
        traceparent: None,
    }
}

pub(crate) async fn dead_letters_are_stored_listed_and_deleted(bus: SharedBus) {
    for (id, set_aside_ms) in [("x", 1), ("y", 2), ("x", 3)] {
        bus.add_dead_letter(dead_letter(id, set_aside_ms)).await.unwrap();
    }
    let letters = bus.dead_letters(&DeadLetterPage::newest(10)).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(bus.dead_letters(&DeadLetterPage::newest(1)).await.unwrap().len(), 1);
    assert!(letters.iter().all(|letter| letter.payload_bytes == 2));
    let rest = DeadLetterPage { after: Some((3, "x".to_owned())), ..DeadLetterPage::newest(10) };
    assert_eq!(bus.dead_letters(&rest).await.unwrap()[0].id, "y");
    let of = |component: &str| Some(BTreeSet::from([component.to_owned()]));
    let own = DeadLetterPage { components: of(&letters[0].component), ..DeadLetterPage::newest(10) };
    assert_eq!(bus.dead_letters(&own).await.unwrap(), letters);
    for others in [of("somebody-else"), Some(BTreeSet::new())] {
        let page = DeadLetterPage { components: others, ..DeadLetterPage::newest(10) };
        assert!(bus.dead_letters(&page).await.unwrap().is_empty());
    }
    let found = bus.dead_letter("y").await.unwrap().unwrap();
    assert_eq!((found.kind, found.attempts, found.payload), (DeadLetterKind::Event, 10, vec![1, 2]));
    assert!(bus.delete_dead_letter("y").await.unwrap());
    assert!(!bus.delete_dead_letter("y").await.unwrap());
    assert!(bus.dead_letter("y").await.unwrap().is_none());
    assert!(bus.dead_letter("no > such.*").await.unwrap().is_none());
    // The remaining dead letters are far apart. The newest is still the first.
    for number in 0..50 {
        bus.add_dead_letter(dead_letter(&format!("{number}"), 10 + number)).await.unwrap();
    }
    for number in (1..50).filter(|number| number % 24 != 0) {
        assert!(bus.delete_dead_letter(&format!("{number}")).await.unwrap());
    }
    let letters = bus.dead_letters(&DeadLetterPage::newest(3)).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["48", "24", "0"]);
    assert_eq!(bus.dead_letters(&DeadLetterPage::newest(1_000)).await.unwrap().len(), 4);
}

pub(crate) async fn a_component_keeps_a_limited_number_of_dead_letters(bus: SharedBus) {
    bus.limit_dead_letters("one", 3);
    let of_another = DeadLetter { component: "another".into(), ..dead_letter("another", 0) };
    bus.add_dead_letter(of_another).await.unwrap();
    for number in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9] {
        bus.add_dead_letter(dead_letter(&number.to_string(), 1 + number)).await.unwrap();
    }
    let letters = bus.dead_letters(&DeadLetterPage::newest(100)).await.unwrap();
    let ids: Vec<_> = letters.iter().map(|letter| letter.id.as_str()).collect();
    assert_eq!(ids, ["9", "8", "7", "another"], "a component without a limit, and a letter that comes again");
    assert!(bus.dead_letter("6").await.unwrap().is_none());
    assert_eq!(bus.dead_letter("7").await.unwrap().unwrap().component, "one");
}

pub(crate) async fn a_redelivery_reaches_one_component_as_on_its_first_attempt(bus: SharedBus) {
    let one = consumer(&bus, "one", &["a"]).await;
    let two = consumer(&bus, "two", &["a"]).await;
    bus.publish(&[event("e", "a")]).await.unwrap();
    let first = next(&one).await;
    one.retry(&first, Duration::ZERO).await.unwrap();
    let second = next(&one).await;
    assert_eq!(second.attempt, 2);
    one.acknowledge(&second).await.unwrap();
    two.acknowledge(&next(&two).await).await.unwrap();
    bus.redeliver("one", &event("e", "a")).await.unwrap();
    bus.redeliver("one", &event("pruned", "a")).await.unwrap();
    for id in ["e", "pruned"] {
        let delivery = next(&one).await;
        assert_eq!((delivery.event, delivery.attempt), (event(id, "a"), 1));
    }
    nothing_is_due(&two).await;
}
