//! The figures of plugins on the pages, and the alerts of the overview.

use super::Browser;
use crate::{
    hostile::hostile,
    support::{Setup, eventually},
};
use serde_json::json;

#[tokio::test]
async fn the_overview_shows_how_each_plugin_does_and_leads_to_its_failures() {
    let host = hostile().start().await;
    let (admin, visitor) = (Browser::admin(&host).await, host.visitor());
    let quiet = admin.page("/console").await;
    assert!(!quiet.contains("Needs attention") && quiet.contains("0 calls in 15 minutes"), "{quiet}");
    for _ in 0..5 {
        visitor.says_hello().await;
    }
    visitor.get("/hostile/trap").await;
    let page = admin.page("/console").await;
    for shown in [
        "<title>5 calls in 15 minutes, at most ",
        "/console/plugins/hostile#failures",
        ">trap</a>",
        ">100.0 %<",
        "MiB<",
        ": 100.0 % of its calls of the last minute were errors.",
        "/console/runbook#errorrate",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let runbook = admin.page("/console/runbook").await;
    assert!(runbook.contains("<h3 id=\"errorrate\">ErrorRate</h3>"), "{runbook}");
}

#[tokio::test]
async fn the_page_of_a_plugin_shows_its_history_and_its_last_failures() {
    let host = hostile().start().await;
    let (admin, visitor) = (Browser::admin(&host).await, host.visitor());
    let quiet = admin.page("/console/plugins/hostile").await;
    assert!(quiet.contains("No call has failed") && quiet.contains("No call ended in 15 minutes"), "{quiet}");
    visitor.with_header("x-request-id", "the-request-of-this-test").get("/hostile/trap").await;
    let page = admin.page("/console/plugins/hostile").await;
    for shown in [
        "<h2 id=\"failures\">Last failures</h2>",
        "<strong>GET /hostile/{attack}</strong>",
        "hostile trapped: ",
        "the-request-of-this-test",
        "1 calls in 15 minutes, 1 of them errors",
        "99 of 100 calls took at most ",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}

#[tokio::test]
async fn dead_letters_and_a_quarantine_are_alerts_with_a_chapter_of_the_runbook() {
    let host = hostile().toml("[rollout]\nquarantine_traps = 3").start().await;
    let (admin, visitor) = (Browser::admin(&host).await, host.visitor());
    let event = json!({ "id": "one", "mood": "reject", "subject": "hostile.event" });
    assert_eq!(visitor.post("/hostile/publish", event).await.status, 201);
    eventually("a dead letter", async || host.dead_letters().await.len(), |count| *count == 1).await;
    assert!(admin.page("/console").await.contains("/console/runbook#deadletters"));
    let overview = async || {
        visitor.get("/hostile/trap").await;
        admin.page("/console").await
    };
    eventually("an alert", overview, |page| page.contains("/console/runbook#componentquarantined")).await;
}

#[tokio::test]
async fn a_quota_that_is_nearly_used_is_an_alert_of_the_overview() {
    let host = Setup::new().start().await;
    let (admin, operator) = (Browser::admin(&host).await, host.operator());
    let mut policy = operator.get("/plugins/expiration/policy").await.json()["policy"].clone();
    policy["quotas"] = json!({ "timers": 1 });
    assert_eq!(operator.set_policy("expiration", policy).await.status, 200);
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("A seat", 10.0).await;
    assert!(!admin.page("/console").await.contains("Needs attention"));
    buyer.reserve(&ticket.id).await;
    let page = async || admin.page("/console").await;
    let page = eventually("the alert", page, |page| page.contains("1 of 1 timers")).await;
    assert!(page.contains("/console/runbook#quotanearlyused"), "{page}");
    let nearly = &operator.plugin("expiration").await["nearly_used"];
    assert_eq!(nearly, &json!([{ "budget": "timers", "used": 1, "limit": 1 }]));
}
