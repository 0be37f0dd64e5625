//! The request that reaches the other plugin, and the answer that comes back.

use super::{CALLEE, callee, calling, host_with_both, policy, requesting, send, told, url};
use crate::support::{PluginFile, Setup, guest};
use serde_json::{Value, json};

/// Headers that a plugin writes to pass for a visitor, a proxy or the host.
const FORGED: [(&str, &str); 10] = [
    ("cookie", "session=1"),
    ("authorization", "Bearer 1"),
    ("x-forwarded-for", "192.0.2.1"),
    ("forwarded", "for=192.0.2.1"),
    ("x-principal-id", "1"),
    ("x-request-id", "12345678"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("host", "evil.example"),
    ("content-length", "999"),
    ("transfer-encoding", "chunked"),
];

#[tokio::test]
async fn a_route_of_another_plugin_answers_in_the_process_and_is_counted() {
    let host = host_with_both().await;
    let headers: Vec<_> = FORGED.into_iter().chain([("accept", "text/plain")]).collect();
    let wanted = json!({ "method": "POST", "url": url("echo?q=a%20b#c"), "headers": headers, "body_bytes": 3 });
    let expected = json!({
        "method": "POST", "route": "/answering1/echo", "query": "a b", "bytes": 3, "headers": ["accept"], "principal": null,
    });
    assert_eq!(told(&send(&host.visitor(), wanted).await), expected);

    let endpoint = ["component=\"answering1\"", "route=\"/answering1/echo\"", "method=\"POST\"", "status=\"2xx\""];
    assert_eq!(host.metric("http_requests_total", &endpoint).await, 1.0);
    let pair = ["component=\"requesting\"", "callee=\"answering1\"", "outcome=\"answered\""];
    assert_eq!(host.metric("plugin_requests_total", &pair).await, 1.0);
    let log = host.log();
    let line = log.lines().find(|line| line.contains("/answering1/echo") && line.contains("caller"));
    assert!(line.is_some_and(|line| line.contains("requesting")), "{log}");
    let trace = |path: &str| {
        let line = log.lines().find(|line| line.contains(path) && line.contains("trace")).unwrap();
        let end = line.split_once("trace").unwrap().1;
        end.chars().filter(char::is_ascii_hexdigit).take(32).collect::<String>()
    };
    assert_eq!(trace("/answering1/echo"), trace("/requesting/send"), "{log}");
}

#[tokio::test]
async fn an_answer_has_no_cookie_and_a_missing_route_is_an_answer_too() {
    let host = host_with_both().await;
    let visitor = host.visitor();
    let outcome = send(&visitor, json!({ "url": url("act/cookie") })).await;
    assert_eq!((&outcome["status"], &outcome["cookie"]), (&json!(200), &Value::Null), "{outcome}");
    let head = send(&visitor, json!({ "method": "HEAD", "url": url("version") })).await;
    assert_eq!((&head["status"], &head["bytes"]), (&json!(200), &json!(0)), "{head}");
    for (method, path, status) in [
        ("GET", "/answering1/nothing", 404),
        ("GET", "/requesting/version", 404),
        ("GET", "/", 404),
        ("GET", "/openapi.json", 404),
        ("DELETE", "/answering1/echo", 405),
        ("GET", "/answering1/echo/", 308),
        ("GET", "/answering1/act/%ff", 404),
    ] {
        let outcome = send(&visitor, json!({ "method": method, "url": format!("http://{CALLEE}.plugin{path}") })).await;
        assert_eq!(outcome["status"], status, "{method} {path}: {outcome}");
    }
    let paused = host.operator().post(&format!("/plugins/{CALLEE}/pause"), json!({})).await;
    assert_eq!(paused.status, 200, "{paused:?}");
    assert_eq!(send(&visitor, json!({ "url": url("version") })).await["status"], 503);
}

#[tokio::test]
async fn the_canary_of_the_other_plugin_answers_its_share() {
    let host = host_with_both().await;
    let operator = host.operator();
    let second = callee().renamed("answering1-one", "answering1-two").version("2.0.0");
    let revision = operator.stage(second.bytes()).await;
    let canary = json!({ "revision": revision, "canary_percent": 50 });
    let reply = operator.post(&format!("/plugins/{CALLEE}/activate"), canary).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let visitor = host.visitor();
    for (named, text) in [(CALLEE, "answering1-two"), ("none", "answering1-one")] {
        let wanted = json!({ "url": url("version"), "headers": [["x-plugin-canary", named]] });
        assert_eq!(send(&visitor, wanted).await["body"], text);
    }
    let mut second = 0;
    for _ in 0..100 {
        second += usize::from(send(&visitor, json!({ "url": url("version") })).await["body"] == "answering1-two");
    }
    assert!((20..=80).contains(&second), "{second} of 100");
}

#[tokio::test]
async fn a_key_of_a_plugin_makes_nothing_twice_and_is_no_key_of_a_visitor() {
    let host = host_with_both().await;
    let visitor = host.visitor();
    let wanted = json!({ "method": "POST", "url": url("counted"), "headers": [["idempotency-key", "key-1"]] });
    for _ in 0..2 {
        let outcome = send(&visitor, wanted.clone()).await;
        assert_eq!((&outcome["status"], &outcome["body"]), (&json!(201), &json!(r#"{"count":1}"#)), "{outcome}");
    }
    let own = visitor.with_header("idempotency-key", "key-1");
    let reply = own.raw(http::Method::POST, &format!("/{CALLEE}/counted"), "").await;
    assert_eq!((reply.status, reply.json()["count"].clone()), (201, json!(2)), "{reply:?}");
}

#[tokio::test]
async fn a_component_of_wasi_http_answers_and_an_answer_without_an_end_times_out() {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    operator.deploy("streaming", PluginFile::read(&guest("streaming")).bytes()).await;
    operator.allow("requesting", policy(&["nobody", "streaming"])).await;
    operator.deploy("requesting", calling(requesting(), &["nobody", "streaming"]).bytes()).await;
    let visitor = host.visitor();
    let url = |path: &str| format!("http://streaming.plugin/streaming/{path}");
    assert_eq!(send(&visitor, json!({ "url": url("version") })).await["body"], "streaming-one");
    let echo = send(&visitor, json!({ "method": "POST", "url": url("echo"), "body_bytes": 100_000 })).await;
    assert_eq!((&echo["status"], &echo["bytes"]), (&json!(200), &json!(100_000)), "{echo}");
    assert_eq!(send(&visitor, json!({ "url": url("large") })).await["bytes"], 4 << 20);

    let headers = send(&visitor, json!({ "url": url("headers"), "headers": FORGED })).await;
    let text = headers["body"].as_str().unwrap();
    assert!(!text.contains("192.0.2.1") && !text.contains("evil") && !text.contains("12345678"), "{text}");
    assert!(!text.contains("0af7651916cd43dd8448eb211c80319c") && text.contains("traceparent: "), "{text}");

    let endless = send(&visitor, json!({ "url": url("events"), "timeout_ms": 500 })).await;
    assert_eq!(endless["error"], "timeout", "{endless}");
    let unknown = send(&visitor, json!({ "url": "http://nobody.plugin/" })).await;
    assert_eq!(unknown["error"], "unreachable", "{unknown}");
    assert!(unknown["text"].as_str().unwrap().contains("no plugin nobody"), "{unknown}");
}
