//! Other programs change the streams and the consumers. The host restores them
//! and loses no event, or says which ones are lost.

use super::*;
use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, pull, push},
    stream::{self, DiscardPolicy, RetentionPolicy, Stream},
};

/// A setting, and a change of it by another program.
type Change<T> = (&'static str, fn(&mut T));

/// A time far from now, for a consumer that somebody pauses.
fn far_away() -> async_nats::datetime::DateTime {
    async_nats::datetime::parse_rfc3339("2999-01-01T00:00:00Z").unwrap()
}

async fn stream(bus: &JetStreamBus) -> Stream {
    bus.connection.context.get_stream(bus.connection.names.event_stream()).await.unwrap()
}

async fn config(bus: &JetStreamBus) -> pull::Config {
    let consumer: async_nats::jetstream::consumer::PullConsumer = stream(bus).await.get_consumer("one").await.unwrap();
    let config = consumer.cached_info().config.clone();
    async_nats::jetstream::consumer::FromConsumer::try_from_consumer_config(config).unwrap()
}

/// Waits until the host has inspected the broker, and sees no difference.
async fn is_restored(bus: &JetStreamBus) {
    let consumers = bus.all_consumers();
    let restored = async || {
        let info = stream(bus).await.consumer_info("one").await.ok()?;
        let subjects = consumers[0].subjects.borrow().1.all();
        let mut wanted = consumer_config::config(&bus.connection, "one", &subjects);
        consumer_config::keep_position(&info.config, &mut wanted);
        Some(consumer_config::differences(&info, &wanted))
    };
    eventually(restored, |differences| differences.as_ref().is_some_and(Vec::is_empty)).await;
}

async fn handles(one: &Arc<dyn Consumer>, ids: &[&str]) {
    let mut due: BTreeSet<&str> = ids.iter().copied().collect();
    while !due.is_empty() {
        let delivery = tokio::time::timeout(Duration::from_secs(20), one.next()).await;
        let delivery = delivery.unwrap_or_else(|_| panic!("{due:?} did not come")).unwrap();
        assert_eq!(delivery.event.payload, event("", "a").payload, "{delivery:?}");
        due.remove(delivery.event.id.as_str());
        one.acknowledge(&delivery).await.unwrap();
    }
}

/// A bus that has handled one event and has been inspected.
async fn in_use() -> (Arc<JetStreamBus>, Arc<dyn Consumer>) {
    let bus = open(&shared()).await;
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    bus.publish(&[event("0", "a")]).await.unwrap();
    handles(&one, &["0"]).await;
    let own = bus.all_consumers();
    let inspect = async || {
        bus.connection.inspect.notify_one();
        own[0].handled()
    };
    eventually(inspect, |handled| matches!(handled, consumer_config::Handled::UpTo(_, 1))).await;
    (bus, one)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_consumer_that_somebody_changes_is_restored_and_loses_no_event() {
    let changes: [Change<pull::Config>; 9] = [
        ("max_deliver", |config| config.max_deliver = 1),
        ("headers_only", |config| config.headers_only = true),
        ("ack_wait", |config| config.ack_wait = Duration::from_secs(3_600)),
        ("filter_subjects", |config| config.filter_subjects = vec!["nothing".to_owned()]),
        ("max_ack_pending", |config| config.max_ack_pending = 1),
        ("max_batch", |config| config.max_batch = 1),
        ("max_expires", |config| config.max_expires = Duration::from_millis(1)),
        ("inactive_threshold", |config| config.inactive_threshold = Duration::from_secs(3_600)),
        ("rate_limit", |config| config.rate_limit = 1),
    ];
    for (name, change) in changes {
        let (bus, one) = in_use().await;
        let mut changed = config(&bus).await;
        change(&mut changed);
        if let Err(error) = stream(&bus).await.update_consumer(changed).await {
            println!("the broker does not let anybody change {name}: {error}");
            continue;
        }
        bus.publish(&[event("1", "a"), event("2", "a")]).await.unwrap();
        handles(&one, &["1", "2"]).await;
        is_restored(&bus).await;
        bus.publish(&[event("3", "a")]).await.unwrap();
        handles(&one, &["3"]).await;
        bus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_paused_consumer_is_resumed() {
    let (bus, one) = in_use().await;
    stream(&bus).await.pause_consumer("one", far_away()).await.unwrap();
    bus.publish(&[event("1", "a")]).await.unwrap();
    handles(&one, &["1"]).await;
    is_restored(&bus).await;
}

/// The broker gives up an event after its first delivery. The host delivers it
/// again when it has restored the consumer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn an_event_that_the_broker_has_given_up_is_delivered_again() {
    let (bus, one) = in_use().await;
    bus.publish(&[event("1", "a")]).await.unwrap();
    let given_up = next(&one).await;
    let changed = pull::Config { max_deliver: 1, ..config(&bus).await };
    stream(&bus).await.update_consumer(changed).await.unwrap();
    one.retry(&given_up, Duration::ZERO).await.unwrap();
    handles(&one, &["1"]).await;
    is_restored(&bus).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_deleted_or_replaced_consumer_is_created_again_behind_the_handled_events() {
    let (bus, one) = in_use().await;
    stream(&bus).await.delete_consumer("one").await.unwrap();
    bus.publish(&[event("1", "a")]).await.unwrap();
    let delivery = next(&one).await;
    assert_eq!(delivery.event.id, "1", "the handled event does not come again");
    one.acknowledge(&delivery).await.unwrap();
    is_restored(&bus).await;

    // A consumer of another kind has the name.
    stream(&bus).await.delete_consumer("one").await.unwrap();
    let other = push::Config {
        durable_name: Some("one".to_owned()),
        deliver_subject: "elsewhere".to_owned(),
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::None,
        ..push::Config::default()
    };
    if stream(&bus).await.create_consumer(other).await.is_err() {
        println!("the host was faster");
    }
    bus.publish(&[event("2", "a")]).await.unwrap();
    handles(&one, &["2"]).await;
    is_restored(&bus).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_stream_that_somebody_changes_is_restored() {
    let changes: [Change<stream::Config>; 8] = [
        ("max_age", |config| {
            config.max_age = Duration::from_secs(1);
            config.duplicate_window = Duration::from_secs(1);
        }),
        ("max_messages", |config| config.max_messages = 1),
        ("discard", |config| config.discard = DiscardPolicy::Old),
        ("max_messages_per_subject", |config| config.max_messages_per_subject = 1),
        ("max_message_size", |config| config.max_message_size = 10),
        ("retention", |config| config.retention = RetentionPolicy::Interest),
        ("no_ack", |config| config.no_ack = true),
        ("deny_purge", |config| config.deny_purge = true),
    ];
    for (name, change) in changes {
        let (bus, one) = in_use().await;
        let before = stream(&bus).await.cached_info().config.clone();
        let mut changed = before.clone();
        change(&mut changed);
        if let Err(error) = bus.connection.context.update_stream(&changed).await {
            println!("the broker does not let anybody change {name}: {error}");
            continue;
        }
        let restored = async || stream(&bus).await.cached_info().config.clone();
        let is_back = |config: &stream::Config| *config == before || !bus.problems().is_empty();
        eventually(restored, is_back).await;
        if name != "deny_purge" {
            assert_eq!(bus.problems(), [""; 0], "{name}");
        }
        eventually(async || bus.publish(&[event("1", "a")]).await.is_ok(), |taken| *taken).await;
        handles(&one, &["1"]).await;
        bus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_stream_that_cannot_be_restored_is_a_problem_with_a_name() {
    let bus = open(&shared()).await;
    let sealed = stream::Config { sealed: true, ..stream(&bus).await.cached_info().config.clone() };
    bus.connection.context.update_stream(&sealed).await.unwrap();
    let named = |problems: &Vec<String>| problems.iter().any(|problem| problem.contains("sealed"));
    eventually(async || bus.problems(), named).await;
}

/// The events that the host says are lost, in the order of its inspections.
async fn losses(bus: &JetStreamBus, before: &losses::Sample) -> Vec<losses::Loss> {
    let contents = room::Contents::read(&bus.connection).await.unwrap();
    let now = losses::Sample::new(&contents.info, contents.consumers.iter());
    now.losses_since(before, contents.made_room_up_to())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn the_events_that_a_purge_has_deleted_are_counted_for_each_component() {
    let bus = open(&shared()).await;
    let any: SharedBus = bus.clone();
    let (one, _two) = (consumer(&any, "one", &["a"]).await, consumer(&any, "two", &["b"]).await);
    let events: Vec<Event> = (0..60).map(|n| event(&n.to_string(), if n < 50 { "a" } else { "b" })).collect();
    bus.publish(&events).await.unwrap();
    next(&one).await;
    // Each host takes a few events into its queue, and has them after the purge.
    let sample = async || {
        let contents = room::Contents::read(&bus.connection).await.unwrap();
        losses::Sample::new(&contents.info, contents.consumers.iter())
    };
    let queued = |sample: &losses::Sample| sample.consumers["one"].unacknowledged >= consumer::READ_AHEAD as u64;
    eventually(sample, queued).await;
    let before = sample().await;
    stream(&bus).await.purge().await.unwrap();
    let lost = losses(&bus, &before).await;
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert_eq!(lost[0].undelivered + lost[0].unacknowledged, 50, "{lost:?}");
    assert!(lost[0].sequences >= 50 && lost[1].undelivered + lost[1].unacknowledged == 10, "{lost:?}");
    assert!(lost[0].undelivered >= 50 - 2 * consumer::READ_AHEAD as u64, "{lost:?}");
}
