//! Canary trials, automatic rollbacks and quarantine.

use super::all_applied;
use crate::support::{Client, Host, Setup, chameleon, chameleon_host, eventually};
use serde_json::{Value, json};

/// A host on which the green revision serves and another revision is staged.
async fn with_staged(setup: Setup, colour: &str, mood: &str) -> (Host, Client, String) {
    let host = chameleon_host(setup).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let revision = operator.stage(chameleon("2.0.0", colour, mood)).await;
    (host, operator, revision)
}

async fn try_out(operator: &Client, revision: &str, percent: u8) -> Value {
    let body = json!({ "revision": revision, "canary_percent": percent });
    let reply = operator.post("/plugins/chameleon/activate", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// Sends requests until the plugin is as wanted. Error answers are expected.
async fn becomes(host: &Host, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let look = async || {
        host.visitor().attempt(http::Method::GET, "/chameleon", None).await;
        host.operator().plugin("chameleon").await
    };
    eventually(what, look, wanted).await
}

#[tokio::test]
async fn a_canary_gets_its_share_and_the_requests_that_name_it() {
    let (host, operator, red) = with_staged(Setup::without_components(), "red", "good").await;
    let report = try_out(&operator, &red, 30).await;
    assert_eq!((&report["new"], &report["canary_percent"]), (&json!(red), &json!(30)));
    let plugin = operator.plugin("chameleon").await;
    assert_eq!((&plugin["status"], &plugin["canary"]["revision"]), (&json!("canary"), &json!(red)));

    let visitor = host.visitor();
    let mut reds = 0;
    for _ in 0..400 {
        reds += usize::from(visitor.colour().await == "red");
    }
    // 30 % of 400 is 120, with a standard deviation of 9.2.
    assert!((65..=175).contains(&reds), "{reds} of 400");
    assert_eq!(visitor.with_header("x-plugin-canary", "chameleon").colour().await, "red");
    assert_eq!(visitor.with_header("x-plugin-canary", "none").colour().await, "green");

    let ids: Vec<String> = (0..60).map(|id| format!("{id:03}")).collect();
    for id in &ids {
        visitor.cause(id).await;
    }
    let applied = all_applied(&visitor, &ids).await;
    for colour in ["red", "green"] {
        assert!(applied.iter().any(|one| one["colour"] == colour), "the canary gets events and timers, too");
    }

    let promoted = operator.post("/plugins/chameleon/promote", json!({})).await;
    assert_eq!((promoted.status, &promoted.json()["new"]), (200, &json!(red)));
    assert_eq!(visitor.colour().await, "red");
    assert_eq!(operator.plugin("chameleon").await["status"], "active");
    assert_eq!(operator.post("/plugins/chameleon/promote", json!({})).await.status, 409);
}

#[tokio::test]
async fn a_rollback_ends_a_trial() {
    let (host, operator, red) = with_staged(Setup::without_components(), "red", "good").await;
    try_out(&operator, &red, 50).await;
    assert_eq!(operator.post("/plugins/chameleon/rollback", json!({})).await.status, 200);
    for _ in 0..30 {
        assert_eq!(host.visitor().colour().await, "green");
    }
    for percent in [0, 100, 255] {
        let body = json!({ "revision": red, "canary_percent": percent });
        let reply = operator.post("/plugins/chameleon/activate", body).await;
        assert_eq!((reply.status, reply.errors()[0].1.as_deref()), (422, Some("canary_percent")));
    }
    for after in [
        json!({ "revision": red, "promote_after_seconds": 5 }),
        json!({ "revision": red, "canary_percent": 5, "promote_after_seconds": 0 }),
    ] {
        let reply = operator.post("/plugins/chameleon/activate", after).await;
        assert_eq!((reply.status, reply.errors()[0].1.as_deref()), (422, Some("promote_after_seconds")));
    }
}

#[tokio::test]
async fn a_canary_that_answers_with_errors_is_rolled_back_by_itself() {
    let (host, operator, bad) = with_staged(Setup::without_components(), "red", "error").await;
    try_out(&operator, &bad, 50).await;
    let plugin = becomes(&host, "the trial ends", |plugin| plugin["status"] == "active").await;
    assert!(plugin["revision"].as_str().unwrap().starts_with("1.0.0"), "{plugin}");
    let audit = operator.get("/audit").await.json();
    assert!(
        audit.as_array().unwrap().iter().any(|row| row["action"] == "roll back" && row["actor"] == "host"),
        "{audit}"
    );
}

/// Starts a trial that promotes the revision after a good second.
async fn try_for_a_second(operator: &Client, revision: &str) -> u64 {
    let body = json!({ "revision": revision, "canary_percent": 50, "promote_after_seconds": 1 });
    let reply = operator.post("/plugins/chameleon/activate", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let plugin = operator.plugin("chameleon").await;
    assert_eq!(plugin["canary"]["revision"], revision, "{plugin}");
    plugin["canary"]["promote_at_ms"].as_u64().unwrap()
}

fn now_ms() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64
}

#[tokio::test]
async fn a_good_canary_is_promoted_by_itself_after_its_time() {
    let (host, operator, red) = with_staged(Setup::without_components(), "red", "good").await;
    let promote_at_ms = try_for_a_second(&operator, &red).await;
    let plugin = becomes(&host, "the revision is promoted", |plugin| plugin["status"] == "active").await;
    assert!(now_ms() >= promote_at_ms, "the promotion is too early");
    assert_eq!((plugin["revision"].as_str(), &plugin["canary"]), (Some(red.as_str()), &json!(null)));
    assert_eq!(host.visitor().colour().await, "red");
    let audit = operator.get("/audit").await.json();
    let promoted = audit.as_array().unwrap().iter().find(|row| row["action"] == "promote").unwrap();
    assert_eq!((&promoted["actor"], &promoted["revision"]), (&json!("host"), &json!(red)), "{audit}");
    let rolled_back = operator.post("/plugins/chameleon/rollback", json!({})).await;
    assert_eq!(rolled_back.status, 200, "a rollback is possible: {rolled_back:?}");
    assert_eq!(host.visitor().colour().await, "green");
}

#[tokio::test]
async fn a_canary_with_too_few_calls_stays_on_trial_however_long_that_takes() {
    let (host, operator, red) =
        with_staged(Setup::without_components().toml("[rollout]\nmin_calls = 60"), "red", "good").await;
    let promote_at_ms = try_for_a_second(&operator, &red).await;
    let wanted = host.visitor().with_header("x-plugin-canary", "chameleon");
    for _ in 0..59 {
        assert_eq!(wanted.colour().await, "red");
    }
    // The host has checked the trial several times by then.
    eventually("the time of the trial has passed", async || now_ms(), |now| *now > promote_at_ms + 1_000).await;
    let plugin = operator.plugin("chameleon").await;
    assert_eq!((&plugin["status"], &plugin["canary"]["calls"]), (&json!("canary"), &json!(59)), "{plugin}");
    assert_eq!(wanted.colour().await, "red");
    let status = async || operator.plugin("chameleon").await["status"].clone();
    eventually("one more call is enough", status, |status| *status == "active").await;
    assert_eq!(host.visitor().colour().await, "red");
}

#[tokio::test]
async fn a_worse_canary_is_rolled_back_instead_of_promoted() {
    let (host, operator, bad) = with_staged(Setup::without_components(), "red", "error").await;
    try_for_a_second(&operator, &bad).await;
    becomes(&host, "the trial ends", |plugin| plugin["status"] == "active").await;
    assert_eq!(host.visitor().colour().await, "green");
}

#[tokio::test]
async fn a_trial_goes_on_after_a_restart_and_ends_by_itself() {
    let (mut host, operator, red) = with_staged(Setup::without_components(), "red", "good").await;
    let promote_at_ms = try_for_a_second(&operator, &red).await;
    host.kill().await;
    host.start_again().await;
    let plugin = host.operator().plugin("chameleon").await;
    assert_eq!(plugin["canary"]["promote_at_ms"], promote_at_ms, "{plugin}");
    becomes(&host, "the revision is promoted", |plugin| plugin["status"] == "active").await;
    assert_eq!(host.visitor().colour().await, "red");
    host.kill().await;
    host.start_again().await;
    assert_eq!(host.visitor().colour().await, "red", "the decision survives a restart");
}

#[tokio::test]
async fn a_canary_that_is_slow_is_rolled_back_by_itself() {
    let (host, operator, slow) = with_staged(Setup::without_components(), "red", "slow").await;
    try_out(&operator, &slow, 50).await;
    becomes(&host, "the trial ends", |plugin| plugin["status"] == "active").await;
    assert_eq!(host.visitor().colour().await, "green");
}

#[tokio::test]
async fn a_new_revision_that_answers_with_errors_gives_way_to_the_one_before() {
    let (host, operator, bad) = with_staged(Setup::without_components(), "red", "error").await;
    assert_eq!(operator.activate("chameleon", &bad).await.status, 200);
    becomes(&host, "the old one is back", |plugin| plugin["revision"].as_str().unwrap().starts_with("1.0.0")).await;
    assert_eq!(host.visitor().colour().await, "green");
}

#[tokio::test]
async fn a_component_that_traps_too_often_is_quarantined_and_can_be_restored() {
    // With the default rules, the errors would roll the revision back before it is quarantined.
    let setup = Setup::without_components().toml("[rollout]\nmin_calls = 100000\nquarantine_traps = 5");
    let (host, operator, bad) = with_staged(setup.clone(), "red", "trap").await;
    operator.activate("chameleon", &bad).await;
    becomes(&host, "the one before takes over", |plugin| plugin["revision"].as_str().unwrap().starts_with("1.0.0"))
        .await;
    assert_eq!(host.visitor().colour().await, "green");

    let mut host = chameleon_host(
        Setup::without_components().toml("[rollout]\nquarantine_traps = 5\nquarantine_fallback = false"),
    )
    .await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "red", "trap")).await;
    becomes(&host, "the plugin is quarantined", |plugin| plugin["status"] == "quarantined").await;
    let refused = host.visitor().get("/chameleon/applied").await;
    refused.refuses(503, "Not available, try again");
    assert_eq!(refused.header("retry-after"), Some("1"));

    host.stop().await;
    host.start_again().await;
    let operator = host.operator();
    assert_eq!(operator.plugin("chameleon").await["status"], "quarantined", "the quarantine survives a restart");
    assert_eq!(host.visitor().get("/chameleon/applied").await.status, 503);
    let resumed = operator.post("/plugins/chameleon/resume", json!({})).await;
    assert_eq!(resumed.json()["status"], "active");
    assert_eq!(host.visitor().get("/chameleon/applied").await.status, 200);
    let good = operator.stage(chameleon("1.0.1", "green", "good")).await;
    assert_eq!(operator.activate("chameleon", &good).await.status, 200);
    assert_eq!(host.visitor().colour().await, "green");
}
