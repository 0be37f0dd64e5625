//! Hosts that share a component's deliveries, one of which comes before the
//! others.

use super::*;

/// Publishes a few events and has them taken by whoever is sent them. Says how
/// many went to the first of the two.
async fn taken_by_the_first(bus: &JetStreamBus, first: &Arc<dyn Consumer>, second: &Arc<dyn Consumer>) -> usize {
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
async fn the_host_that_is_preferred_comes_first_and_the_others_get_what_it_has_no_room_for() {
    let settings = shared();
    let (here, there) = (open(&settings).await, open(&settings).await);
    let first = here.consumer("one", Subjects::of(&["a"])).await.unwrap();
    let second = there.consumer("one", Subjects::of(&["a"])).await.unwrap();
    // The control: without it both are sent some.
    eventually(async || taken_by_the_first(&here, &first, &second).await, |count| (1..8).contains(count)).await;

    first.prefer(true);
    eventually(async || taken_by_the_first(&here, &first, &second).await, |count| *count == 8).await;
    let mut by_the_first = 0;
    for _ in 0..5 {
        by_the_first += taken_by_the_first(&here, &first, &second).await;
    }
    // Between one request and its next an event may go elsewhere.
    assert!(by_the_first >= 36, "{by_the_first} of 40");

    // It takes nothing out of what it holds.
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
        assert!(seen.insert(delivery.event.id), "it came twice");
    }

    first.prefer(false);
    eventually(async || taken_by_the_first(&here, &first, &second).await, |count| (1..8).contains(count)).await;
}

/// It would be sent again and again what it leaves to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn what_the_host_that_is_preferred_does_not_take_goes_to_another() {
    let settings = shared();
    let older = open(&settings).await;
    let few = older.consumer("one", Subjects::of(&["a"])).await.unwrap();
    few.prefer(true);
    let newer = open(&settings).await;
    let many = newer.consumer("one", Subjects::of(&["a", "b"])).await.unwrap();
    let events: Vec<Event> = (0..20).map(|n| event(&n.to_string(), "b")).collect();
    newer.publish(&events).await.unwrap();
    // The older one hears of it a moment later.
    tokio::time::sleep(Duration::from_millis(300)).await;
    older.leave_to_others("one", Subjects::of(&["a", "b"]).own).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 20 {
        let delivery = tokio::time::timeout(Duration::from_secs(20), many.next()).await;
        let delivery = delivery.unwrap_or_else(|_| panic!("only {} came", seen.len())).unwrap();
        many.acknowledge(&delivery).await.unwrap();
        seen.insert(delivery.event.id);
    }
}
