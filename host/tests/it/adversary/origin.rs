//! Answers that act on the whole origin, or with the session of the visitor.

use super::{attacked, good_setup};
use crate::{
    support::{PluginFile, Setup, guest},
    wasi_http::WasiHttp,
};
use serde_json::{Value, json};

const SANDBOX: &str = "sandbox allow-downloads allow-forms allow-popups allow-scripts";

/// An answer with a harmful header of each kind.
fn harmful() -> Value {
    json!({ "body": "<script>act()</script>", "headers": [
        ["content-type", "text/html"],
        ["set-cookie", "session=stolen; Path=/"],
        ["set-cookie", "=session=stolen"],
        ["set-cookie", "a=b; Path=/hostile"],
        ["set-cookie", "a=b; Domain=example.com"],
        ["set-cookie", "__Host-a=b; Secure; Path=/"],
        ["clear-site-data", "\"*\""],
        ["service-worker-allowed", "/"],
        ["strict-transport-security", "max-age=31536000"],
        ["alt-svc", "h3=\":443\""],
        ["nel", "{}"],
        ["report-to", "{}"],
        ["reporting-endpoints", "a=\"https://evil.example\""],
        ["access-control-allow-credentials", "true"],
        ["x-accel-redirect", "/etc/passwd"],
        ["x-sendfile", "/etc/passwd"],
        ["refresh", "0; url=/"],
        ["link", "</x>; rel=preload"],
        ["x-own", "passes"],
    ] })
}

#[tokio::test]
async fn an_uploaded_plugin_acts_on_its_own_answers_alone() {
    let host = attacked(good_setup()).await;
    let reply = host.visitor().scripted(harmful()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let policies: Vec<_> = reply.headers.get_all("content-security-policy").iter().collect();
    assert_eq!(policies, [SANDBOX]);
    let mut names: Vec<_> = reply.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "content-length",
        "content-security-policy",
        "content-type",
        "date",
        "x-content-type-options",
        "x-own",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    assert_eq!(host.counted("plugin_headers_dropped_total", "hostile").await, 17.0);
    for media_type in ["image/svg+xml", "application/xml", "application/pdf", "text/plain", "", "text/html\t;x"] {
        let headers = json!([["content-type", media_type], ["x-content-type-options", "none"]]);
        let reply = host.visitor().scripted(json!({ "headers": headers, "body": "<svg/>" })).await;
        assert_eq!(reply.header("content-security-policy"), Some(SANDBOX), "{media_type}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{media_type}");
    }
    host.visitor().scripted(harmful()).await;
    let told = host.log().matches("headers of the component's answers are not passed on").count();
    assert_eq!(told, 1, "the log tells it once for each revision");
}

#[tokio::test]
async fn a_plugin_that_owns_the_origin_still_sets_no_session() {
    let host = attacked(good_setup()).await;
    host.operator().allow("hostile", json!({ "grants": ["store"], "same_origin": true })).await;
    let reply = host.visitor().scripted(harmful()).await;
    assert_eq!(reply.header("clear-site-data"), Some("\"*\""), "{reply:?}");
    assert_eq!(reply.header("content-security-policy"), None);
    let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=b; Path=/hostile", "__Host-a=b; Secure; Path=/"]);
}

#[tokio::test]
async fn no_page_of_others_runs_the_scripts_of_an_uploaded_plugin() {
    let host = attacked(good_setup()).await;
    let visitor = host.visitor();
    for (name, value) in [("service-worker", "script"), ("sec-fetch-dest", "serviceworker")] {
        let reply = visitor.with_header(name, value).get("/hostile/slow?ms=1").await;
        reply.refuses(403, "Scripts of this plugin run in its own pages alone");
    }
    let page = visitor.with_header("sec-fetch-dest", "script");
    assert_eq!(page.with_header("sec-fetch-site", "same-origin").get("/hostile/slow?ms=1").await.status, 403);
    assert_eq!(page.with_header("sec-fetch-site", "cross-site").get("/hostile/slow?ms=1").await.status, 204);
    host.operator().allow("hostile", json!({ "grants": ["store"], "same_origin": true })).await;
    assert_eq!(page.with_header("sec-fetch-site", "same-origin").get("/hostile/slow?ms=1").await.status, 204);
}

#[tokio::test]
async fn only_a_plugin_with_the_right_learns_who_the_visitor_is() {
    let host = Setup::new().start().await;
    WasiHttp::rust("streaming").deploy(&host.operator()).await;
    host.operator().allow("hostile", json!({ "grants": ["store"] })).await;
    host.operator().deploy("hostile", PluginFile::read(&guest("hostile")).bytes()).await;
    let user = host.user("visitor").await;
    let seen = user.get("/streaming/headers").await.text;
    assert!(!seen.contains("x-principal") && !seen.contains(&user.email), "{seen}");
    assert_eq!(user.get("/hostile/principal").await.json(), json!({ "id": null }));
    host.operator().allow("streaming", json!({ "visitor": true })).await;
    host.operator().allow("hostile", json!({ "grants": ["store"], "visitor": true })).await;
    let seen = user.get("/streaming/headers").await.text;
    assert!(seen.contains(&format!("x-principal-id: {}\n", user.id)), "{seen}");
    assert_eq!(user.get("/hostile/principal").await.json(), json!({ "id": user.id }));
}
