//! Answers and bodies that a proxy could hold up, cut or refuse.

use super::{Kind, ReverseProxy, behind_proxy};
use crate::support::{Host, PluginFile, Setup, guest};
use futures::StreamExt;
use http::Method;
use serde_json::json;

async fn streaming_host() -> Host {
    let host = Setup::without_components().http(super::TRUSTED).start().await;
    host.operator().deploy("streaming", PluginFile::read(&guest("streaming")).bytes()).await;
    host
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn an_answer_without_end_arrives_piece_by_piece() {
    let host = streaming_host().await;
    for kind in Kind::BOTH {
        let proxy = ReverseProxy::before(kind, &host).await;
        for tls in [false, true] {
            let answer = proxy.visitor(tls).request(Method::GET, "/streaming/events").send().await.unwrap();
            let (mut events, mut seen) = (answer.bytes_stream(), String::new());
            while !seen.contains("streaming-one 20\n") {
                seen += std::str::from_utf8(&events.next().await.unwrap().unwrap()).unwrap();
            }
            assert!(seen.len() < 64 << 10, "{kind:?} held {} bytes back", seen.len());
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn large_heads_and_bodies_pass() {
    let host = streaming_host().await;
    for kind in Kind::BOTH {
        let proxy = ReverseProxy::before(kind, &host).await;
        let visitor = proxy.visitor(true);
        // The client of the tests reads at most 100 headers.
        let head = visitor.get("/streaming/head?headers=85&bytes=700").await;
        assert_eq!((head.status, head.text.as_str()), (200, "body"), "{kind:?}");
        assert_eq!(head.header("x-84").map(str::len), Some(700), "{kind:?}");
        let large = visitor.request(Method::GET, "/streaming/large").send().await.unwrap();
        assert_eq!(large.bytes().await.unwrap().len(), 4 << 20, "{kind:?}");
        let long = "v".repeat(7 << 10);
        let sent = ["x-a", "x-b", "x-c"].iter().fold(visitor.clone(), |client, name| client.with_header(name, &long));
        let echoed = sent.get("/streaming/headers").await;
        assert_eq!((echoed.status, echoed.text.matches(&long).count()), (200, 3), "{kind:?}");
    }
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn the_host_refuses_a_large_body_itself() {
    let host = behind_proxy().start().await;
    for kind in Kind::BOTH {
        let proxy = ReverseProxy::before(kind, &host).await;
        let body = json!({ "title": "x".repeat(3 << 20), "price": 1 }).to_string();
        let reply = proxy.visitor(true).raw(Method::POST, "/api/tickets", body).await;
        reply.refuses(413, "The body is too large");
    }
}
