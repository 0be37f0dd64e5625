//! Topics and live events of a component on two hosts.

use super::two_hosts::TwoHosts;
use crate::{
    LiveEvent,
    conformance::{Store, event},
};
use std::time::Duration;

async fn notify(store: &Store, topic: &str) {
    let mut transaction = store.begin().await.unwrap();
    transaction.publish(&event(topic)).await.unwrap();
    transaction.notify(topic.to_owned());
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_commit_on_one_host_wakes_the_listeners_of_another() {
    let hosts = TwoHosts::start().await;
    for topic in ["plain", "with spaces in it", "Ä\u{1F3AB}", "a\nb", "'; SELECT 1; --", &"x".repeat(200)] {
        let mut listener = hosts.here.listen(topic.to_owned()).unwrap();
        // The first listener of a host opens the connection on which it hears of
        // others, so the first notifications may be missed.
        let mut notified = false;
        for _ in 0..100 {
            notify(&hosts.there, topic).await;
            notified = listener.wait(Duration::from_millis(200)).await;
            if notified {
                break;
            }
        }
        assert!(notified, "{topic:?}");
    }
    let mut other = hosts.here.listen("other".to_owned()).unwrap();
    notify(&hosts.there, "plain").await;
    assert!(!other.wait(Duration::from_millis(300)).await, "another topic wakes nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_commit_with_a_live_event_wakes_the_listeners_of_every_host() {
    let hosts = TwoHosts::start().await;
    let (mut here, mut there) = (hosts.here.listen_live(), hosts.there.listen_live());
    for reader in [&mut here, &mut there] {
        assert!(reader.wait(Duration::from_secs(60)).await, "the host listens from now on");
    }
    for sequence in 0..3 {
        let mut transaction = hosts.there.begin().await.unwrap();
        let event = LiveEvent { channel: "a".to_owned(), name: String::new(), data: sequence.to_string() };
        transaction.send_live(event).unwrap();
        transaction.commit().await.unwrap();
        for (host, reader) in [(&hosts.here, &mut here), (&hosts.there, &mut there)] {
            assert!(reader.wait(Duration::from_secs(60)).await);
            assert_eq!(host.read_live(sequence).await.unwrap().len(), 1);
        }
    }
}
