//! The figures that the host keeps of each plugin: the last failures, and the
//! calls of the last 15 minutes.

use crate::{
    hostile::hostile,
    support::{Client, Setup, chameleon, chameleon_host, eventually},
};
use serde_json::{Value, json};

async fn failures(operator: &Client, plugin: &str) -> Vec<Value> {
    let reply = operator.get(&format!("/plugins/{plugin}/failures")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json().as_array().unwrap().clone()
}

#[tokio::test]
async fn failed_requests_events_and_timers_are_kept_with_their_cause() {
    let host = hostile().toml("[rollout]\nquarantine_traps = 0").start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    assert_eq!(failures(&operator, "hostile").await, [] as [Value; 0]);
    let client = visitor.with_header("x-request-id", "the-request-of-this-test");
    let traced = client.with_header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    for (attack, kind) in [("trap", "trap"), ("loop", "deadline"), ("status", "answer"), ("header", "answer")] {
        traced.get(&format!("/hostile/{attack}")).await;
        let newest = failures(&operator, "hostile").await.swap_remove(0);
        assert_eq!((&newest["kind"], &newest["call"]), (&json!(kind), &json!("GET /hostile/{attack}")), "{newest}");
        assert_eq!((&newest["id"], &newest["blame"]), (&json!("the-request-of-this-test"), &json!("guest")));
        assert_eq!(newest["trace"], "0af7651916cd43dd8448eb211c80319c", "{newest}");
    }
    let all = failures(&operator, "hostile").await;
    assert!(all.len() == 4 && all[3]["message"].as_str().unwrap().contains("wasm trap"), "{all:?}");
    let plugin = operator.plugin("hostile").await;
    assert_eq!((&all[0]["revision"], &plugin["last_failure"]), (&plugin["revision"], &all[0]));

    let event = json!({ "id": "one", "mood": "trap", "subject": "hostile.event" });
    assert_eq!(visitor.post("/hostile/publish", event).await.status, 201);
    let timer = json!({ "id": "two", "mood": "trap", "key": "remind" });
    assert_eq!(visitor.post("/hostile/timers", timer).await.status, 201);
    let all = async || failures(&operator, "hostile").await;
    let has_both = |all: &Vec<Value>| {
        ["event hostile.event", "timer remind"].iter().all(|call| all.iter().any(|failure| failure["call"] == *call))
    };
    let all = eventually("a failed event and a failed timer", all, has_both).await;
    let timer = all.iter().find(|failure| failure["call"] == "timer remind").unwrap();
    assert_eq!((&timer["kind"], &timer["id"]), (&json!("trap"), &json!("")));
    assert!(failures(&operator, "hello").await.is_empty());
}

#[tokio::test]
async fn twenty_failures_are_kept_and_they_outlive_a_rollback() {
    let host =
        chameleon_host(Setup::without_components().toml("[rollout]\nquarantine_traps = 0\nmin_calls = 1000")).await;
    let (operator, visitor) = (host.operator(), host.visitor());
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let bad = operator.deploy("chameleon", chameleon("2.0.0", "red", "trap")).await["new"].clone();
    for _ in 0..25 {
        assert_eq!(visitor.get("/chameleon").await.status, 500);
    }
    assert_eq!(operator.post("/plugins/chameleon/rollback", json!({})).await.status, 200);
    visitor.colour().await;
    let kept = failures(&operator, "chameleon").await;
    assert_eq!(kept.len(), 20);
    assert!(kept.iter().all(|failure| failure["revision"] == bad && failure["kind"] == "trap"), "{kept:?}");
    let recent = &operator.plugin("chameleon").await["recent"];
    assert_eq!(recent["calls"].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>(), 26);
}

#[tokio::test]
async fn the_history_counts_calls_errors_and_times() {
    let host = hostile().start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    let history = async |plugin: &str| operator.get(&format!("/plugins/{plugin}/history")).await.json();
    let sum = |history: &Value, field: &str| {
        history["slots"].as_array().unwrap().iter().filter_map(|slot| slot[field].as_u64()).sum::<u64>()
    };
    for _ in 0..20 {
        visitor.says_hello().await;
    }
    visitor.get("/hostile/status").await;
    let of_hello = history("hello").await;
    assert_eq!((sum(&of_hello, "calls"), sum(&of_hello, "errors")), (20, 0), "{of_hello}");
    assert_eq!((&of_hello["slot_seconds"], of_hello["slots"].as_array().unwrap().len()), (&json!(10), 90));
    let of_hostile = history("hostile").await;
    assert_eq!((sum(&of_hostile, "calls"), sum(&of_hostile, "errors")), (1, 1), "{of_hostile}");

    let plugins = operator.get("/plugins").await.json();
    let recent = |name: &str| {
        plugins.as_array().unwrap().iter().find(|plugin| plugin["name"] == name).unwrap()["recent"].clone()
    };
    let (hello, hostile) = (recent("hello"), recent("hostile"));
    assert!(hello["calls_per_second"].as_f64().unwrap() > 0.0 && hello["error_percent"] == 0.0, "{hello}");
    assert!(hello["p50_us"].as_u64() > Some(0) && hello["p50_us"].as_u64() <= hello["p99_us"].as_u64(), "{hello}");
    assert!(hello["memory_bytes"].as_u64().unwrap() >= 64 << 10, "a page of memory: {hello}");
    assert_eq!((&hostile["error_percent"], &plugins[0]["last_failure"]), (&json!(100.0), &Value::Null));
}

#[tokio::test]
async fn figures_are_for_those_who_may_see_the_plugin() {
    let host = hostile().start().await;
    let operator = host.operator();
    let token = async |token: Value| host.bearer(&operator.make_token(token).await.text);
    let other = token(json!({ "name": "other", "role": "admin", "plugins": ["hello"] })).await;
    let viewer = token(json!({ "name": "viewer", "role": "view" })).await;
    for path in ["failures", "history"] {
        assert_eq!(other.get(&format!("/plugins/hostile/{path}")).await.status, 403);
        assert_eq!(other.get(&format!("/plugins/hello/{path}")).await.status, 200);
        assert_eq!(viewer.get(&format!("/plugins/hostile/{path}")).await.status, 200);
        assert_eq!(viewer.get(&format!("/plugins/nothing/{path}")).await.status, 404);
        assert_eq!(host.outsider().get(&format!("/plugins/hello/{path}")).await.status, 401);
    }
}
