use super::{
    super::conformance::{self, SharedBus, consumer, event, next, nothing_is_due},
    *,
};
use host_test_support::{TestDatabase, on_both_engines};

fn settings() -> MessagingConfig {
    let day = Duration::from_secs(86_400);
    MessagingConfig {
        concurrency: 8,
        backoff: Duration::from_millis(10),
        max_backoff: Duration::from_secs(1),
        retention: day,
        retained_bytes: 1 << 20,
        nats: None,
    }
}

async fn open(place: &TestDatabase) -> (HostDatabase, SharedBus) {
    let database: HostDatabase = place.open().await;
    let bus = EmbeddedBus::open(database.clone(), &settings(), None).await.unwrap();
    (database, Arc::new(bus))
}

macro_rules! conforms {
    ($($case:ident)*) => {$(
        async fn $case(place: TestDatabase) {
            conformance::$case(open(&place).await.1).await;
        }
    )*};
}

conforms! {
    every_subscriber_gets_an_event_once_and_in_order
    a_waiting_consumer_is_woken
    a_retry_comes_later_and_holds_up_nobody
    a_new_subject_starts_with_the_oldest_event
    an_older_event_comes_once_its_subject_is_subscribed_to
    a_subject_from_now_on_begins_with_the_next_event
    a_subject_from_now_on_has_one_beginning
    a_tail_shows_the_events_from_now_on_and_cuts_long_payloads
    the_backlog_counts_waiting_events
    dead_letters_are_stored_listed_and_deleted
    a_component_keeps_a_limited_number_of_dead_letters
    a_redelivery_reaches_one_component_as_on_its_first_attempt
}

on_both_engines! {
    every_subscriber_gets_an_event_once_and_in_order
    a_waiting_consumer_is_woken
    a_retry_comes_later_and_holds_up_nobody
    a_new_subject_starts_with_the_oldest_event
    an_older_event_comes_once_its_subject_is_subscribed_to
    a_subject_from_now_on_begins_with_the_next_event
    a_subject_from_now_on_has_one_beginning
    a_tail_shows_the_events_from_now_on_and_cuts_long_payloads
    the_backlog_counts_waiting_events
    dead_letters_are_stored_listed_and_deleted
    a_component_keeps_a_limited_number_of_dead_letters
    a_redelivery_reaches_one_component_as_on_its_first_attempt
    unacknowledged_events_are_due_again_after_a_restart
    a_restart_skips_nothing_from_now_on
    old_events_are_deleted_unless_a_consumer_waits_for_them
    an_event_of_a_publisher_that_ended_is_delivered_when_it_is_published_again
    a_component_keeps_a_limited_part_of_the_log
    a_look_shows_what_was_published_and_what_waits
}

async fn a_restart_skips_nothing_from_now_on(place: TestDatabase) {
    let (database, bus) = open(&place).await;
    bus.publish(&[event("old", "a")]).await.unwrap();
    conformance::consumer_from_now(&bus, "one", &["a"], &["a"]).await;
    bus.publish(&[event("first", "a")]).await.unwrap();
    // The component has no active revision for a while.
    consumer(&bus, "one", &[]).await;
    bus.publish(&[event("second", "a")]).await.unwrap();
    database.close().await;
    let (_, bus) = open(&place).await;
    let one = conformance::consumer_from_now(&bus, "one", &["a"], &["a"]).await;
    assert_eq!([next(&one).await.event.id, next(&one).await.event.id], ["first", "second"]);
    nothing_is_due(&one).await;
}

async fn unacknowledged_events_are_due_again_after_a_restart(place: TestDatabase) {
    let (database, bus) = open(&place).await;
    let one = consumer(&bus, "one", &["a"]).await;
    let events = [event("1", "a"), event("2", "a"), event("3", "a")];
    bus.publish(&events).await.unwrap();
    let acknowledged = next(&one).await;
    one.acknowledge(&acknowledged).await.unwrap();
    let retried = next(&one).await;
    one.retry(&retried, Duration::ZERO).await.unwrap();
    for _ in 0..500 {
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM bus_deliveries").fetch_one(&database.read).await.unwrap();
        if left == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    database.close().await;

    let (_, bus) = open(&place).await;
    let one = consumer(&bus, "one", &["a"]).await;
    let mut seen = [next(&one).await, next(&one).await].map(|delivery| (delivery.event.id, delivery.attempt));
    seen.sort();
    assert_eq!(seen, [("2".to_owned(), 2), ("3".to_owned(), 1)]);
    nothing_is_due(&one).await;
}

async fn old_events_are_deleted_unless_a_consumer_waits_for_them(place: TestDatabase) {
    let database: HostDatabase = place.open().await;
    let bus = Arc::new(EmbeddedBus::open(database.clone(), &settings(), None).await.unwrap());
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["waited-for"]).await;
    bus.publish(&[event("old", "other"), event("kept", "waited-for")]).await.unwrap();
    assert_eq!(bus.log.prune(i64::MAX).await.unwrap(), 1);
    let delivery = next(&one).await;
    assert_eq!(delivery.event.id, "kept");
    assert_eq!(bus.log.prune(i64::MAX).await.unwrap(), 0);
    one.acknowledge(&delivery).await.unwrap();
    for _ in 0..500 {
        if bus.log.prune(i64::MAX).await.unwrap() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the bus keeps an acknowledged event");
}

async fn an_event_of_a_publisher_that_ended_is_delivered_when_it_is_published_again(place: TestDatabase) {
    let database: HostDatabase = place.open().await;
    let bus: SharedBus = Arc::new(EmbeddedBus::open(database.clone(), &settings(), None).await.unwrap());
    let one = consumer(&bus, "one", &["a"]).await;
    nothing_is_due(&one).await;
    // Another bus commits the event and offers it to no consumer of this bus.
    let other = EmbeddedBus::open(database, &settings(), None).await.unwrap();
    other.publish(&[event("1", "a")]).await.unwrap();
    nothing_is_due(&one).await;
    bus.publish(&[event("1", "a"), event("2", "a")]).await.unwrap();
    assert_eq!([next(&one).await.event.id, next(&one).await.event.id], ["1", "2"]);
    nothing_is_due(&one).await;
}

async fn a_component_keeps_a_limited_part_of_the_log(place: TestDatabase) {
    let (database, bus) = open(&place).await;
    let large = |id: usize| Event { payload: vec![7; 100_000], ..event(&id.to_string(), "a") };
    for id in 0..40 {
        bus.publish(&[large(id)]).await.unwrap();
    }
    let count = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM bus_events").fetch_one(&database.read).await.unwrap()
    };
    assert!((4..=11).contains(&count().await), "{} events", count().await);

    // A subscriber that applies nothing.
    let one = consumer(&bus, "one", &["a"]).await;
    let mut published = 100;
    let refused = loop {
        match bus.publish(&[large(published)]).await {
            Ok(()) => published += 1,
            Err(error) => break error.to_string(),
        }
        assert!(published < 120, "the log has a limit");
    };
    assert!(refused.contains("1 MiB of events of things wait"), "{refused}");
    bus.publish(&[Event { source: "others".into(), ..large(200) }]).await.unwrap();
    assert!(count().await < 15, "{} events", count().await);
    for _ in 0..count().await {
        let delivery = next(&one).await;
        one.acknowledge(&delivery).await.unwrap();
    }
    for _ in 0..500 {
        if bus.publish(&[large(300)]).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("there is no room after all were applied");
}

async fn a_look_shows_what_was_published_and_what_waits(place: TestDatabase) {
    let bus = EmbeddedBus::open(place.open().await, &settings(), None).await.unwrap();
    let one = bus.consumer("one", Subjects::of(&["a"])).await.unwrap();
    bus.publish(&[event("1", "a"), event("2", "b")]).await.unwrap();
    let seen = bus.events_after(0).await.unwrap();
    assert_eq!(seen.iter().map(|seen| seen.event.clone()).collect::<Vec<_>>(), [event("1", "a"), event("2", "b")]);
    assert_eq!(bus.events_after(seen[0].position).await.unwrap(), seen[1..]);

    let due = WaitingDelivery { subject: "a".into(), due_in: Duration::ZERO };
    assert_eq!(bus.waiting_deliveries().await.unwrap(), std::slice::from_ref(&due));
    let delivery = next(&one).await;
    assert_eq!(bus.waiting_deliveries().await.unwrap(), [due], "it is in progress");
    one.retry(&delivery, Duration::from_secs(3_600)).await.unwrap();
    let later = bus.waiting_deliveries().await.unwrap();
    assert!(later.len() == 1 && later[0].due_in > Duration::from_secs(3_500), "{later:?}");
}
