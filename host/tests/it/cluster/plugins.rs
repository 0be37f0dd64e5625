//! A change of a plugin reaches all hosts or none of them.

use super::{joined, knows_all, named, statuses};
use crate::support::{Client, Host, NatsServer, Setup, chameleon, eventually, postgres};
use serde_json::{Value, json};
use std::fs;

/// Starts three hosts without plugins, which grant the chameleon the store.
async fn three_empty() -> [Host; 3] {
    let url = postgres::new_database().await;
    let setup = joined(Setup::without_components(), &url, &NatsServer::shared().url());
    let hosts = Setup::start_all(named(&setup)).await;
    knows_all(&hosts[0]).await;
    hosts[0].operator().allow("chameleon", json!({ "grants": ["store"] })).await;
    hosts
}

async fn colour(host: &Host) -> Value {
    let reply = host.visitor().get("/chameleon").await;
    if reply.status == 200 { reply.json()["colour"].clone() } else { json!(reply.status) }
}

/// What each host answers.
async fn colours(hosts: &[Host; 3]) -> [Value; 3] {
    let [one, two, three] = hosts;
    [colour(one).await, colour(two).await, colour(three).await]
}

fn follows(report: &Value) -> bool {
    report["hosts"].as_array().is_some_and(|hosts| hosts.len() == 2 && hosts.iter().all(|host| host["follows"] == true))
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_plugin_that_one_host_activates_is_active_on_all_when_the_call_returns() {
    let hosts = three_empty().await;
    let [one, two, three] = &hosts;
    let first = one.operator().deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    assert!(follows(&first), "{first}");
    assert_eq!(colours(&hosts).await, ["green"; 3]);

    let second = two.operator().deploy("chameleon", chameleon("2.0.0", "red", "good")).await;
    assert!(follows(&second), "{second}");
    assert_eq!(colours(&hosts).await, ["red"; 3]);

    let back = three.operator().post("/plugins/chameleon/rollback", json!({})).await.json();
    assert!(follows(&back), "{back}");
    assert_eq!(colours(&hosts).await, ["green"; 3]);

    assert_eq!(one.operator().post("/plugins/chameleon/pause", json!({})).await.status, 200);
    assert_eq!(colours(&hosts).await, [503; 3]);
    assert_eq!(two.operator().post("/plugins/chameleon/resume", json!({})).await.status, 200);
    assert_eq!(colours(&hosts).await, ["green"; 3]);
    assert_eq!(three.operator().delete("/plugins/chameleon").await.status, 204);
    assert_eq!(colours(&hosts).await, [404; 3]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn changes_through_different_hosts_at_once_take_turns() {
    let hosts = three_empty().await;
    hosts[0].operator().deploy("chameleon", chameleon("1.0.0", "c0", "good")).await;
    let deploy = async |host: &Host, number: usize| {
        let operator = host.operator();
        let revision = operator.stage(chameleon(&format!("1.0.{number}"), &format!("c{number}"), "good")).await;
        assert_eq!(operator.activate("chameleon", &revision).await.status, 200);
    };
    let [one, two, three] = &hosts;
    tokio::join!(deploy(one, 1), deploy(two, 2), deploy(three, 3));
    let agreed = async || colours(&hosts).await;
    let agreed = eventually("all run the same", agreed, |seen| seen.iter().all(|colour| *colour == seen[0])).await;
    assert!(["c1", "c2", "c3"].iter().any(|colour| agreed[0] == *colour), "{agreed:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_host_that_cannot_prepare_stops_the_rollout_and_is_named() {
    let hosts = three_empty().await;
    let operator = hosts[0].operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    // The third host has no folder any more for the file.
    let folder = hosts[2].setup.data().join("plugins");
    fs::rename(&folder, folder.with_extension("away")).unwrap();
    let revision = operator.stage(chameleon("2.0.0", "red", "good")).await;
    let refused = operator.activate("chameleon", &revision).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.text.contains("three: "), "{refused:?}");
    assert_eq!(colours(&hosts).await, ["green"; 3], "no host has swapped");

    fs::rename(folder.with_extension("away"), &folder).unwrap();
    assert_eq!(operator.activate("chameleon", &revision).await.status, 200);
    assert_eq!(colours(&hosts).await, ["red"; 3]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_host_that_joins_runs_what_the_others_run_before_it_is_ready() {
    let mut hosts = three_empty().await;
    let operator = hosts[0].operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    hosts[1].stop().await;
    let ready = async |operator: &Client| statuses(operator).await;
    eventually("the host has left", async || ready(&operator).await, |seen| *seen == ["ready"; 2]).await;
    operator.deploy("chameleon", chameleon("2.0.0", "red", "good")).await;
    hosts[1].start_again().await;
    assert_eq!(hosts[1].outsider().get("/readyz").await.status, 200);
    assert_eq!(colour(&hosts[1]).await, "red", "with the first request");
}
