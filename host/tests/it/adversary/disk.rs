//! Plugins that fill the disk.

use crate::support::{Host, PluginFile, Setup, chameleon, eventually, guest};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// More than any disk has, in MiB. So the disk is always almost full.
const FULL: &str = "queue_wait_ms = 20000\ndisk_reserve_mib = 1000000000\n";

/// A host with the hostile guest as an upload, and with these quotas.
async fn with_quotas(quotas: &str) -> Host {
    let host = Setup::without_components().toml(&format!("[quotas]\n{quotas}")).start().await;
    let operator = host.operator();
    operator.allow("hostile", json!({ "grants": ["store"] })).await;
    operator.deploy("hostile", std::fs::read(guest("hostile")).unwrap()).await;
    operator.deploy("hello", std::fs::read(guest("hello")).unwrap()).await;
    host
}

/// The kind and text of the store's error.
fn error(answer: &Value) -> (String, String) {
    let text = |key: &str| answer["error"][key].as_str().unwrap_or_default().to_owned();
    (text("kind"), text("text"))
}

async fn metric(host: &Host, start: &str) -> f64 {
    let text = host.outsider().get("/metrics").await.text;
    let line = text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start} is not in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

async fn statement(host: &Host, call: &str, statement: &str) -> Value {
    let reply = host.visitor().post("/hostile/sql", json!({ "call": call, "statement": statement })).await;
    assert_eq!(reply.status, 200, "{statement}: {reply:?}");
    reply.json()
}

#[tokio::test]
async fn a_database_over_its_quota_fails_alone_and_can_be_emptied() {
    let host = with_quotas("database_mib = 2").await;
    statement(&host, "transaction", "INSERT INTO treasure (id, note) VALUES ('first', 'x')").await;
    let mut refused = (String::new(), String::new());
    for number in 0..100 {
        let sql = format!("INSERT INTO treasure (id, note) VALUES ('large {number}', $1)");
        let body = json!({ "call": "transaction", "statement": sql, "bytes": 60_000 });
        refused = error(&host.visitor().post("/hostile/sql", body).await.json());
        if !refused.0.is_empty() {
            assert!(number > 20, "{number}: {refused:?}");
            break;
        }
    }
    assert_eq!(refused.0, "limit", "{refused:?}");
    assert!(refused.1.contains("2 MiB for its database"), "{refused:?}");
    host.visitor().says_hello().await;
    eventually("a warning", async || host.log().contains("has used most of its quota"), |warned| *warned).await;
    assert!(metric(&host, "plugin_database_bytes{component=\"hostile\"}").await > 1_500_000.0);
    assert_eq!(metric(&host, "plugin_database_limit_bytes{component=\"hostile\"}").await, f64::from(2 << 20));

    let deleted = statement(&host, "transaction", "DELETE FROM treasure WHERE id LIKE 'large%'").await;
    assert_eq!(error(&deleted).0, "", "{deleted}");
    let again = statement(&host, "transaction", "INSERT INTO treasure (id, note) VALUES ('again', 'x')").await;
    assert_eq!(error(&again).0, "", "{again}");
}

#[tokio::test]
async fn only_the_newest_uploads_of_a_plugin_are_kept() {
    let host = with_quotas("staged_revisions = 3").await;
    let operator = host.operator();
    operator.allow("chameleon", json!({ "grants": ["store"] })).await;
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    for number in 1..=8 {
        operator.stage(chameleon(&format!("2.{number}.0"), "red", "good")).await;
    }
    let revisions = operator.get("/plugins/chameleon/revisions").await.json();
    let versions: Vec<&str> =
        revisions.as_array().unwrap().iter().map(|revision| revision["version"].as_str().unwrap()).collect();
    assert_eq!(versions, ["2.8.0", "2.7.0", "2.6.0", "1.0.0"]);
    assert_eq!(host.visitor().colour().await, "green");
}

#[tokio::test]
async fn on_a_full_disk_operators_can_stop_plugins_and_users_can_sign_out() {
    let mut host = hostile_and_market().start().await;
    let operator = host.operator();
    operator.deploy("other", other()).await;
    let token = operator.make_token(json!({ "name": "ci", "role": "deploy" })).await;
    let user = host.user("full").await;
    host.stop().await;
    host.setup = host.setup.clone().store(FULL);
    host.start_again().await;
    let (operator, user) = (host.operator(), host.again(&user));

    let ready = host.outsider().get("/readyz").await;
    assert!(ready.status == 200 && ready.text.contains("almost full"), "{ready:?}");
    assert!(metric(&host, "host_disk_free_bytes").await < metric(&host, "host_disk_reserve_bytes").await);
    let refused = statement(&host, "transaction", "INSERT INTO treasure (id, note) VALUES ('seven', 'x')").await;
    assert_eq!(error(&refused).0, "limit", "{refused}");
    let read = statement(&host, "query", "SELECT id FROM treasure").await;
    assert_eq!(error(&read).0, "", "{read}");
    assert_eq!(operator.upload(chameleon("1.0.0", "green", "good")).await.status, 507);

    let begun = Instant::now();
    let signed_out = user.post("/api/users/signout", json!({})).await;
    assert_eq!(signed_out.status, 200, "{signed_out:?}");
    assert_eq!(operator.post("/plugins/hostile/pause", json!({})).await.status, 200);
    assert_eq!(operator.post("/plugins/hostile/resume", json!({})).await.status, 200);
    assert_eq!(operator.delete("/plugins/hostile").await.status, 204);
    assert_eq!(operator.delete("/plugins/other").await.status, 204);
    assert_eq!(operator.delete(&format!("/tokens/{}", token.id)).await.status, 204);
    assert_eq!(operator.get("/plugins").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(user.current_user().await, Value::Null);
    host.visitor().says_hello().await;

    host.stop().await;
    host.setup = host.setup.clone().store("queue_wait_ms = 20000\ndisk_reserve_mib = 0\n");
    host.start_again().await;
    host.user("with-space").await;
}

fn hostile_and_market() -> Setup {
    let path = guest("hello");
    let hostile = guest("hostile");
    Setup::new().toml(&format!("[[plugin]]\npath = {path:?}\n[[plugin]]\npath = {hostile:?}\ngrants = [\"store\"]"))
}

fn other() -> Vec<u8> {
    PluginFile::read(&guest("hello"))
        .with("name = \"hello\"", "name = \"other\"")
        .with("/hello", "/other")
        .with("/hello", "/other")
        .bytes()
}
