//! The sign-in, and the parts of the console that each role sees.

use super::Browser;
use crate::support::{ADMIN_TOKEN, Reply, Setup, chameleon, chameleon_host};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn an_operator_signs_in_with_a_token_and_out_again() {
    let host = Setup::without_components().start().await;
    let stranger = Browser::stranger(&host);
    for (path, sign_in) in
        [("/console", "/console/sign-in"), ("/console/audit", "/console/sign-in?to=%2Fconsole%2Faudit")]
    {
        let reply = stranger.get(path).await;
        assert_eq!((reply.status, reply.header("location")), (303, Some(sign_in)));
    }
    assert!(stranger.page("/console/sign-in").await.contains("name=\"token\""));
    for wrong in ["", "wrong", "tk_0_0", "two words", "\u{0}", "ä"] {
        let reply = stranger.post("/console/sign-in", &[("token", wrong)]).await;
        assert_eq!((reply.status, reply.header("set-cookie")), (401, None), "{wrong:?}");
        assert!(reply.text.contains("This token is not valid"), "{reply:?}");
    }
    let reply = stranger.post("/console/sign-in", &[("token", ADMIN_TOKEN), ("to", "/console/audit")]).await;
    assert_eq!(reply.header("location"), Some("/console/audit"));
    let cookie = reply.header("set-cookie").unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/console", "Max-Age=43200"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let away = stranger.post("/console/sign-in", &[("token", ADMIN_TOKEN), ("to", "//evil.example/")]).await;
    assert_eq!(away.header("location"), Some("/console"));

    let admin = Browser::admin(&host).await;
    assert!(admin.page("/console").await.contains("No plugin runs yet"));
    let out = admin.post("/console/sign-out", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/console/sign-in")));
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_its_session() {
    let host = Setup::without_components().start().await;
    let token = host.operator().make_token(json!({ "name": "ci", "role": "deploy" })).await;
    let browser = Browser::signed_in(&host, &token.text).await;
    assert!(browser.page("/console").await.contains("ci"));
    assert_eq!(host.operator().delete(&format!("/tokens/{}", token.id)).await.status, 204);
    assert_eq!(browser.get("/console").await.status, 303);
    assert_eq!(browser.post("/console/plugins/x/do/pause", &[]).await.status, 303);
}

#[tokio::test]
async fn the_cookie_opens_the_console_alone_and_programs_see_no_console() {
    let host = Setup::without_components().start().await;
    let admin = Browser::admin(&host).await;
    assert_eq!(admin.get("/plugins").await.status, 401, "the API takes no cookie");
    let root = admin.get("/").await;
    assert_eq!((root.status, root.header("location")), (303, Some("/console")));
    host.operator().get("/").await.refuses(404, "Not Found");
    assert_eq!(host.visitor().get("/console").await.status, 404, "the public listener has no console");
}

#[tokio::test]
async fn no_other_site_changes_anything_through_a_browser() {
    let host = chameleon_host(Setup::without_components()).await;
    host.operator().deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let admin = Browser::admin(&host).await;
    let change = async |name: &'static str, value: &str| {
        let request = admin.request(Method::POST, "/console/plugins/chameleon/do/remove").header(name, value);
        Reply::of(request).await.unwrap().status
    };
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost"] {
        assert_eq!(change("origin", origin).await, 403, "{origin}");
    }
    for site in ["cross-site", "same-site", "none"] {
        assert_eq!(change("sec-fetch-site", site).await, 403, "{site}");
    }
    assert_eq!(change("x-nothing", "1").await, 403, "without an origin");
    assert_eq!(host.visitor().colour().await, "green");
    assert_eq!(change("origin", &admin.base).await, 200, "the page of the console itself");
    assert_eq!(host.visitor().get("/chameleon").await.status, 404);
}

#[tokio::test]
async fn a_role_that_may_not_is_offered_nothing_and_refused_and_recorded() {
    let host = chameleon_host(Setup::without_components()).await;
    host.operator().deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let token = host.operator().make_token(json!({ "name": "viewer", "role": "view" })).await;
    let viewer = Browser::signed_in(&host, &token.text).await;
    let page = viewer.page("/console/plugins/chameleon").await;
    assert!(page.contains("1.0.0+") && !page.contains("/do/"), "{page}");
    for (path, action) in [
        ("/console/plugins/chameleon/do/remove", "remove"),
        ("/console/plugins/chameleon/do/pause", "pause"),
        ("/console/plugins/chameleon/settings", "config"),
        ("/console/plugins/chameleon/policy", "policy"),
        ("/console/plugins/chameleon/revisions/x/discard", "discard revision"),
    ] {
        let reply = viewer.post(path, &[]).await;
        assert_eq!(reply.status, 403, "{path}: {reply:?}");
        assert!(reply.text.contains("This needs the role"), "{reply:?}");
        let newest = &host.operator().get("/audit?limit=1").await.json()[0];
        let recorded = (newest["actor"].as_str(), newest["action"].as_str(), newest["outcome"].as_str());
        assert_eq!(recorded, (Some("viewer"), Some(action), Some("refused")));
    }
    assert_eq!(viewer.get("/console/tokens").await.status, 403);
    assert_eq!(host.visitor().colour().await, "green");

    let token = host.operator().make_token(json!({ "name": "other", "role": "deploy", "plugins": ["orders"] })).await;
    let bound = Browser::signed_in(&host, &token.text).await;
    assert!(!bound.page("/console").await.contains("chameleon"), "a bound token sees its plugins alone");
    assert_eq!(bound.get("/console/plugins/chameleon").await.status, 403);
}
