use super::{
    super::conformance::{self, SharedBus, consumer, event, next, nothing_is_due},
    *,
};
use async_nats::HeaderMap;
use futures::StreamExt;
use host_config::{Config, flags::Flags};
use host_test_support::NatsServer;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

mod beginnings;
mod changed_behind_the_host;
mod different_subjects;
mod forwarding;
mod full;
mod missing_rights;
mod preferred;
mod start;

const ACK_WAIT: Duration = Duration::from_millis(600);

/// Settings for a server, with a subject prefix that no other test has.
fn settings(url: &str) -> MessagingConfig {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let config = Config::load(&Flags::default(), [(OsString::from("TICKETING_NATS_URL"), OsString::from(url))]);
    let mut settings = config.unwrap().messaging;
    let nats = settings.nats.as_mut().unwrap();
    nats.subject_prefix = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    nats.ack_wait = ACK_WAIT;
    settings
}

async fn try_open(settings: &MessagingConfig, installation: &str) -> Result<Arc<JetStreamBus>, BusError> {
    let nats = settings.nats.as_ref().unwrap();
    JetStreamBus::open(settings, nats, installation.to_owned(), database(nats).await).await.map(Arc::new)
}

/// The database that all hosts with these settings share.
async fn database(nats: &NatsConfig) -> HostDatabase {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    static OPENED: Mutex<BTreeMap<String, HostDatabase>> = Mutex::new(BTreeMap::new());
    let opened = OPENED.lock().get(&nats.subject_prefix).cloned();
    if let Some(opened) = opened {
        return opened;
    }
    let database = HostDatabase::open(&FOLDER.path().join(format!("{}.db", nats.subject_prefix))).await.unwrap();
    OPENED.lock().insert(nats.subject_prefix.clone(), database.clone());
    database
}

async fn open(settings: &MessagingConfig) -> Arc<JetStreamBus> {
    try_open(settings, "ours").await.unwrap()
}

fn shared() -> MessagingConfig {
    settings(&NatsServer::shared().url())
}

async fn eventually<T: std::fmt::Debug>(mut ask: impl AsyncFnMut() -> T, holds: impl Fn(&T) -> bool) {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if holds(&answer) {
            return;
        }
        assert!(begun.elapsed().as_secs() < 20, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

macro_rules! conforms {
    ($($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "needs NATS"]
        async fn $case() {
            conformance::$case(open(&shared()).await).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn unacknowledged_events_are_delivered_again_after_a_clean_or_a_sudden_end() {
    let mut settings = shared();
    let bus = open(&settings).await;
    let one = consumer(&(bus.clone() as SharedBus), "one", &["a"]).await;
    bus.publish(&[event("1", "a"), event("2", "a"), event("3", "a")]).await.unwrap();
    one.acknowledge(&next(&one).await).await.unwrap();
    next(&one).await;
    bus.close().await;

    // A host that ended cleanly has returned its deliveries. The acknowledgement
    // wait is far longer than a test.
    settings.nats.as_mut().unwrap().ack_wait = Duration::from_secs(600);
    let bus = open(&settings).await;
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    let mut seen = [next(&one).await.event.id, next(&one).await.event.id];
    seen.sort();
    assert_eq!(seen, ["2", "3"]);
    nothing_is_due(&one).await;
    bus.close().await;

    settings.nats.as_mut().unwrap().ack_wait = ACK_WAIT;
    let bus = open(&settings).await;
    let any: SharedBus = bus.clone();
    let outstanding = consumer(&any, "one", &["a"]).await;
    next(&outstanding).await;
    // This host ends without returning its deliveries.
    bus.connection.stop.cancel();
    let bus = open(&settings).await;
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    let mut seen = [next(&one).await.event.id, next(&one).await.event.id];
    seen.sort();
    assert_eq!(seen, ["2", "3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn events_in_transit_to_a_host_that_ends_are_returned() {
    let mut settings = shared();
    // The wait is far longer than a test, so a lost event does not come again.
    settings.nats.as_mut().unwrap().ack_wait = Duration::from_secs(600);
    let bus = open(&settings).await;
    let events: Vec<Event> = (0..200).map(|n| event(&n.to_string(), "a")).collect();
    bus.publish(&events).await.unwrap();
    bus.close().await;
    for round in 0..20 {
        let bus = open(&settings).await;
        let any: SharedBus = bus.clone();
        consumer(&any, "one", &["a"]).await;
        tokio::time::sleep(Duration::from_micros(300 * round)).await;
        bus.close().await;
    }
    let any: SharedBus = open(&settings).await;
    let one = consumer(&any, "one", &["a"]).await;
    let mut left: std::collections::BTreeSet<String> = events.into_iter().map(|event| event.id).collect();
    while !left.is_empty() {
        let delivery = next(&one).await;
        one.acknowledge(&delivery).await.unwrap();
        assert!(left.remove(&delivery.event.id), "{} came twice", delivery.event.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_delivery_that_takes_long_is_not_made_twice() {
    let bus = open(&shared()).await;
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    bus.publish(&[event("slow", "a"), event("waits", "a")]).await.unwrap();
    let slow = next(&one).await;
    tokio::time::sleep(3 * ACK_WAIT).await;
    let waited = next(&one).await;
    assert_eq!((waited.event.id.as_str(), waited.attempt), ("waits", 1));
    one.acknowledge(&slow).await.unwrap();
    one.acknowledge(&waited).await.unwrap();
    let backlog = async || bus.backlog().await.unwrap().consumers["one"];
    eventually(backlog, |waiting| *waiting == ConsumerBacklog::default()).await;
    assert!(one.acknowledge(&slow).await.is_err(), "a second acknowledgement is an error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn unacknowledged_deliveries_are_bounded() {
    let mut settings = shared();
    settings.nats.as_mut().unwrap().max_ack_pending = 3;
    let bus = open(&settings).await;
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    let events: Vec<Event> = (0..10).map(|n| event(&n.to_string(), "a")).collect();
    bus.publish(&events).await.unwrap();
    let outstanding = [next(&one).await, next(&one).await, next(&one).await];
    nothing_is_due(&one).await;
    for delivery in &outstanding {
        one.acknowledge(delivery).await.unwrap();
    }
    assert_eq!(next(&one).await.event.id, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn other_programs_read_and_publish_events() {
    let settings = shared();
    let bus = open(&settings).await;
    let any: SharedBus = bus.clone();
    let prefix = settings.nats.as_ref().unwrap().subject_prefix.clone();
    let client = async_nats::connect(NatsServer::shared().url()).await.unwrap();
    let mut messages = client.subscribe(format!("{prefix}.events.>")).await.unwrap();
    client.flush().await.unwrap();
    let one = consumer(&any, "one", &["a.b"]).await;

    bus.publish(&[event("ours", "a.b")]).await.unwrap();
    let message = tokio::time::timeout(Duration::from_secs(5), messages.next()).await.unwrap().unwrap();
    let headers = message.headers.unwrap();
    let header = |name: &str| headers.get(name).unwrap().as_str().to_owned();
    assert_eq!(message.subject.as_str(), format!("{prefix}.events.a.b"));
    assert_eq!(message.payload.as_ref(), event("ours", "a.b").payload);
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "ours"),
        ("ce-source", "things"),
        ("ce-type", "a.b"),
        ("ce-time", "1970-01-01T00:00:00.017Z"),
        ("traceparent", "00-1-2-01"),
        ("content-type", "application/octet-stream"),
        ("Nats-Msg-Id", "ours"),
    ] {
        assert_eq!(header(name), value, "{name}");
    }
    one.acknowledge(&next(&one).await).await.unwrap();

    let subject = format!("{prefix}.events.a.b");
    client.publish(subject.clone(), "without any header".into()).await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("ce-source", "them");
    client.publish_with_headers(subject.clone(), headers.clone(), "without an id".into()).await.unwrap();
    headers.insert("ce-id", "theirs");
    client.publish_with_headers(subject, headers, "{}".into()).await.unwrap();
    let theirs = next(&one).await;
    let Event { id, subject, source, time_ms, traceparent, payload } = theirs.event.clone();
    assert_eq!((id.as_str(), subject.as_str(), source.as_str()), ("theirs", "a.b", "them"));
    assert_eq!((traceparent, payload.as_slice()), (None, &b"{}"[..]));
    assert!(time_ms.abs_diff(host_base::clock::now_ms()) < 60_000, "the time at which the stream stored it");
    one.acknowledge(&theirs).await.unwrap();
    let backlog = async || bus.backlog().await.unwrap().consumers["one"];
    eventually(backlog, |waiting| *waiting == ConsumerBacklog::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn the_streams_of_another_installation_are_left_alone() {
    let settings = shared();
    let bus = open(&settings).await;
    let Err(refusal) = try_open(&settings, "theirs").await else { panic!("the bus opened the streams") };
    assert!(refusal.to_string().contains("belongs to another installation"), "{refusal}");
    assert!(refusal.to_string().contains("subject_prefix"), "{refusal}");
    bus.publish(&[event("e", "a")]).await.unwrap();
    open(&settings).await.publish(&[event("e", "a")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn the_streams_follow_the_settings() {
    let mut settings = shared();
    open(&settings).await;
    settings.retention = Duration::from_secs(7_200);
    settings.nats.as_mut().unwrap().max_bytes = Some(1 << 20);
    let bus = open(&settings).await;
    let config = async || {
        let stream = bus.connection.context.get_stream(bus.connection.names.event_stream()).await.unwrap();
        let config = &stream.cached_info().config;
        (config.max_age, config.max_bytes)
    };
    assert_eq!(config().await, (Duration::from_secs(7_200), 1 << 20));
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    // A full stream refuses new events and deletes none that waits.
    let big = |id: usize| Event { payload: vec![0; 200 << 10], ..event(&id.to_string(), "a") };
    let mut taken = 0;
    while bus.publish(&[big(taken)]).await.is_ok() {
        taken += 1;
        assert!(taken < 10);
    }
    for number in 0..taken {
        assert_eq!(next(&one).await.event.id, number.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn delivery_goes_on_when_the_broker_is_back() {
    let mut server = NatsServer::start();
    let bus = open(&settings(&server.url())).await;
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    bus.publish(&[event("1", "a")]).await.unwrap();
    let outstanding = next(&one).await;
    server.kill();
    eventually(async || bus.unavailable_reason(), Option::is_some).await;
    assert!(bus.publish(&[event("2", "a")]).await.is_err());
    assert!(bus.was_available());
    // A subscription that is made meanwhile is in force afterwards.
    let begun = Instant::now();
    let one = consumer(&any, "one", &["a", "b"]).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "an unavailable broker delays no swap");
    server.start_again();
    bus.wait_until_available().await;
    bus.publish(&[event("2", "b")]).await.unwrap();
    // The outstanding event is acknowledged now, or it is delivered again.
    let acknowledged = one.acknowledge(&outstanding).await.is_ok();
    let mut due = BTreeSet::from(["1", "2"]);
    if acknowledged {
        due.remove("1");
    }
    while !due.is_empty() {
        let delivery = next(&one).await;
        due.remove(delivery.event.id.as_str());
        one.acknowledge(&delivery).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn streams_that_the_broker_has_lost_are_created_again() {
    let mut server = NatsServer::start();
    let bus = open(&settings(&server.url())).await;
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    server.kill();
    server.lose_store();
    server.start_again();
    eventually(async || bus.publish(&[event("1", "a")]).await.is_ok(), |taken| *taken).await;
    assert_eq!(next(&one).await.event.id, "1");
    // The broker loses only the stream.
    bus.connection.context.delete_stream(bus.connection.names.event_stream()).await.unwrap();
    eventually(async || bus.publish(&[event("2", "a")]).await.is_ok(), |taken| *taken).await;
    let mut id = next(&one).await.event.id;
    if id == "1" {
        id = next(&one).await.event.id;
    }
    assert_eq!(id, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn the_bus_waits_for_a_broker_that_is_unavailable_at_the_start() {
    let mut server = NatsServer::start();
    let settings = settings(&server.url());
    server.kill();
    let bus = open(&settings).await;
    assert!(!bus.was_available());
    assert!(bus.unavailable_reason().unwrap().contains("127.0.0.1"), "{:?}", bus.unavailable_reason());
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    server.start_again();
    bus.wait_until_available().await;
    bus.publish(&[event("1", "a")]).await.unwrap();
    assert_eq!(next(&one).await.event.id, "1");
    assert!(bus.was_available());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_wrong_password_is_reported_and_never_shown() {
    let server = NatsServer::with(&["--user", "host", "--pass", "right"]);
    let with = |password: &str| settings(&format!("nats://host:{password}@127.0.0.1:{}", server.port()));
    let bus = open(&with("tell-nobody")).await;
    let reason = bus.unavailable_reason().unwrap();
    assert!(reason.contains("authorization") && !reason.contains("tell-nobody"), "{reason}");
    let bus = open(&with("right")).await;
    assert_eq!(bus.unavailable_reason(), None);
}

/// This holds for every reason, however its escaped text grows.
#[tokio::test]
#[ignore = "needs NATS"]
async fn the_largest_event_can_be_published_and_can_become_a_dead_letter() {
    let server = NatsServer::with_file("max_payload: 65536");
    let bus = open(&settings(&server.url())).await;
    let largest = Event { payload: vec![0; bus.max_event_bytes()], ..event(&"i".repeat(256), "a") };
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    bus.publish(std::slice::from_ref(&largest)).await.unwrap();
    assert_eq!(next(&one).await.event, largest);

    let reason = host_base::text::failure_reason(&"\u{1}".repeat(9_999));
    let letter =
        DeadLetter { reason, subject_id: largest.id, payload: largest.payload, ..conformance::dead_letter("x", 1) };
    bus.add_dead_letter(letter.clone()).await.unwrap();
    let kept = bus.dead_letter("x").await.unwrap().unwrap();
    assert_eq!((kept.reason, kept.payload), (letter.reason, letter.payload));

    let larger = Event { payload: vec![0; 65_536], ..event("larger", "a") };
    assert!(bus.publish(&[larger]).await.is_err());
}
