//! Hosts that subscribe to different subjects for the same component, as hosts
//! of two versions do.

use super::*;

/// Runs a host with both subjects beside a host with only the first subject, and
/// returns the ids of the events that the two receive. `knows_others` is whether
/// the second host knows the subjects of the first one.
async fn receive_on_hosts_with_different_subjects(knows_others: bool) -> Vec<String> {
    let settings = shared();
    let (older, newer) = (open(&settings).await, open(&settings).await);
    let both = ["a".to_owned(), "b".to_owned()].into();
    let many = newer.consumer("one", Subjects::of(&["a", "b"])).await.unwrap();
    let other_hosts = if knows_others { both } else { BTreeSet::new() };
    let this_host = Subjects::of(&["a"]).this_host;
    let few = older.consumer("one", Subjects { this_host, other_hosts, ..Subjects::default() }).await.unwrap();
    let events: Vec<Event> = (0..20).map(|n| event(&format!("b{n}"), "b")).collect();
    newer.publish(&events).await.unwrap();
    newer.publish(&[event("a", "a")]).await.unwrap();
    let mut seen = BTreeSet::new();
    let quiet = |seen: &BTreeSet<String>| match knows_others {
        // Events that the other host returns come here after a moment.
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
async fn events_that_one_host_does_not_subscribe_to_go_to_another_host() {
    assert_eq!(receive_on_hosts_with_different_subjects(true).await.len(), 21);
}

/// The control: a host that does not know the other host's subjects removes them
/// from the consumer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_host_that_does_not_know_the_subjects_of_others_removes_them() {
    assert_eq!(receive_on_hosts_with_different_subjects(false).await, ["a"]);
}
