//! Hosts that share a component's deliveries, of which the broker prefers one.

use super::*;

/// Publishes a few events, which both hosts receive. Returns the number of
/// events that the first host received.
async fn received_by_the_first(bus: &JetStreamBus, first: &Arc<dyn Consumer>, second: &Arc<dyn Consumer>) -> usize {
    const EVENTS: usize = 8;
    let name = host_base::id::new();
    let events: Vec<Event> = (0..EVENTS).map(|n| event(&format!("{name}-{n}"), "a")).collect();
    bus.publish(&events).await.unwrap();
    let mut by_the_first = 0;
    for _ in 0..EVENTS {
        let (consumer, delivery, is_first) = tokio::select! {
            delivery = first.next() => (first, delivery, 1),
            delivery = second.next() => (second, delivery, 0),
        };
        consumer.acknowledge(&delivery.unwrap()).await.unwrap();
        by_the_first += is_first;
    }
    by_the_first
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_preferred_host_gets_events_first_and_the_others_get_those_above_its_capacity() {
    let settings = shared();
    let (here, there) = (open(&settings).await, open(&settings).await);
    let first = here.consumer("one", Subjects::of(&["a"])).await.unwrap();
    let second = there.consumer("one", Subjects::of(&["a"])).await.unwrap();
    // The control: without a preferred host both receive some.
    eventually(async || received_by_the_first(&here, &first, &second).await, |count| (1..8).contains(count)).await;

    first.set_preferred(true);
    eventually(async || received_by_the_first(&here, &first, &second).await, |count| *count == 8).await;
    let mut by_the_first = 0;
    for _ in 0..5 {
        by_the_first += received_by_the_first(&here, &first, &second).await;
    }
    // Between two requests of the preferred host an event may go to the other.
    assert!(by_the_first >= 36, "{by_the_first} of 40");

    // The preferred host takes no event from its full queue.
    let events: Vec<Event> = (0..40).map(|n| event(&n.to_string(), "a")).collect();
    here.publish(&events).await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 40 - consumer::READ_AHEAD {
        let delivery = next(&second).await;
        second.acknowledge(&delivery).await.unwrap();
        seen.insert(delivery.event.id);
    }
    while seen.len() < 40 {
        let (consumer, delivery) = tokio::select! {
            delivery = first.next() => (&first, delivery.unwrap()),
            delivery = second.next() => (&second, delivery.unwrap()),
        };
        consumer.acknowledge(&delivery).await.unwrap();
        assert!(seen.insert(delivery.event.id), "an event came twice");
    }

    first.set_preferred(false);
    eventually(async || received_by_the_first(&here, &first, &second).await, |count| (1..8).contains(count)).await;
}

/// Otherwise the broker would send the returned events to it again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn events_that_a_preferred_host_does_not_subscribe_to_go_to_another_host() {
    let settings = shared();
    let older = open(&settings).await;
    let few = older.consumer("one", Subjects::of(&["a"])).await.unwrap();
    few.set_preferred(true);
    let newer = open(&settings).await;
    let many = newer.consumer("one", Subjects::of(&["a", "b"])).await.unwrap();
    let events: Vec<Event> = (0..20).map(|n| event(&n.to_string(), "b")).collect();
    newer.publish(&events).await.unwrap();
    // The older host learns the subjects a moment later.
    tokio::time::sleep(Duration::from_millis(300)).await;
    older.set_subjects_of_other_hosts("one", Subjects::of(&["a", "b"]).this_host).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 20 {
        let delivery = tokio::time::timeout(Duration::from_secs(20), many.next()).await;
        let delivery = delivery.unwrap_or_else(|_| panic!("only {} came", seen.len())).unwrap();
        many.acknowledge(&delivery).await.unwrap();
        seen.insert(delivery.event.id);
    }
}
