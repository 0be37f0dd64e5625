//! The host's memory of its plugins after a restart.

use crate::support::{PluginFile, Setup, chameleon, chameleon_host, component, on_postgres};
use serde_json::json;

#[tokio::test]
async fn an_active_revision_is_active_again_after_a_restart() {
    let mut host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    operator.deploy("chameleon", chameleon("2.0.0", "red", "good")).await;
    operator.put("/plugins/chameleon/config", json!({ "colour": "blue" })).await;
    let third = operator.stage(chameleon("3.0.0", "white", "good")).await;
    let body = json!({ "revision": third, "canary_percent": 40 });
    let tried = operator.post("/plugins/chameleon/activate", body).await.json();
    let before = operator.plugin("chameleon").await;
    host.kill().await;
    host.start_again().await;
    let after = host.operator().plugin("chameleon").await;
    for key in ["revision", "status", "config", "previous", "grants"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_eq!(after["canary"]["revision"], tried["new"]);
    assert_eq!(host.visitor().with_header("x-plugin-canary", "none").colour().await, "blue");
    host.operator().post("/plugins/chameleon/rollback", json!({})).await;
    host.operator().post("/plugins/chameleon/rollback", json!({})).await;
    assert_eq!(host.visitor().colour().await, "red");
}

#[tokio::test]
async fn an_upload_replaces_a_bundled_component_and_can_be_removed() {
    let mut host = Setup::new().start().await;
    let operator = host.operator();
    let built_in = operator.plugin("tickets").await["revision"].clone();
    let file = PluginFile::read(&component("tickets")).version("1.1.0");
    let report = operator.deploy("tickets", file.bytes()).await;
    assert_eq!(report["old"], built_in);
    host.stop().await;
    host.start_again().await;
    let operator = host.operator();
    assert_eq!(operator.plugin("tickets").await["revision"], report["new"]);
    assert_eq!(host.visitor().get("/api/tickets").await.status, 200);
    assert_eq!(operator.post("/plugins/tickets/rollback", json!({})).await.json()["new"], built_in);
    assert_eq!(host.visitor().get("/api/tickets").await.status, 200);
}

#[tokio::test]
async fn a_damaged_upload_gives_way_to_the_one_before() {
    let mut host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    operator.deploy("chameleon", chameleon("2.0.0", "red", "good")).await;
    let digest = operator.plugin("chameleon").await["digest"].as_str().unwrap().to_owned();
    host.stop().await;
    std::fs::write(host.setup.data().join("plugins").join(format!("{digest}.wasm")), b"\0asm").unwrap();
    host.start_again().await;
    if on_postgres() {
        assert_eq!(host.visitor().colour().await, "red", "the database has the undamaged file");
        return;
    }
    assert_eq!(host.visitor().colour().await, "green");
    assert!(host.log().contains("the revision before it takes over"));
}

#[tokio::test]
async fn a_host_that_is_killed_in_a_swap_has_one_of_both_revisions_afterwards() {
    let mut host = chameleon_host(Setup::without_components()).await;
    host.operator().deploy("chameleon", chameleon("1.0.0", "c0", "good")).await;
    for round in 1..=12 {
        let operator = host.operator();
        let colour = format!("c{round}");
        let revision = operator.stage(chameleon(&format!("1.0.{round}"), &colour, "good")).await;
        let before = host.visitor().colour().await;
        let body = json!({ "revision": revision });
        let swap = tokio::spawn(async move {
            operator.attempt(http::Method::POST, "/plugins/chameleon/activate", Some(body)).await
        });
        tokio::time::sleep(std::time::Duration::from_millis(rand::random_range(0..25))).await;
        host.kill().await;
        let answered = swap.await.unwrap().is_some_and(|reply| reply.status == 200);
        host.start_again().await;
        let after = host.visitor().colour().await;
        let possible = if answered { vec![colour] } else { vec![before, colour] };
        assert!(possible.contains(&after), "{after} is none of {possible:?}");
    }
}
