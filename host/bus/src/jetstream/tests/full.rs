//! A stream that is nearly full.

use super::*;
use async_nats::jetstream::stream::Stream;

const MAX_BYTES: i64 = 1 << 20;

fn small() -> MessagingConfig {
    let mut settings = shared();
    settings.nats.as_mut().unwrap().max_bytes = Some(MAX_BYTES);
    settings
}

fn big(id: usize, subject: &str) -> Event {
    Event { payload: vec![0; 50 << 10], ..event(&format!("{subject}-{id}"), subject) }
}

async fn stream(bus: &JetStreamBus) -> Stream {
    bus.connection.context.get_stream(bus.connection.names.event_stream()).await.unwrap()
}

async fn handle(consumer: &Arc<dyn Consumer>) -> String {
    let delivery = next(consumer).await;
    consumer.acknowledge(&delivery).await.unwrap();
    delivery.event.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn handled_events_make_room_for_new_ones_without_end() {
    let bus = open(&small()).await;
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    // This subject is rare, so the broker's own number for it stays behind.
    let two = consumer(&any, "two", &["a", "rare"]).await;
    bus.publish(&[big(0, "rare"), big(0, "nobody")]).await.unwrap();
    handle(&two).await;
    for id in 0..100 {
        bus.publish(&[big(id, "a")]).await.unwrap();
        assert_eq!(handle(&one).await, format!("a-{id}"));
        assert_eq!(handle(&two).await, format!("a-{id}"));
    }
    assert!(!bus.is_full() && bus.problems().is_empty(), "{:?}", bus.problems());
    // Past events remain for a subscriber to come.
    let state = stream(&bus).await.cached_info().state.clone();
    assert!(state.bytes > MAX_BYTES as u64 / 4, "{state:?}");
    let three = consumer(&any, "three", &["a"]).await;
    assert!(handle(&three).await.starts_with("a-"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn events_that_wait_are_never_deleted_and_a_full_bus_says_who_they_wait_for() {
    let bus = open(&small()).await;
    let any: SharedBus = bus.clone();
    let (slow, quick) = (consumer(&any, "slow", &["s"]).await, consumer(&any, "quick", &["q"]).await);
    let mut waiting = 0;
    while waiting < 8 {
        bus.publish(&[big(waiting, "s")]).await.unwrap();
        waiting += 1;
    }
    // The events of another component make room beside those that wait.
    for id in 0..60 {
        bus.publish(&[big(id, "q")]).await.unwrap();
        handle(&quick).await;
    }
    assert!(!bus.is_full());
    while bus.publish(&[big(waiting, "s")]).await.is_ok() {
        waiting += 1;
        assert!(waiting < 30);
    }
    assert!(bus.is_full());
    let problems = bus.problems().concat();
    assert!(problems.contains("messaging.nats.max_bytes") && problems.contains("for slow"), "{problems}");
    assert!(!problems.contains("for quick"), "{problems}");
    // Everything that waits is still there, and then the bus takes events again.
    for id in 0..waiting {
        assert_eq!(handle(&slow).await, format!("s-{id}"));
    }
    eventually(async || bus.publish(&[big(waiting, "s")]).await.is_ok(), |taken| *taken).await;
    assert!(!bus.is_full() && bus.problems().is_empty());
    assert_eq!(handle(&slow).await, format!("s-{waiting}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn an_event_that_waits_for_another_attempt_is_not_deleted() {
    let bus = open(&small()).await;
    let any: SharedBus = bus.clone();
    let (one, other) = (consumer(&any, "one", &["a"]).await, consumer(&any, "other", &["b"]).await);
    bus.publish(&[big(0, "a")]).await.unwrap();
    one.retry(&next(&one).await, Duration::from_secs(4)).await.unwrap();
    for id in 0..60 {
        bus.publish(&[big(id, "b")]).await.unwrap();
        handle(&other).await;
    }
    let again = tokio::time::timeout(Duration::from_secs(20), one.next()).await.unwrap().unwrap();
    assert_eq!((again.event.id.as_str(), again.attempt), ("a-0", 2));
}

/// Each of them may find that the other one has deleted the events already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn hosts_that_make_room_at_once_refuse_no_event() {
    let settings = small();
    let (bus, other) = (open(&settings).await, open(&settings).await);
    let any: SharedBus = bus.clone();
    let _slow = consumer(&any, "slow", &["s"]).await;
    for id in 0..8 {
        bus.publish(&[big(id, "s")]).await.unwrap();
    }
    let publish = async |host: &JetStreamBus, first: usize| {
        for id in first..first + 100 {
            host.publish(&[big(id, "nobody")]).await.unwrap();
        }
    };
    let make_room = async {
        loop {
            room::make_now(&other.connection, &[]).await.unwrap();
        }
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(publish(&bus, 0), publish(&other, 1_000)) } => {}
        () = make_room => {}
    }
    assert!(!bus.is_full() && !other.is_full(), "{:?}", bus.problems());
}

/// A deleted consumer does not say what its component needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn nothing_is_deleted_while_a_consumer_is_missing() {
    let bus = open(&small()).await;
    let any: SharedBus = bus.clone();
    consumer(&any, "one", &["a"]).await;
    let own = bus.all_consumers();
    bus.connection.stop.cancel();
    own[0].pull_ended.cancelled().await;
    let events = stream(&bus).await;
    events.delete_consumer("one").await.unwrap();
    let error = room::make_now(&bus.connection, &own).await.unwrap_err();
    assert!(error.to_string().contains("the consumer one"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn the_storage_limits_of_the_server_and_of_the_account_are_named() {
    let server_limit = "jetstream { max_file_store: 2MB }";
    let account_limit = "accounts { A { jetstream: { max_file: 2MB }, users: [ { user: u, password: p } ] } }";
    for (settings_file, name, user) in [(server_limit, "max_file_store", ""), (account_limit, "NATS account", "u:p@")] {
        let server = NatsServer::with_file(settings_file);
        let bus = open(&settings(&format!("nats://{user}127.0.0.1:{}", server.port()))).await;
        let any: SharedBus = bus.clone();
        let one = consumer(&any, "one", &["a"]).await;
        for id in 0..100 {
            bus.publish(&[big(id, "a")]).await.unwrap_or_else(|error| panic!("{name}: {id}: {error}"));
            handle(&one).await;
        }
        let mut waiting = 100;
        while bus.publish(&[big(waiting, "a")]).await.is_ok() {
            waiting += 1;
            assert!(waiting < 200);
        }
        assert!(bus.is_full() && bus.problems().concat().contains(name), "{:?}", bus.problems());
        for id in 100..waiting {
            assert_eq!(handle(&one).await, format!("a-{id}"));
        }
        eventually(async || bus.publish(&[big(waiting, "a")]).await.is_ok(), |taken| *taken).await;
        assert!(!bus.is_full());
    }
}
