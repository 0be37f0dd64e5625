//! The bounds on calls between plugins, and who is to blame for a failure.

use super::{CALLEE, callee, caller, host_with, host_with_both, is_well, policy, requesting, send, tell, told, url};
use crate::support::{LocalServer, Setup};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_chain_without_an_end_ends_at_its_depth_also_at_a_concurrency_of_one() {
    let host = Setup::without_components().start().await;
    host.operator().allow("requesting", policy(&[])).await;
    let file = requesting().manifest_end("concurrency = 1\nqueue = 1\n");
    host.operator().deploy("requesting", file.bytes()).await;
    let begun = Instant::now();
    let mut below = tell(&host.visitor(), "/requesting/chain", json!({})).await["below"].clone();
    let mut calls = 0;
    while below["status"] == 200 {
        calls += 1;
        below = told(&below)["below"].clone();
    }
    assert_eq!((calls, &below["error"]), (4, &json!("too-deep")), "{below}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    is_well(&host).await;
}

#[tokio::test]
async fn a_call_ends_before_the_call_that_waits_for_it() {
    let silent = LocalServer::talking(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let host = host_with_both().await;
    let hosts = [silent.address.to_string()];
    host.operator().allow(CALLEE, json!({ "grants": ["http", "store"], "http_hosts": hosts })).await;
    let begun = Instant::now();
    let last = json!({ "url": format!("http://{}/", silent.address) });
    let wanted = json!({ "method": "POST", "url": url("send"), "body": last, "timeout_ms": 1_500 });
    let outcome = send(&host.visitor(), wanted).await;
    assert_eq!(told(&outcome)["error"], "timeout", "the other plugin still answers: {outcome}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    is_well(&host).await;
}

#[tokio::test]
async fn a_caller_that_stops_waiting_blames_nobody() {
    let host = host_with_both().await;
    let outcome = send(&host.visitor(), json!({ "url": url("act/spin"), "timeout_ms": 700 })).await;
    assert_eq!(outcome["error"], "timeout", "{outcome}");
    assert_eq!(host.operator().plugin(CALLEE).await["failures"], 0);
    let timeouts = ["component=\"requesting\"", "outcome=\"timeout\""];
    assert_eq!(host.metric("plugin_requests_total", &timeouts).await, 1.0);
    assert_eq!(send(&host.visitor(), json!({ "url": url("version") })).await["status"], 200);
    is_well(&host).await;
}

#[tokio::test]
async fn a_plugin_that_traps_is_to_blame_and_its_caller_gets_500() {
    let host = host_with_both().await;
    let outcome = send(&host.visitor(), json!({ "url": url("act/trap") })).await;
    assert_eq!(outcome["status"], 500, "{outcome}");
    assert!(outcome["body"].as_str().unwrap().contains("errors"), "{outcome}");
    assert_eq!(host.operator().plugin(CALLEE).await["failures"], 1);
    let failed = ["component=\"requesting\"", "outcome=\"failed\""];
    assert_eq!(host.metric("plugin_requests_total", &failed).await, 1.0);
    is_well(&host).await;
}

#[tokio::test]
async fn the_bodies_of_a_call_have_the_limits_of_both_sides() {
    const MOST: usize = 8 << 20;
    let large = callee().manifest_end("response_bytes = 16777216\n");
    let host = host_with(Setup::without_components(), caller(), large).await;
    let visitor = host.visitor();
    let answer = async |bytes: usize| send(&visitor, json!({ "url": url(&format!("act/large?bytes={bytes}")) })).await;
    assert_eq!(answer(MOST).await["bytes"], MOST);
    let outcome = answer(MOST + 1).await;
    assert_eq!(outcome["error"], "too-large", "{outcome}");

    let request = async |bytes: usize| -> Value {
        send(&visitor, json!({ "method": "POST", "url": url("echo"), "body_bytes": bytes })).await
    };
    assert_eq!(told(&request(1 << 20).await)["bytes"], 1 << 20);
    assert_eq!(request((1 << 20) + 1).await["status"], 413, "the limit of the plugin that answers");
    assert_eq!(request(MOST + 1).await["error"], "too-large");
    is_well(&host).await;

    host.operator().deploy(CALLEE, callee().version("1.1.0").bytes()).await;
    let outcome = send(&visitor, json!({ "url": url(&format!("act/large?bytes={}", MOST + 1)) })).await;
    assert_eq!(outcome["status"], 500, "the answer breaks the limit of its own plugin: {outcome}");
    assert_eq!(host.operator().plugin(CALLEE).await["failures"], 1);
}
