//! `limits.concurrency` holds for all that a component does: requests, events
//! and timers.

use crate::support::{Host, Setup, chameleon, chameleon_host, eventually};
use serde_json::{Value, json};

async fn host_with(concurrency: u32) -> Host {
    let host = chameleon_host(Setup::without_components()).await;
    host.operator().deploy("chameleon", chameleon("1.0.0", "green", "slow")).await;
    let set = host.operator().put("/plugins/chameleon/limits", json!({ "concurrency": concurrency })).await;
    assert_eq!(set.status, 200, "{set:?}");
    host
}

/// Causes slow events and timers, all at once, and returns how many of them
/// ran while another one did.
async fn overlapping(host: &Host, round: u32) -> usize {
    let visitor = host.visitor();
    let ids: Vec<String> = (0..8).map(|one| format!("{round}-{one}")).collect();
    for id in &ids {
        visitor.cause(id).await;
    }
    let prefix = format!("event {round}-");
    let applied = eventually(
        "all events and timers are applied",
        async || visitor.applied().await,
        |applied| applied.len() >= 2 * ids.len() * (round as usize + 1),
    )
    .await;
    let time = |one: &Value, name: &str| one[name].as_i64().unwrap();
    let ran: Vec<(i64, i64)> = applied
        .iter()
        .filter(|one| {
            let id = one["id"].as_str().unwrap();
            id.starts_with(&prefix) || id.starts_with(&prefix.replace("event", "timer"))
        })
        .map(|one| (time(one, "begun_ms"), time(one, "ended_ms")))
        .collect();
    assert_eq!(ran.len(), 2 * ids.len());
    let overlaps = |one: &(i64, i64), other: &(i64, i64)| one.0 < other.1 && other.0 < one.1;
    ran.iter().enumerate().filter(|(index, one)| ran[index + 1..].iter().any(|other| overlaps(one, other))).count()
}

#[tokio::test]
async fn at_a_concurrency_of_one_no_event_or_timer_runs_beside_another() {
    let host = host_with(1).await;
    assert_eq!(overlapping(&host, 0).await, 0);
}

/// The control: without the limit they do run beside each other.
#[tokio::test]
async fn at_a_higher_concurrency_events_and_timers_run_beside_each_other() {
    let host = host_with(16).await;
    for round in 0..10 {
        if overlapping(&host, round).await > 0 {
            return;
        }
    }
    panic!("events and timers never ran beside each other");
}

#[tokio::test]
async fn events_that_cause_events_go_on_at_a_concurrency_of_one_while_callers_queue() {
    const CAUSED: usize = 10;
    let host = host_with(1).await;
    let (visitor, flood) = (host.visitor(), host.visitor());
    let reply = visitor.post(&format!("/chameleon?causes={CAUSED}"), json!({ "id": "x" })).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let last = format!("event x{}", "+".repeat(CAUSED));
    let callers = async {
        loop {
            let calls: [_; 4] = std::array::from_fn(|_| flood.get("/chameleon"));
            futures::future::join_all(calls).await;
        }
    };
    let arrived = eventually(
        "the chain of events comes to its end",
        async || visitor.applied().await,
        |applied| applied.iter().any(|one| one["id"] == last),
    );
    tokio::select! {
        _ = arrived => {}
        () = callers => {}
    }
    let applied = visitor.applied().await;
    assert!(applied.iter().all(|one| one["times"] == 1), "{applied:?}");
    assert_eq!(applied.len(), CAUSED + 2, "the events of the chain and the timer");
}
