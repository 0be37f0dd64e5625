//! Where a subscription begins, as its manifest says.

use crate::support::{Host, PluginFile, Setup, chameleon, chameleon_host, eventually, guest};
use serde_json::json;

/// A plugin that records the events of the chameleon.
fn listener(version: &str, subscribes: &str) -> Vec<u8> {
    let manifest = format!(
        "name = \"listener\"\nversion = \"{version}\"\n[messaging]\nsubscribes = [{subscribes}]\n\
         [config.colour]\ntype = \"string\"\ndefault = \"green\"\n[config.mood]\ntype = \"string\"\ndefault = \"good\"\n"
    );
    let mut file = PluginFile::read(&guest("chameleon"));
    file.manifest = manifest;
    file.bytes()
}

const FROM_NOW: &str = "{ subject = \"chameleon.event\", from = \"now\" }";

async fn heard(host: &Host) -> Vec<String> {
    let rows: Vec<(String,)> =
        host.database("components/listener.db").await.rows("SELECT id FROM applied ORDER BY id").await;
    rows.into_iter().map(|(id,)| id).collect()
}

async fn hears(host: &Host, expected: &[&str]) {
    eventually("the listener has heard it", async || heard(host).await, |heard| heard.len() >= expected.len()).await;
    assert_eq!(heard(host).await, expected);
}

#[tokio::test]
async fn a_subscription_from_now_on_skips_what_was_before_and_nothing_after() {
    let mut host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    host.visitor().cause("1 before").await;
    let applied = async || host.visitor().applied().await;
    eventually("the event is on the bus", applied, |applied| applied.len() == 2).await;

    operator.allow("listener", json!({ "grants": ["store"], "subscribes": ["chameleon.event"] })).await;
    operator.deploy("listener", listener("1.0.0", FROM_NOW)).await;
    host.visitor().cause("2 after").await;
    hears(&host, &["event 2 after"]).await;

    // A revision without the subscription, and the first one again.
    operator.deploy("listener", listener("2.0.0", "")).await;
    host.visitor().cause("3 away").await;
    operator.deploy("listener", listener("3.0.0", FROM_NOW)).await;
    hears(&host, &["event 2 after", "event 3 away"]).await;

    host.stop().await;
    host.start_again().await;
    host.visitor().cause("4 restarted").await;
    hears(&host, &["event 2 after", "event 3 away", "event 4 restarted"]).await;
    assert!(host.dead_letters().await.is_empty());
}
