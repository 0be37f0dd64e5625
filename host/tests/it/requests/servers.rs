//! Servers that are slow, silent or broken.

use super::{host_for, host_with, is_well, requesting, send};
use crate::support::LocalServer;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::{io::AsyncWriteExt, time::sleep};

async fn silent() -> LocalServer {
    LocalServer::talking(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await
}

/// A server that sends this, and then one more byte at a time for ever.
async fn dripping(begin: &'static str, drop: &'static [u8]) -> LocalServer {
    LocalServer::talking(move |mut stream| async move {
        let mut going = stream.write_all(begin.as_bytes()).await.is_ok();
        while going {
            sleep(Duration::from_millis(20)).await;
            going = stream.write_all(drop).await.is_ok();
        }
    })
    .await
}

#[tokio::test]
async fn other_calls_go_on_while_one_waits_for_a_silent_server() {
    let silent = silent().await;
    // One call at a time.
    let file = requesting().manifest_end("concurrency = 1\nqueue = 1\n");
    let host = host_with(file, &[silent.address.to_string()]).await;
    let visitor = host.visitor();
    let waiting = tokio::spawn({
        let (visitor, wanted) = (visitor.clone(), json!({ "url": silent.url(), "timeout_ms": 2_000 }));
        async move { send(&visitor, wanted).await }
    });
    crate::support::eventually("the request is under way", async || silent.request_count(), |count| *count == 1).await;
    let mut answered = 0;
    while !waiting.is_finished() {
        assert_eq!(visitor.get("/requesting/version").await.text, "requesting-one");
        answered += 1;
    }
    assert!(answered > 1, "{answered} calls were answered meanwhile");
    assert_eq!(waiting.await.unwrap()["error"], "timeout");
    is_well(&host).await;
}

#[tokio::test]
async fn a_component_shortens_the_wait_and_cannot_extend_it() {
    let silent = silent().await;
    let host = host_for(&silent).await;
    let visitor = host.visitor();
    let begun = Instant::now();
    for timeout_ms in [0, 1, 50] {
        let outcome = send(&visitor, json!({ "url": silent.url(), "timeout_ms": timeout_ms })).await;
        assert_eq!(outcome["error"], "timeout", "{outcome}");
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let outcome = send(&visitor, json!({ "url": silent.url(), "timeout_ms": 3_600_000 })).await;
    assert_eq!(outcome["error"], "timeout", "{outcome}");
    is_well(&host).await;
}

#[tokio::test]
async fn a_server_that_drips_does_not_extend_the_wait() {
    for (begin, drop) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", &b"x"[..]),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &b"1\r\nx\r\n"[..]),
        ("HTTP/1.1 200 OK\r\nx-long: ", &b"x"[..]),
        ("", &b"H"[..]),
        ("HTTP/1.1 100 Continue\r\n\r\n", &b"HTTP/1.1 100 Continue\r\n\r\n"[..]),
    ] {
        let server = dripping(begin, drop).await;
        let host = host_for(&server).await;
        let begun = Instant::now();
        let outcome = send(&host.visitor(), json!({ "url": server.url(), "timeout_ms": 700 })).await;
        let expected = if begin.is_empty() { "unreachable" } else { "timeout" };
        assert!(outcome["error"] == "timeout" || outcome["error"] == expected, "{begin:?}: {outcome}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{begin:?}: {:?}", begun.elapsed());
        is_well(&host).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_breaks_off_is_unreachable() {
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let servers = [
        LocalServer::answering("").await,
        LocalServer::answering("not HTTP\r\n\r\n").await,
        LocalServer::answering("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await,
        LocalServer::answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").await,
        LocalServer::answering("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab").await,
    ];
    let mut hosts: Vec<String> = servers.iter().map(|server| server.address.to_string()).collect();
    hosts.push(gone.to_string());
    hosts.push("does-not-exist.invalid:80".to_owned());
    let host = host_with(requesting(), &hosts).await;
    let visitor = host.visitor();
    for destination in &hosts {
        let outcome: Value = send(&visitor, json!({ "url": format!("http://{destination}/") })).await;
        assert_eq!(outcome["error"], "unreachable", "{destination}: {outcome}");
    }
    // A server that speaks no TLS and waits for the head of a request.
    let outcome = send(&visitor, json!({ "url": format!("https://{}/", hosts[1]), "timeout_ms": 3_000 })).await;
    assert_eq!(outcome["error"], "timeout", "{outcome}");
    is_well(&host).await;
}
