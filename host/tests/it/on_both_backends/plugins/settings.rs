//! An operator's settings, limits, grants and pauses for a running plugin.

use super::all_applied;
use crate::support::{Setup, chameleon, chameleon_host, guest};
use serde_json::json;

#[tokio::test]
async fn settings_change_by_a_swap_and_return_with_a_rollback() {
    let host = chameleon_host(Setup::without_components()).await;
    let (operator, visitor) = (host.operator(), host.visitor());
    let first = operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let set = operator.put("/plugins/chameleon/config", json!({ "colour": "blue" })).await;
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(set.json()["old"], first["new"]);
    assert_ne!(set.json()["new"], first["new"], "settings are part of a revision's identity");
    assert_eq!(visitor.colour().await, "blue");
    assert_eq!(operator.plugin("chameleon").await["config"]["colour"], "blue");

    let unknown = operator.put("/plugins/chameleon/config", json!({ "color": "blue" })).await;
    assert_eq!(unknown.status, 422, "{unknown:?}");
    assert!(unknown.errors()[0].0.contains("declares no setting color; it knows colour, mood"), "{unknown:?}");
    let same = operator.put("/plugins/chameleon/config", json!({ "colour": "blue" })).await;
    assert_eq!(same.status, 409, "{same:?}");

    operator.deploy("chameleon", chameleon("2.0.0", "red", "good")).await;
    assert_eq!(visitor.colour().await, "blue", "a setting outlives the revision for which it was made");
    operator.post("/plugins/chameleon/rollback", json!({})).await;
    operator.put("/plugins/chameleon/config", json!({})).await;
    assert_eq!(visitor.colour().await, "green");
    operator.post("/plugins/chameleon/rollback", json!({})).await;
    assert_eq!(visitor.colour().await, "blue");
}

#[tokio::test]
async fn each_value_is_listed_with_its_source() {
    let file =
        "[plugins.tickets.limits]\nqueue = 7\nconcurrency = 9\n[plugins.orders.config]\norder-expiration-seconds = 77";
    let host = Setup::new().default_expiration().toml(file).flag("--bundled=tickets,orders").start().await;
    let operator = host.operator();
    let source = async |plugin: &str, table: &str, key: &str| operator.plugin(plugin).await[table][key].clone();
    let expiration = "order-expiration-seconds";
    assert_eq!(source("orders", "config_sources", expiration).await, "file");
    let limits = operator.plugin("tickets").await["limits_in_force"].clone();
    assert_eq!(limits["queue"], json!({ "value": 7, "source": "file" }), "{limits}");
    assert_eq!(limits["wall_time_ms"]["source"], "manifest", "{limits}");

    operator.put("/plugins/orders/config", json!({ expiration: 99 })).await;
    operator.put("/plugins/tickets/limits", json!({ "queue": 5 })).await;
    assert_eq!(source("orders", "config", expiration).await, "99");
    assert_eq!(source("orders", "config_sources", expiration).await, "operator");
    let limits = operator.plugin("tickets").await["limits_in_force"].clone();
    assert_eq!(limits["queue"], json!({ "value": 5, "source": "operator" }), "{limits}");
    assert_eq!(limits["concurrency"], json!({ "value": 9, "source": "file" }), "{limits}");

    operator.put("/plugins/orders/config", json!({})).await;
    assert_eq!(source("orders", "config", expiration).await, "77");
    assert_eq!(source("orders", "config_sources", expiration).await, "file");
}

#[tokio::test]
async fn a_policy_before_an_upload_is_listed_and_can_be_taken_back() {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    assert_eq!(operator.get("/plugins/chameleon/policy").await.status, 404);
    operator.allow("chameleon", json!({ "grants": ["store", "http"], "http_hosts": ["api.example.com:443"] })).await;
    let listed = operator.get("/plugins/chameleon/policy").await.json();
    assert_eq!(listed["policy"]["http_hosts"], json!(["api.example.com:443"]), "{listed}");
    assert_eq!(operator.delete("/plugins/chameleon").await.status, 204);
    assert_eq!(operator.get("/plugins/chameleon/policy").await.status, 404, "the policy is gone");
    let refused = operator.upload(chameleon("1.0.0", "green", "good")).await;
    assert_eq!(refused.status, 422, "{refused:?}");

    operator.allow("chameleon", json!({ "grants": ["store"] })).await;
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    assert_eq!(operator.delete("/plugins/chameleon").await.status, 204);
    let kept = operator.get("/plugins/chameleon/policy").await.json();
    assert_eq!(kept["policy"]["grants"], json!(["store"]), "its revisions stay and can be activated again");
}

#[tokio::test]
async fn limits_hold_from_the_swap_on() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "slow")).await;
    assert_eq!(host.visitor().get("/chameleon").await.status, 200);
    let set = operator.put("/plugins/chameleon/limits", json!({ "wall_time_ms": 20 })).await;
    assert_eq!(set.status, 200, "{set:?}");
    host.visitor().get("/chameleon").await.refuses(504, "This took too long");
    for (limits, problem) in
        [(json!({ "memory_mib": 100_000 }), "limits.memory_mib"), (json!({ "memory": 1 }), "unknown field")]
    {
        let reply = operator.put("/plugins/chameleon/limits", limits).await;
        assert!([400, 422].contains(&reply.status), "{reply:?}");
        assert!(reply.text.contains(problem), "{reply:?}");
    }
    assert_eq!(operator.plugin("chameleon").await["limits"]["wall_time_ms"], 20);
}

#[tokio::test]
async fn a_missing_grant_is_refused_with_the_command_that_gives_it() {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    let refused = operator.upload(chameleon("1.0.0", "green", "good")).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let message = &refused.errors()[0].0;
    assert!(message.contains("it needs the grant store"), "{message}");
    assert!(message.ends_with("ticketing plugin policy chameleon --grant store"), "{message}");
    operator.allow("chameleon", json!({ "grants": ["store"] })).await;
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let unknown = operator.set_policy("chameleon", json!({ "grants": ["everything"] })).await;
    assert_eq!(unknown.status, 400, "{unknown:?}");
    assert_eq!(host.visitor().colour().await, "green");
}

#[tokio::test]
async fn a_paused_plugin_refuses_requests_and_keeps_events_and_timers() {
    let mut host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let hello = std::fs::read(guest("hello")).unwrap();
    operator.deploy("hello", hello).await;
    let visitor = host.visitor();
    visitor.cause("one").await;
    all_applied(&visitor, &["one".to_owned()]).await;
    assert_eq!(operator.post("/plugins/chameleon/pause", json!({})).await.json()["status"], "paused");
    visitor.get("/chameleon").await.refuses(503, "Not available, try again");
    assert_eq!(visitor.get("/hello").await.status, 200, "other plugins go on");
    host.stop().await;
    let told = |line: &str| line.contains("status=503") && line.contains("component=\"chameleon\"");
    assert!(host.log().lines().any(told), "the log says whose request was refused: {}", host.log());
    host.start_again().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    assert_eq!(visitor.get("/chameleon").await.status, 503, "the pause survives a restart");
    assert_eq!(operator.post("/plugins/chameleon/resume", json!({})).await.json()["status"], "active");
    visitor.cause("two").await;
    all_applied(&visitor, &["one".to_owned(), "two".to_owned()]).await;
}

#[tokio::test]
async fn a_removed_plugin_is_gone_and_can_come_back() {
    let mut host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    let first = operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    host.visitor().cause("one").await;
    all_applied(&host.visitor(), &["one".to_owned()]).await;
    assert_eq!(operator.delete("/plugins/chameleon").await.status, 204);
    host.visitor().get("/chameleon").await.refuses(404, "Not Found");
    assert_eq!(operator.delete("/plugins/chameleon").await.status, 404);
    host.stop().await;
    host.start_again().await;
    host.visitor().get("/chameleon").await.refuses(404, "Not Found");
    let back = host.operator().activate("chameleon", first["new"].as_str().unwrap()).await;
    assert_eq!(back.status, 200, "{back:?}");
    all_applied(&host.visitor(), &["one".to_owned()]).await;
    host.visitor().cause("two").await;
    all_applied(&host.visitor(), &["one".to_owned(), "two".to_owned()]).await;
}
