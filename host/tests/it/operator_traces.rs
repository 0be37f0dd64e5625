//! The traces of slow and failed operations, without a collector.

use crate::{
    hostile::hostile,
    support::{Client, Host, Setup, chameleon, chameleon_host, eventually},
};
use serde_json::{Value, json};

/// The kept trace that has this many operations or more, with them.
async fn trace_with(operator: &Client, operations: u64, plugin: &str) -> Value {
    let find = async || {
        let rows = operator.get("/traces").await.json();
        rows.as_array()
            .unwrap()
            .iter()
            .find(|row| {
                row["operations"].as_u64().unwrap() >= operations
                    && row["plugins"].as_array().unwrap().contains(&json!(plugin))
            })
            .cloned()
    };
    let row = eventually("the trace is kept", find, Option::is_some).await.unwrap();
    operator.get(&format!("/traces/{}", row["trace"].as_str().unwrap())).await.json()
}

fn steps(trace: &Value) -> Vec<(String, String)> {
    let text = |step: &Value, name: &str| step[name].as_str().unwrap().to_owned();
    trace["steps"].as_array().unwrap().iter().map(|step| (text(step, "kind"), text(step, "name"))).collect()
}

#[tokio::test]
async fn a_failed_event_has_a_trace_from_its_request_on() {
    let host = hostile().start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    assert_eq!(visitor.get("/hostile/applied/x").await.status, 200);
    let event = json!({ "id": "x", "mood": "reject", "subject": "hostile.event" });
    assert_eq!(visitor.post("/hostile/publish", event).await.status, 201);
    let trace = trace_with(&operator, 3, "hostile").await;
    let steps = steps(&trace);
    for expected in [("request", "POST /hostile/publish"), ("publication", "hostile.event"), ("event", "hostile.event")]
    {
        assert!(steps.contains(&(expected.0.to_owned(), expected.1.to_owned())), "{expected:?}: {trace}");
    }
    assert_eq!((&trace["first"]["kind"], &trace["failed"]), (&json!("request"), &json!(1)), "{trace}");
    let failed = trace["steps"].as_array().unwrap().iter().find(|step| !step["failure"].is_null()).unwrap();
    assert_eq!((&failed["kind"], &failed["plugin"]), (&json!("event"), &json!("hostile")));

    let token = operator.make_token(json!({ "name": "other", "role": "view", "plugins": ["other"] })).await;
    let other = host.bearer(&token.text);
    assert_eq!(other.get("/traces").await.json(), json!([]), "a bound token sees only its own plugins");
    let id = trace["trace"].as_str().unwrap();
    assert_eq!(other.get(&format!("/traces/{id}")).await.status, 404);
    // One of 16 ids begins with a zero.
    let (signed, longer, capital) = (format!("+{}", &id[1..]), format!("0{id}"), format!("A{}", &id[1..]));
    for wrong in ["x", "00000000000000000000000000000000", "..", &id[1..], &signed, &longer, &capital] {
        assert_eq!(operator.get(&format!("/traces/{wrong}")).await.status, 404, "{wrong}");
    }
}

/// A host on which an operation is slow from this time on, with a plugin that takes 60 ms.
async fn slow_from(slow_ms: u32) -> Host {
    let host = chameleon_host(Setup::without_components().toml(&format!("[log]\nslow_ms = {slow_ms}\n"))).await;
    host.operator().deploy("chameleon", chameleon("1.0.0", "green", "slow")).await;
    host.visitor().with_header("x-request-id", "the-request").get("/chameleon").await;
    host
}

#[tokio::test]
async fn a_slow_request_is_kept_and_a_fast_one_is_not() {
    let slow = slow_from(50).await;
    let trace = trace_with(&slow.operator(), 1, "chameleon").await;
    assert_eq!(steps(&trace), [("request".to_owned(), "GET /chameleon".to_owned())]);
    assert_eq!((&trace["steps"][0]["id"], &trace["failed"]), (&json!("the-request"), &json!(0)));
    assert!(trace["took_us"].as_u64().unwrap() >= 50_000, "{trace}");
    let fast = slow_from(60_000).await;
    assert_eq!(fast.operator().get("/traces").await.json(), json!([]));
}

#[tokio::test]
async fn failures_without_end_keep_a_bounded_number_of_traces() {
    let host = chameleon_host(Setup::without_components()).await;
    let (operator, visitor) = (host.operator(), host.visitor());
    operator.deploy("chameleon", chameleon("1.0.0", "green", "error")).await;
    for _ in 0..100 {
        assert_eq!(visitor.get("/chameleon").await.status, 500);
    }
    let kept = operator.get("/traces").await.json().as_array().unwrap().len();
    assert!((1..=20).contains(&kept), "{kept}");
}
