//! Subscriptions that begin with the next event, when hosts come and go and when
//! another program interferes.

use super::*;
use conformance::consumer_from_now;

async fn one_from_now(bus: &Arc<JetStreamBus>) -> Arc<dyn Consumer> {
    consumer_from_now(&(bus.clone() as SharedBus), "one", &["a"], &["a"]).await
}

/// Takes events until this one, and returns the ids of all.
async fn take_until(consumer: &Arc<dyn Consumer>, last: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    while !ids.contains(last) {
        let delivery = next(consumer).await;
        consumer.acknowledge(&delivery).await.unwrap();
        ids.insert(delivery.event.id);
    }
    ids
}

fn ids(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_second_host_and_a_restart_skip_nothing_from_now_on() {
    let settings = shared();
    let first = open(&settings).await;
    first.publish(&[event("old", "a")]).await.unwrap();
    one_from_now(&first).await;
    first.publish(&[event("1", "a")]).await.unwrap();
    // The second host subscribes later, and the first one ends before it handles anything.
    let second = open(&settings).await;
    let one = one_from_now(&second).await;
    second.publish(&[event("2", "a")]).await.unwrap();
    first.close().await;
    let mut taken = take_until(&one, "2").await;
    if !taken.contains("1") {
        taken.extend(take_until(&one, "1").await);
    }
    assert_eq!(taken, ids(&["1", "2"]));
    nothing_is_due(&one).await;
    second.close().await;

    let third = open(&settings).await;
    third.publish(&[event("3", "a")]).await.unwrap();
    assert_eq!(take_until(&one_from_now(&third).await, "3").await, ids(&["3"]));
    third.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_consumer_that_is_made_again_begins_where_it_began() {
    let settings = shared();
    let bus = open(&settings).await;
    bus.publish(&[event("old", "a"), event("b-old", "b")]).await.unwrap();
    let any: SharedBus = bus.clone();
    consumer_from_now(&any, "one", &["a", "b"], &["a"]).await;
    bus.publish(&[event("1", "a")]).await.unwrap();
    bus.close().await;

    // No host runs while another program deletes the consumer, and no host knows what
    // the component has handled.
    let (stream, context) = (bus.connection.names.event_stream(), &bus.connection.context);
    context.get_stream(stream).await.unwrap().delete_consumer("one").await.unwrap();
    let bus = open(&settings).await;
    let one = consumer_from_now(&(bus.clone() as SharedBus), "one", &["a", "b"], &["a"]).await;
    bus.publish(&[event("2", "a")]).await.unwrap();
    assert_eq!(take_until(&one, "2").await, ids(&["b-old", "1", "2"]));
    nothing_is_due(&one).await;
    bus.close().await;
}
