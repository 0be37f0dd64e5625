//! Hosts that take different subjects for the same component, as hosts of two
//! versions do.

use super::*;

/// What a host that knows of both hands over of two events, while another one
/// that takes only the first subject has a part of the consumer.
async fn beside_a_host_that_takes_less(told: bool) -> Vec<String> {
    let settings = shared();
    let (older, newer) = (open(&settings).await, open(&settings).await);
    let both = ["a".to_owned(), "b".to_owned()].into();
    let many = newer.consumer("one", Subjects::of(&["a", "b"])).await.unwrap();
    let elsewhere = if told { both } else { BTreeSet::new() };
    let own = Subjects::of(&["a"]).own;
    let few = older.consumer("one", Subjects { own, elsewhere }).await.unwrap();
    let events: Vec<Event> = (0..20).map(|n| event(&format!("b{n}"), "b")).collect();
    newer.publish(&events).await.unwrap();
    newer.publish(&[event("a", "a")]).await.unwrap();
    let mut seen = BTreeSet::new();
    let quiet = |seen: &BTreeSet<String>| match told {
        // Whatever the other host was sent comes here after a moment.
        true => Duration::from_secs(if seen.len() < 21 { 20 } else { 0 }),
        false => Duration::from_secs(2),
    };
    loop {
        let (consumer, delivery) = tokio::select! {
            delivery = many.next() => (&many, delivery),
            delivery = few.next() => (&few, delivery),
            () = tokio::time::sleep(quiet(&seen)) => return seen.into_iter().collect(),
        };
        let delivery = delivery.unwrap();
        seen.insert(delivery.event.id.clone());
        consumer.acknowledge(&delivery).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn what_one_host_does_not_take_is_left_to_another_that_does() {
    assert_eq!(beside_a_host_that_takes_less(true).await.len(), 21);
}

/// The control: who has not heard of the other host takes its subjects away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_host_that_knows_of_no_other_takes_subjects_away() {
    assert_eq!(beside_a_host_that_takes_less(false).await, ["a"]);
}
