//! Components that take long whenever they are instantiated.

use super::guests::with_slow_start;
use crate::{
    hostile::hostile,
    support::{Host, PluginFile, eventually, guest},
};
use serde_json::json;
use std::time::{Duration, Instant};

/// The host waits two seconds for a plugin when it starts. A deployment of the
/// slow plugin takes four times as long, so that it still starts afterwards.
const LONG: Duration = Duration::from_secs(8);

/// The guest knows its path by another name, and answers that it has no page.
const SERVES: u16 = 404;

/// The good guest under another name, with a slow start.
fn slow(count: u64) -> Vec<u8> {
    let file = PluginFile::read(&guest("hello"))
        .with("name = \"hello\"", "name = \"slow\"")
        .with("/hello", "/slow")
        .with("/hello", "/slow")
        .manifest_end("\n[limits]\nwall_time_ms = 30000\n");
    file.map_component(|component| with_slow_start(component, count)).bytes()
}

/// A host with a plugin that starts slowly on this machine, however fast it is.
async fn with_slow_plugin() -> Host {
    let host = hostile().start().await;
    let mut count = 2_000_000_000;
    loop {
        let begun = Instant::now();
        host.operator().deploy("slow", slow(count)).await;
        if begun.elapsed() >= LONG {
            return host;
        }
        count *= 2;
    }
}

/// Waits for what a slow start takes.
async fn finally(what: &str, is_true: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is_true().await {
        assert!(begun.elapsed() < Duration::from_secs(240), "{what}: not yet");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn status(host: &Host) -> String {
    let plugins = host.operator().get("/plugins").await.json();
    let slow = plugins.as_array().unwrap().iter().find(|plugin| plugin["name"] == "slow").cloned();
    slow.map_or("absent".to_owned(), |slow| slow["status"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_component_that_starts_slowly_delays_nobody_else_and_serves_when_it_is_ready() {
    let mut host = with_slow_plugin().await;
    assert_eq!(host.visitor().get("/slow").await.status, SERVES);
    host.stop().await;
    let begun = Instant::now();
    host.start_again().await;
    println!("the host started after {:?}", begun.elapsed());
    let visitor = host.visitor();
    visitor.says_hello().await;
    assert_eq!(host.outsider().get("/readyz").await.status, 200);
    let refused = visitor.get("/slow").await;
    refused.refuses(503, "Not available, try again");
    assert_eq!(status(&host).await, "starting");
    let one = host.operator().plugin("slow").await;
    assert_eq!((&one["status"], &one["version"]), (&"starting".into(), &"1.0.0".into()), "{one}");
    assert_eq!(one["limits_in_force"]["wall_time_ms"]["value"], 30_000, "{one}");
    finally("it serves", async || visitor.get("/slow").await.status == SERVES).await;
    assert_eq!(status(&host).await, "active");
}

#[tokio::test]
async fn a_component_that_starts_slowly_can_be_paused_and_removed_while_it_starts() {
    let mut host = with_slow_plugin().await;
    host.stop().await;
    host.start_again().await;
    let operator = host.operator();
    assert_eq!(status(&host).await, "starting");
    let begun = Instant::now();
    assert_eq!(operator.post("/plugins/slow/pause", json!({})).await.status, 200);
    assert_eq!(operator.post("/plugins/slow/resume", json!({})).await.status, 200);
    assert_eq!(operator.delete("/plugins/slow").await.status, 204);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(status(&host).await, "absent");
    assert_eq!(host.visitor().get("/slow").await.status, 404);
    finally("its start has ended", async || host.log().contains("the host drops the started component")).await;
    assert_eq!(status(&host).await, "absent", "it does not come back by itself");
}

#[tokio::test]
async fn a_component_that_never_finishes_its_start_is_given_up_and_harms_nobody() {
    let host = hostile().start().await;
    let operator = host.operator();
    let file = PluginFile::read(&guest("hello"))
        .with("name = \"hello\"", "name = \"slow\"")
        .with("/hello", "/slow")
        .with("/hello", "/slow")
        .manifest_end("\n[limits]\nwall_time_ms = 1000\n")
        .map_component(|component| with_slow_start(component, u64::MAX >> 1));
    let revision = operator.stage(file.bytes()).await;
    let reply = operator.activate("slow", &revision).await;
    assert_eq!(reply.status, 422, "{reply:?}");
    host.visitor().says_hello().await;
}

#[tokio::test]
async fn missed_deadlines_lead_to_quarantine() {
    let host = hostile().toml("[rollout]\nquarantine_traps = 3").start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    let status = async || operator.plugin("hostile").await["status"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        assert_eq!(status().await, "active");
        assert_eq!(visitor.get("/hostile/loop").await.status, 504);
    }
    eventually("it is quarantined", status, |status| status == "quarantined").await;
    visitor.says_hello().await;
}
