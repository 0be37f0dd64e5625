//! Heads of answers that break the contract.

use super::{attacked, good_setup, scripted_request};
use crate::{
    support::{Setup, eventually},
    wasi_http::WasiHttp,
};
use serde_json::{Value, json};

fn headers(pairs: &[(&str, String)]) -> Value {
    json!({ "headers": pairs })
}

#[tokio::test]
async fn an_answer_with_a_wrong_head_is_answered_with_500_and_counted_against_its_component() {
    let host = attacked(good_setup()).await;
    let visitor = host.visitor();
    let long = |bytes: usize| "v".repeat(bytes);
    let mut refused = vec![
        json!({ "more_headers": 101 }),
        json!({ "more_headers": 30_000 }),
        json!({ "more_headers": 100_000, "value_bytes": 0 }),
        json!({ "more_headers": 100, "value_bytes": 700 }),
        json!({ "more_headers": 3, "value_bytes": 1 << 20 }),
        json!({ "more_headers": 1, "value_bytes": 64 << 10 }),
        headers(&[(&long(66_000), "1".to_owned())]),
        headers(&[("", "1".to_owned())]),
        headers(&[("two words", "1".to_owned())]),
        headers(&[("x:y", "1".to_owned())]),
        headers(&[("x\r\nset-cookie", "session=stolen".to_owned())]),
        headers(&[("größe", "1".to_owned())]),
        headers(&[("x-split", "a\r\nset-cookie: session=stolen".to_owned())]),
        headers(&[("x-zero", "a\0b".to_owned())]),
        headers(&[("x-delete", "\u{7f}".to_owned())]),
    ];
    refused.extend([0, 99, 100, 101, 103, 199, 600, 999, 1_000, 65_535].map(|status| json!({ "status": status })));
    for script in refused {
        let before = host.failures("hostile", "answer").await;
        let reply = visitor.scripted(script.clone()).await;
        let script: String = script.to_string().chars().take(100).collect();
        reply.refuses(500, "Something went wrong");
        assert_eq!(reply.header("set-cookie"), None, "{script}");
        assert_eq!(host.failures("hostile", "answer").await, before + 1, "{script}");
        visitor.says_hello().await;
    }
    // The client of the tests reads at most 100 headers, with those of the host.
    for script in [
        json!({ "more_headers": 90 }),
        json!({ "more_headers": 64, "value_bytes": 1_000 }),
        headers(&[("x-tab", "a\tb".to_owned()), ("x-umlaut", "größe".to_owned()), ("x-empty", String::new())]),
    ] {
        let reply = visitor.scripted(script).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert!(!host.log().contains("panicked"), "{}", host.log());
}

#[tokio::test]
async fn a_head_never_changes_the_framing_of_its_answer() {
    let host = attacked(good_setup()).await;
    let visitor = host.visitor();
    for (name, value) in [
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        ("connection", "close, x-own"),
        ("upgrade", "websocket"),
        ("trailer", "x-own"),
        ("keep-alive", "timeout=1"),
    ] {
        let reply = visitor.scripted(json!({ "headers": [[name, value]], "body": "whole" })).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, "whole"), "{name}");
        assert_ne!(reply.header(name), Some(value));
        assert_eq!(reply.header("content-length"), Some("5"), "{name}");
    }
    for status in [204, 304] {
        let reply = visitor.scripted(json!({ "status": status, "body": "nobody reads this" })).await;
        assert_eq!((reply.status, reply.text.as_str()), (status, ""));
        visitor.says_hello().await;
    }
}

#[tokio::test]
async fn the_same_limits_hold_for_a_streamed_answer() {
    let host = Setup::without_components().start().await;
    WasiHttp::rust("streaming").deploy(&host.operator()).await;
    let visitor = host.visitor();
    for query in
        ["headers=101", "headers=70&bytes=1000", "status=100", "status=101", "status=103", "status=600", "status=999"]
    {
        let before = host.counted("plugin_failures_total", "streaming").await;
        let reply = visitor.get(&format!("/streaming/head?{query}")).await;
        reply.refuses(500, "Something went wrong");
        let counted = async || host.counted("plugin_failures_total", "streaming").await;
        eventually(query, counted, |now| *now > before).await;
    }
    for query in ["headers=90&bytes=500", "status=404", "trailers=50&bytes=100"] {
        let reply = visitor.get(&format!("/streaming/head?{query}")).await;
        assert_eq!(reply.text, "body", "{query}: {reply:?}");
    }
    let errors = host.operator().plugin("streaming").await["failures"].as_u64();
    assert_eq!(errors, Some(7), "the answers that passed are no failures");
    assert!(!host.log().contains("panicked"), "{}", host.log());
}

#[tokio::test]
async fn large_heads_for_clients_that_do_not_read_take_little_memory() {
    let host = attacked(good_setup()).await;
    host.visitor().says_hello().await;
    let before = host.resident_mib().await;
    let mut clients = Vec::new();
    for script in
        [json!({ "more_headers": 1, "value_bytes": 1 << 20 }), json!({ "more_headers": 60, "value_bytes": 1_000 })]
    {
        let request = scripted_request(&script);
        for _ in 0..60 {
            clients.push(host.deaf_client(&request).await);
        }
    }
    host.visitor().says_hello().await;
    let after = host.resident_mib().await;
    assert!(after - before < 200.0, "from {before} to {after} MiB");
}
