//! Attacks within one invocation. The invocation ends with the right status and
//! is counted, and the component answers the next request.

use super::hostile;
use crate::support::eventually;
use serde_json::json;

#[tokio::test]
async fn an_attack_ends_its_own_invocation_and_is_counted() {
    let host = hostile().start().await;
    let attacker = host.visitor();
    for (attack, status, kind) in [
        ("trap", 500, "trap"),
        ("panic", 500, "trap"),
        ("memory", 500, "trap"),
        ("stack", 500, "trap"),
        ("recursion", 500, "trap"),
        ("calls", 500, "trap"),
        ("giant", 500, "answer"),
        ("status", 500, "answer"),
        ("header", 500, "answer"),
        ("value", 500, "answer"),
        ("loop", 504, "deadline"),
    ] {
        let before = host.failures("hostile", kind).await;
        let reply = attacker.attack(attack).await;
        assert_eq!(reply.status, status, "{attack}: {reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{attack}");
        assert_eq!(reply.header("set-cookie"), None, "{attack}");
        assert_eq!(reply.errors().len(), 1, "{attack}");
        assert!(!reply.text.contains("wasm"), "{attack}: the answer has no details, which are in the log");
        assert_eq!(host.failures("hostile", kind).await, before + 1, "{attack}");
        assert_eq!(attacker.attack("slow?ms=1").await.status, 204, "the next call after {attack}");
        attacker.says_hello().await;
    }
    assert_eq!(host.failures("hello", "trap").await, 0);
}

#[tokio::test]
async fn a_slow_call_within_its_limits_is_answered() {
    let host = hostile().start().await;
    assert_eq!(host.visitor().attack("slow?ms=300").await.status, 204);
}

#[tokio::test]
async fn calls_over_the_limit_are_refused_with_a_time_to_retry() {
    let host = hostile().start().await;
    let attacker = host.visitor();
    let calls = (0..24).map(|_| attacker.attack("slow?ms=600"));
    let replies = futures::future::join_all(calls);
    let (replies, ()) = tokio::join!(replies, attacker.says_hello());
    let (shed, served): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 503);
    assert!(!shed.is_empty() && served.len() >= 4, "{} were shed, {} served", shed.len(), served.len());
    for reply in shed {
        assert_eq!(reply.header("retry-after"), Some("1"), "{reply:?}");
        assert_eq!(reply.errors().len(), 1);
    }
    // Four calls at a time on a busy machine: some exceed their deadline.
    assert!(served.iter().all(|reply| reply.status == 204 || reply.status == 504), "{served:?}");
    assert!(host.failures("hostile", "busy").await > 0);
    eventually(
        "the component answers again",
        async || attacker.attack("slow?ms=1").await.status,
        |status| *status == 204,
    )
    .await;
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut() {
    let host = hostile().start().await;
    assert_eq!(host.visitor().attack("log").await.status, 204);
    let dropped = async || {
        let metrics = host.outsider().get("/metrics").await.text;
        let line =
            metrics.lines().find(|line| line.starts_with("plugin_log_lines_dropped_total{component=\"hostile\"}"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    assert!(dropped().await >= 1_500, "{} of 2000 lines were dropped", dropped().await);
}

#[tokio::test]
async fn credentials_do_not_reach_a_component() {
    let host = hostile().start().await;
    let visitor = host.visitor().with_header("cookie", "session=secret").with_header("authorization", "Bearer secret");
    let reply = visitor.attack("cookie").await;
    assert_eq!(reply.json(), json!({ "seen": null }));
}

#[tokio::test]
async fn a_body_over_the_limit_does_not_reach_a_component() {
    let host = hostile().toml("[plugins.hostile.limits]\nbody_bytes = 100").start().await;
    let body = json!({ "call": "query", "statement": "x".repeat(200) });
    let reply = host.visitor().post("/hostile/sql", body).await;
    assert_eq!((reply.status, reply.errors().len()), (413, 1), "{reply:?}");
}
