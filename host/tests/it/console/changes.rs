//! Changes that an operator makes with the forms.

use super::Browser;
use crate::{
    hostile::hostile,
    support::{PluginFile, Setup, chameleon, chameleon_host, component, eventually, guest},
};
use reqwest::multipart::{Form, Part};
use serde_json::json;

/// The form of a browser whose user chose a file and no signature.
fn form(bytes: Vec<u8>) -> Form {
    Form::new()
        .part("component", Part::bytes(bytes).file_name("plugin.wasm"))
        .part("signature", Part::bytes(Vec::new()).file_name(""))
}

#[tokio::test]
async fn an_upload_leads_to_its_verdict_and_to_a_plugin_that_serves() {
    let host = chameleon_host(Setup::without_components()).await;
    let admin = Browser::admin(&host).await;
    let staged = admin.upload(form(chameleon("1.0.0", "green", "good"))).await;
    assert_eq!(staged.status, 303, "{staged:?}");
    let verdict = staged.header("location").unwrap().to_owned();
    let page = admin.page(&verdict).await;
    for shown in ["compatible", "GET /chameleon", "it would be the first revision", "Activate", "Discard"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert_eq!(host.visitor().get("/chameleon").await.status, 404);

    let asked = admin.page(&format!("{verdict}/activate")).await;
    assert!(asked.contains("Activate chameleon?") && asked.contains("begins to serve"), "{asked}");
    let activated = admin.post(&format!("{verdict}/activate"), &[]).await;
    assert_eq!(activated.status, 200, "{activated:?}");
    assert!(activated.text.contains("serves.") && activated.text.contains("Preparation"), "{}", activated.text);
    assert_eq!(host.visitor().colour().await, "green");
    let rows = host.operator().get("/audit?limit=2").await.json();
    assert_eq!((&rows[0]["action"], &rows[0]["actor"]), (&json!("activate"), &json!("operator")));
    let filtered = admin.page("/console/audit?action=upload&plugin=chameleon").await;
    assert!(filtered.contains(">upload<") && !filtered.contains(">activate<"), "{filtered}");
}

#[tokio::test]
async fn a_canary_is_tried_promoted_and_rolled_back() {
    let host = chameleon_host(Setup::without_components()).await;
    let admin = Browser::admin(&host).await;
    host.operator().deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let staged = admin.upload(form(chameleon("2.0.0", "red", "good"))).await;
    let verdict = staged.header("location").unwrap().to_owned();
    let asked = admin.page(&format!("{verdict}/activate?share=20")).await;
    assert!(asked.contains("20 % of the work") && asked.contains("chameleon"), "{asked}");
    let wrong = admin.post(&format!("{verdict}/activate"), &[("share", "999")]).await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    let tried = admin.post(&format!("{verdict}/activate"), &[("share", "20")]).await;
    assert!(tried.status == 200 && tried.text.contains("is on trial with 20 %"), "{tried:?}");
    let page = admin.page("/console/plugins/chameleon").await;
    assert!(page.contains("has 20 % of the work") && page.contains("/do/promote"), "{page}");

    let promoted = admin.post("/console/plugins/chameleon/do/promote", &[]).await;
    assert_eq!(promoted.status, 200, "{promoted:?}");
    assert_eq!(host.visitor().colour().await, "red");
    let asked = admin.page("/console/plugins/chameleon/do/rollback").await;
    assert!(asked.contains("Roll back chameleon?") && asked.contains("1.0.0+"), "{asked}");
    let back = admin.post("/console/plugins/chameleon/do/rollback", &[]).await;
    assert_eq!(back.status, 200, "{back:?}");
    assert_eq!(host.visitor().colour().await, "green");
    let paused = admin.post("/console/plugins/chameleon/do/pause", &[]).await;
    assert!(paused.text.contains("chameleon is paused now"), "{paused:?}");
    assert_eq!(host.visitor().get("/chameleon").await.status, 503);
    assert_eq!(admin.post("/console/plugins/chameleon/do/resume", &[]).await.status, 200);
    assert_eq!(admin.post("/console/plugins/chameleon/do/promote", &[]).await.status, 409, "nothing is on trial");
    assert_eq!(admin.post("/console/plugins/chameleon/do/explode", &[]).await.status, 404);
}

#[tokio::test]
async fn a_refused_file_is_told_with_its_reasons_and_leaves_nothing() {
    let host = Setup::without_components().start().await;
    let admin = Browser::admin(&host).await;
    let beyond = PluginFile::read(&component("tickets")).bytes();
    for (bytes, reason) in [
        (Vec::new(), "The host refused the file"),
        (b"<script>alert(1)</script>".to_vec(), "The host refused the file"),
        (beyond, "ticketing plugin policy"),
    ] {
        let refused = admin.upload(form(bytes)).await;
        assert!(refused.status >= 400 && refused.text.contains(reason), "{refused:?}");
        assert!(!refused.text.contains("<script>alert"), "{refused:?}");
    }
    let without = admin.upload(Form::new().text("signature", "")).await;
    assert!(without.status == 400 && without.text.contains("no part named component"), "{without:?}");
    assert_eq!(host.operator().get("/plugins").await.json(), json!([]));
}

#[tokio::test]
async fn a_staged_revision_is_discarded_and_one_in_use_is_not() {
    let host = chameleon_host(Setup::without_components()).await;
    let (admin, operator) = (Browser::admin(&host).await, host.operator());
    let active = operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await["new"].clone();
    let staged = admin.upload(form(chameleon("2.0.0", "red", "good"))).await;
    let address = staged.header("location").unwrap().to_owned();
    assert!(admin.page(&format!("{address}/discard")).await.contains("Discard"));
    let discarded = admin.post(&format!("{address}/discard"), &[]).await;
    assert_eq!(discarded.status, 303, "{discarded:?}");
    assert_eq!(admin.get(&address).await.status, 404);
    let revisions = operator.get("/plugins/chameleon/revisions").await.json();
    assert_eq!(revisions.as_array().unwrap().len(), 1);
    let path = format!("/plugins/chameleon/revisions/{}", active.as_str().unwrap());
    let in_use = operator.delete(&path).await;
    assert_eq!(in_use.status, 409, "{in_use:?}");
    assert_eq!(operator.get(&format!("{path}/verdict")).await.json()["compatible"], true);
    assert_eq!(host.visitor().colour().await, "green");
}

#[tokio::test]
async fn settings_limits_and_the_policy_are_changed_with_forms() {
    let host = chameleon_host(Setup::without_components()).await;
    let (admin, operator) = (Browser::admin(&host).await, host.operator());
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let page = admin.page("/console/plugins/chameleon/settings").await;
    assert!(page.contains("setting.colour") && page.contains("limit.memory_mib"), "{page}");
    let set =
        admin.post("/console/plugins/chameleon/settings", &[("setting.colour", "blue"), ("setting.mood", "")]).await;
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(host.visitor().colour().await, "blue");
    let limited =
        admin.post("/console/plugins/chameleon/limits", &[("limit.memory_mib", "32"), ("limit.queue", "")]).await;
    assert_eq!(limited.status, 200, "{limited:?}");
    assert_eq!(operator.plugin("chameleon").await["limits"], json!({ "memory_mib": 32 }));
    for wrong in ["-1", "many", "99999999999999999999"] {
        let reply = admin.post("/console/plugins/chameleon/limits", &[("limit.memory_mib", wrong)]).await;
        assert_eq!(reply.status, 400, "{wrong}: {reply:?}");
    }
    let before = operator.get("/plugins/chameleon/policy").await.json();
    let version = before["version"].to_string();
    let fields = [
        ("replaces", version.as_str()),
        ("grant", "store"),
        ("publishes", "order.created\r\norder.paid"),
        ("visitor", "yes"),
    ];
    let changed = admin.post("/console/plugins/chameleon/policy", &fields).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let policy = &operator.get("/plugins/chameleon/policy").await.json()["policy"];
    assert_eq!((&policy["publishes"], &policy["visitor"]), (&json!(["order.created", "order.paid"]), &json!(true)));
    assert_eq!(admin.post("/console/plugins/chameleon/policy", &fields).await.status, 409, "somebody was faster");
}

#[tokio::test]
async fn a_secret_is_set_and_removed_with_a_form_that_does_not_show_it() {
    let host = chameleon_host(Setup::without_components()).await;
    let admin = Browser::admin(&host).await;
    let colour = "[config.colour]\ntype = \"string\"\ndefault = \"green\"";
    let secretive = PluginFile::read(&guest("chameleon")).with(colour, "[config.colour]\ntype = \"secret\"");
    host.operator().deploy("chameleon", secretive.bytes()).await;
    let path = "/console/plugins/chameleon/settings";
    assert!(admin.page(path).await.contains("It has no value."));
    let change = async |field: &str, value: &str| {
        let reply = admin.post(path, &[(field, value)]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(!reply.text.contains("s3cret"), "{reply:?}");
    };
    change("setting.colour", "s3cret").await;
    change("setting.mood", "slow").await;
    assert_eq!(host.visitor().colour().await, "s3cret", "an empty field keeps it");
    let page = admin.page(path).await;
    assert!(page.contains("type=\"password\"") && page.contains("It has a value, from operator."), "{page}");
    assert!(!page.contains("s3cret"), "{page}");
    change("removed.colour", "yes").await;
    assert!(admin.page(path).await.contains("It has no value."));
}

#[tokio::test]
async fn a_token_is_created_shown_once_and_revoked() {
    let host = Setup::without_components().start().await;
    let admin = Browser::admin(&host).await;
    let fields = [("name", "ci"), ("role", "deploy"), ("plugins", "hello\r\nworld"), ("days", "30")];
    let created = admin.post("/console/tokens", &fields).await;
    assert_eq!(created.status, 200, "{created:?}");
    let start = created.text.find("tk_").expect("the page shows the token");
    let token = created.text[start..].split('<').next().unwrap();
    assert_eq!(
        host.bearer(token).get("/caller").await.json(),
        json!({ "name": "ci", "role": "deploy", "plugins": ["hello", "world"] })
    );
    let list = admin.page("/console/tokens").await;
    assert!(list.contains(">ci<") && !list.contains(token), "{list}");
    assert_eq!(admin.post("/console/tokens", &fields).await.status, 409, "the name is taken");
    assert_eq!(admin.post("/console/tokens", &[("name", "x")]).await.status, 400, "without a role");
    let id = token.split('_').nth(1).unwrap();
    assert_eq!(admin.post(&format!("/console/tokens/{id}/revoke"), &[]).await.status, 303);
    assert_eq!(host.bearer(token).get("/caller").await.status, 401);
}

#[tokio::test]
async fn a_dead_letter_is_shown_and_delivered_again_or_discarded() {
    let host = hostile().start().await;
    let (client, admin) = (host.visitor(), Browser::admin(&host).await);
    assert!(admin.page("/console/dead-letters").await.contains("There are no dead letters"));
    for id in ["one", "two", "three"] {
        let body = json!({ "id": id, "mood": "reject", "subject": "hostile.event" });
        assert_eq!(client.post("/hostile/publish", body).await.status, 201);
    }
    let letters =
        eventually("three dead letters", async || host.dead_letters().await, |letters| letters.len() == 3).await;
    let ids: Vec<&str> = letters.iter().map(|letter| letter["id"].as_str().unwrap()).collect();
    let list = admin.page("/console/dead-letters").await;
    assert!(ids.iter().all(|id| list.contains(id)) && list.contains("hostile.event"), "{list}");
    let shown = admin.page(&format!("/console/dead-letters/{}", ids[0])).await;
    assert!(shown.contains("&quot;mood&quot;: &quot;reject&quot;"), "{shown}");
    let token = host.operator().make_token(json!({ "name": "viewer", "role": "view" })).await;
    let viewer = Browser::signed_in(&host, &token.text).await;
    let hidden = viewer.page(&format!("/console/dead-letters/{}", ids[0])).await;
    let answer = host.bearer(&token.text).get(&format!("/dead-letters/{}", ids[0])).await.json();
    assert!(answer["payload"].is_null() && answer["payload_bytes"].as_u64() > Some(10), "{answer}");
    assert!(!hidden.contains("reject&quot;") && hidden.contains("sees no payloads"), "{hidden}");
    assert_eq!(viewer.post("/console/dead-letters/redeliver", &[("id", ids[0])]).await.status, 403);

    for id in ["one", "two", "three"] {
        let reply = client.post("/hostile/moods", json!({ "id": id, "mood": "apply" })).await;
        assert_eq!(reply.status, 204, "{reply:?}");
    }
    assert_eq!(admin.post("/console/dead-letters/redeliver", &[]).await.status, 404, "none is chosen");
    let sent =
        admin.post("/console/dead-letters/redeliver", &[("id", ids[0]), ("id", ids[1]), ("id", "unknown")]).await;
    assert!(sent.status == 200 && sent.text.contains("2 delivered again."), "{sent:?}");
    assert!(sent.text.contains("there is no dead letter unknown"), "{sent:?}");
    eventually("one dead letter is left", async || host.dead_letters().await.len(), |count| *count == 1).await;
    let asked = admin.post("/console/dead-letters/discard", &[("id", ids[2])]).await;
    assert!(asked.text.contains("Discard 1 dead letters?") && host.dead_letters().await.len() == 1, "{asked:?}");
    let discarded = admin.post("/console/dead-letters/discard", &[("id", ids[2]), ("confirmed", "yes")]).await;
    assert!(discarded.text.contains("1 discarded."), "{discarded:?}");
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn every_page_of_a_full_host_is_shown() {
    let host = Setup::new().start().await;
    host.operator().deploy("hello", PluginFile::read(&guest("hello")).bytes()).await;
    let admin = Browser::admin(&host).await;
    for (path, shown) in [
        ("/console", "orders"),
        ("/console/routes", "/api/orders/{id}"),
        ("/console/routes", ">30/h<"),
        ("/console/routes", "answered once"),
        ("/console/cluster", "this host answers you"),
        ("/console/plugins/orders", "order.created"),
        ("/console/plugins/orders/settings", "memory_mib"),
        ("/console/plugins/orders/policy", "Policy of orders"),
        ("/console/plugins/orders/log", "Log of orders"),
        ("/console/plugins/orders/do/remove", "Remove orders?"),
        ("/console/audit", "upload"),
        ("/console/upload", "Plugin file"),
    ] {
        let page = admin.page(path).await;
        assert!(page.contains(shown), "{path}: {page}");
    }
    for path in ["/console/nothing", "/console/plugins/nothing", "/console/dead-letters/nothing"] {
        assert_eq!(admin.get(path).await.status, 404, "{path}");
    }
}
