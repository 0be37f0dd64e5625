//! A purge leaves nothing of a plugin. A reset leaves its revision alone.

use crate::support::{Client, Host, PluginFile, Reply, Setup, chameleon, chameleon_host, eventually, guest};
use serde_json::{Value, json};

/// Causes an event and a timer, and waits for the rows of both.
async fn fill(host: &Host) {
    let visitor = host.visitor();
    assert_eq!(visitor.post("/chameleon", json!({ "id": "a" })).await.status, 201);
    eventually("the event and the timer are applied", async || rows(&visitor).await, |rows| *rows == 2).await;
}

async fn rows(visitor: &Client) -> usize {
    visitor.get("/chameleon/applied").await.json().as_array().map_or(0, Vec::len)
}

/// Asserts that the database was empty. The bus may have delivered again what it retains.
async fn is_empty(visitor: &Client) {
    let applied = visitor.get("/chameleon/applied").await;
    assert!(applied.status == 200 && !applied.text.contains("timer a"), "{applied:?}");
}

async fn purge(host: &Host) -> Reply {
    host.operator().post("/plugins/chameleon/purge", json!({})).await
}

async fn reset(host: &Host) -> Reply {
    host.operator().post("/plugins/chameleon/reset", json!({})).await
}

#[tokio::test]
async fn nothing_is_left_of_a_purged_plugin() {
    let mut host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    assert_eq!(operator.put("/plugins/chameleon/config", json!({ "colour": "red" })).await.status, 200);
    fill(&host).await;
    let message = "chameleon is in service; take it out first: ticketing plugin remove chameleon";
    purge(&host).await.refuses(409, message);
    assert_eq!(rows(&host.visitor()).await, 2, "a refused purge deletes nothing");

    assert_eq!(operator.delete("/plugins/chameleon").await.status, 204);
    assert_eq!(purge(&host).await.status, 204);
    for path in ["", "/revisions", "/policy"] {
        assert_eq!(operator.get(&format!("/plugins/chameleon{path}")).await.status, 404, "{path}");
    }
    assert_eq!(purge(&host).await.status, 204, "a second purge finds nothing");
    let audit = operator.get("/audit?plugin=chameleon&limit=1000").await.json();
    let purges: Vec<&Value> = audit.as_array().unwrap().iter().filter(|row| row["action"] == "purge").collect();
    assert_eq!(purges.iter().map(|row| &row["outcome"]).collect::<Vec<_>>(), ["done", "done", "refused"]);

    // The name is free: the same plugin begins anew, with its own settings.
    operator.allow("chameleon", json!({ "grants": ["store"] })).await;
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    assert_eq!(host.visitor().colour().await, "green");
    is_empty(&host.visitor()).await;
    fill(&host).await;
    assert_eq!(operator.delete("/plugins/chameleon").await.status, 204);
    assert_eq!(purge(&host).await.status, 204);
    host.stop().await;
    host.start_again().await;
    assert_eq!(host.operator().get("/plugins/chameleon").await.status, 404);
    assert_eq!(host.visitor().get("/chameleon").await.status, 404);
}

#[tokio::test]
async fn a_failed_first_activation_blocks_nobody_after_a_purge() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    let broken =
        PluginFile::read(&guest("chameleon")).migration("0002_more", "CREATE TABLE applied (id TEXT PRIMARY KEY)");
    let broken = operator.stage(broken.bytes()).await;
    assert_eq!(operator.activate("chameleon", &broken).await.status, 422);
    // Its first migration was applied, so another text of it is refused.
    let mut other = PluginFile::read(&guest("chameleon")).version("1.1.0");
    other.migrations = vec![("0001_tables".to_owned(), "CREATE TABLE other (id TEXT PRIMARY KEY)".to_owned())];
    let other = other.bytes();
    let staged = operator.stage(other.clone()).await;
    let refused = operator.activate("chameleon", &staged).await;
    assert!((400..500).contains(&refused.status), "{refused:?}");
    assert_eq!(purge(&host).await.status, 204);
    operator.allow("chameleon", json!({ "grants": ["store"] })).await;
    operator.deploy("chameleon", other).await;
    assert_eq!(host.visitor().colour().await, "green");
}

#[tokio::test]
async fn a_reset_plugin_serves_with_an_empty_database() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    assert_eq!(operator.put("/plugins/chameleon/config", json!({ "colour": "red" })).await.status, 200);
    let revision = operator.plugin("chameleon").await["revision"].clone();
    for round in 0..3 {
        fill(&host).await;
        let report = reset(&host).await;
        assert_eq!(report.status, 200, "round {round}: {report:?}");
        assert_eq!(report.json()["new"], revision, "round {round}");
        assert_eq!(report.json()["migrations"], json!(["0001_tables"]), "round {round}");
        assert_eq!(host.visitor().colour().await, "red");
        is_empty(&host.visitor()).await;
    }
    fill(&host).await;
    assert_eq!(operator.delete("/plugins/chameleon").await.status, 204);
    assert_eq!(reset(&host).await.status, 404, "nothing of it serves");
}

#[tokio::test]
async fn only_an_administrator_of_all_plugins_purges_and_only_uploads_are_purged() {
    let host = chameleon_host(Setup::new()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    fill(&host).await;
    let tokens = [
        (json!({ "name": "ci", "role": "deploy" }), 403, 403),
        (json!({ "name": "own-ci", "role": "deploy", "plugins": ["chameleon"] }), 403, 403),
        (json!({ "name": "own-admin", "role": "admin", "plugins": ["chameleon"] }), 403, 200),
        (json!({ "name": "other-admin", "role": "admin", "plugins": ["other"] }), 403, 403),
    ];
    for (token, purged, reset) in tokens {
        let name = token["name"].clone();
        let caller = host.bearer(&operator.make_token(token).await.text);
        assert_eq!(caller.post("/plugins/chameleon/purge", json!({})).await.status, purged, "{name}");
        assert_eq!(caller.post("/plugins/chameleon/reset", json!({})).await.status, reset, "{name}");
    }
    let message = "tickets comes with the host's program or settings; only an uploaded plugin can be purged";
    assert_eq!(operator.delete("/plugins/tickets").await.status, 204);
    operator.post("/plugins/tickets/purge", json!({})).await.refuses(409, message);
    for name in ["nothing", "..", "UPPER", "host", "a b"] {
        let path = format!("/plugins/{}/purge", name.replace(' ', "%20"));
        assert_eq!(operator.post(&path, json!({})).await.status, 404, "{name}");
    }
}
