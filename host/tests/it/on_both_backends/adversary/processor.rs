//! A component that computes without an end. It gets the share of one component,
//! and is taken out of service.

use crate::{
    hostile::hostile,
    support::{Host, eventually},
};
use std::time::{Duration, Instant};

const CALLS: usize = 64;

/// Requests of one component while another one computes in many calls.
async fn slowest_beside(host: &Host, attack: &str, rounds: usize) -> Duration {
    let spinning = (0..CALLS).map(|_| {
        let attacker = host.visitor();
        async move {
            for _ in 0..rounds {
                attacker.get(&format!("/hostile/{attack}")).await;
            }
        }
    });
    let visitor = host.visitor();
    let mut slowest = Duration::ZERO;
    let measure = async {
        loop {
            let begun = Instant::now();
            visitor.says_hello().await;
            slowest = slowest.max(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        _ = futures::future::join_all(spinning) => {}
        () = measure => {}
    }
    slowest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_spinning_calls_delay_no_other_component() {
    let limits = "[plugins.hostile.limits]\nconcurrency = 64\nqueue = 512\nwall_time_ms = 1000";
    let host = hostile().toml(limits).toml("[rollout]\nquarantine_traps = 0").start().await;
    for (attack, rounds) in [("loop", 2), ("slow?ms=20", 20), ("slow?ms=5", 20), ("slow?ms=300", 3), ("calls", 3)] {
        let slowest = slowest_beside(&host, attack, rounds).await;
        assert!(slowest < Duration::from_secs(2), "{attack}: {slowest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_misses_its_deadlines_is_quarantined() {
    let limits = "[plugins.hostile.limits]\nconcurrency = 16\nwall_time_ms = 300";
    let host = hostile().toml(limits).toml("[rollout]\nquarantine_traps = 5").start().await;
    let attacker = host.visitor();
    let quarantined = async || {
        attacker.get("/hostile/loop").await;
        host.operator().get("/plugins/hostile").await.text.contains("quarantine")
    };
    eventually("the component is quarantined", quarantined, |quarantined| *quarantined).await;
    assert_eq!(attacker.get("/hostile/slow?ms=1").await.status, 503);
    attacker.says_hello().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_waits_for_its_database_is_not_quarantined() {
    let limits = "[plugins.hostile.limits]\nconcurrency = 16\nwall_time_ms = 300\ntransaction_ms = 2000";
    let host = hostile().toml(limits).toml("[rollout]\nquarantine_traps = 5").start().await;
    let attacker = host.visitor();
    let values = (0..200).map(|number| format!("('{number}', 1)")).collect::<Vec<_>>().join(", ");
    let fill = format!("INSERT INTO applied (id, times) VALUES {values}");
    let statement = |statement: &str| serde_json::json!({ "call": "query", "statement": statement });
    let filled = serde_json::json!({ "call": "execute", "statement": fill });
    assert_eq!(attacker.post("/hostile/sql", filled).await.status, 200);
    let product = "SELECT count(*) FROM applied a, applied b, applied c, applied d, applied e \
                   WHERE a.times + b.times + c.times + d.times + e.times < 0";
    for _ in 0..12 {
        assert_eq!(attacker.post("/hostile/sql", statement(product)).await.status, 504);
    }
    let plugin = host.operator().get("/plugins/hostile").await;
    assert!(!plugin.text.contains("quarantine"), "{}", plugin.text);
}
