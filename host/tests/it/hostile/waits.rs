//! A component that waits as often and as long as it can. The manifest allows it 4
//! calls at once, so 16 of its calls wait.

use super::hostile;
use crate::support::eventually;
use futures::future::join_all;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn calls_that_wait_take_no_turn_and_their_number_is_limited() {
    let host = hostile().start().await;
    let attacker = host.visitor();
    let waiting: Vec<_> = (0..60)
        .map(|_| {
            let attacker = host.visitor();
            tokio::spawn(async move { attacker.attack("wait").await })
        })
        .collect();
    // While they wait, the component answers other calls, and so do its neighbours.
    let mut answered = 0;
    while !waiting.iter().all(tokio::task::JoinHandle::is_finished) {
        let reply = attacker.attack("slow?ms=1").await;
        assert!([204, 503].contains(&reply.status), "{reply:?}");
        answered += usize::from(reply.status == 204);
        attacker.says_hello().await;
    }
    assert!(answered >= 5, "{answered} other calls were answered");
    let replies: Vec<_> = join_all(waiting).await.into_iter().map(Result::unwrap).collect();
    let count = |status| replies.iter().filter(|reply| reply.status == status).count();
    let limited = replies.iter().filter(|reply| reply.text.contains("too many calls wait")).count();
    assert!((1..=16).contains(&count(504)), "{} waited until their deadline", count(504));
    assert!(limited > 0, "{replies:?}");
    assert_eq!(count(504) + count(503) + count(200), replies.len(), "{replies:?}");
    eventually("no call waits", async || attacker.attack("waits").await.status, |status| *status == 200).await;
    // A call that waits is not to blame for its deadline.
    assert!(!host.log().contains("quarantine"), "{}", host.log());
}

#[tokio::test]
async fn waits_listeners_and_topics_of_a_call_are_limited() {
    let host = hostile().start().await;
    let attacker = host.visitor();
    assert_eq!(attacker.attack("waits").await.json(), json!({ "waits": 200, "topics": 100 }));
    for _ in 0..3 {
        assert_eq!(attacker.attack("listeners").await.json(), json!({ "listeners": 16 }));
    }
    attacker.says_hello().await;
}

#[tokio::test]
async fn a_call_does_not_wait_while_it_holds_a_transaction() {
    let host = hostile().start().await;
    let attacker = host.visitor();
    let begun = Instant::now();
    let reply = attacker.attack("wait-holding").await.json();
    assert_eq!(reply["allowed"], json!(null), "{reply}");
    assert!(reply["refused"].to_string().contains("transaction open"), "{reply}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}
