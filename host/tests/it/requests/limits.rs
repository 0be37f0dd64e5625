//! The limits on the bodies, the headers and the number of requests.

use super::{host_for, host_with, is_well, requesting, send};
use crate::support::{LocalServer, eventually};
use axum::{Router, body::Body};
use futures::StreamExt;
use serde_json::json;
use std::{net::SocketAddr, sync::Arc};
use tokio::{io::AsyncWriteExt, net::TcpListener, sync::Semaphore};

const MAX_BODY_BYTES: usize = 8 << 20;

async fn count(body: Body) -> String {
    let mut bytes = 0;
    let mut chunks = body.into_data_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        bytes += chunk.len();
    }
    bytes.to_string()
}

/// A server that answers with the number of bytes that it has read.
async fn counting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(count)).await });
    address
}

#[tokio::test]
async fn the_body_of_a_request_has_its_limit() {
    let address = counting().await;
    let host = super::requesting_host(&[address.to_string()]).await;
    let visitor = host.visitor();
    let url = format!("http://{address}/");
    for bytes in [0, 1, 100_000, MAX_BODY_BYTES] {
        let outcome = send(&visitor, json!({ "method": "POST", "url": url, "body_bytes": bytes })).await;
        assert_eq!((&outcome["status"], &outcome["body"]), (&json!(200), &json!(bytes.to_string())), "{outcome}");
    }
    let outcome = send(&visitor, json!({ "method": "POST", "url": url, "body_bytes": MAX_BODY_BYTES + 1 })).await;
    assert_eq!(outcome["error"], "too-large", "{outcome}");
    is_well(&host).await;
}

#[tokio::test]
async fn the_body_of_a_response_has_its_limit() {
    let text = |bytes: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n{}", "x".repeat(bytes));
    let largest = LocalServer::answering(&text(MAX_BODY_BYTES)).await;
    let host = host_for(&largest).await;
    let outcome = send(&host.visitor(), json!({ "url": largest.url() })).await;
    assert_eq!((&outcome["status"], &outcome["bytes"]), (&json!(200), &json!(MAX_BODY_BYTES)), "{outcome}");
    is_well(&host).await;

    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MAX_BODY_BYTES + 1);
    let announced = LocalServer::answering(&announced).await;
    let endless = LocalServer::talking(|mut stream| async move {
        let mut piece = b"10000\r\n".to_vec();
        piece.extend([b'x'; 0x10000]);
        piece.extend(b"\r\n");
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut going = stream.write_all(head).await.is_ok();
        while going {
            going = stream.write_all(&piece).await.is_ok();
        }
    })
    .await;
    for server in [announced, endless] {
        let host = host_for(&server).await;
        let outcome = send(&host.visitor(), json!({ "url": server.url() })).await;
        assert_eq!(outcome["error"], "too-large", "{outcome}");
        is_well(&host).await;
    }
}

#[tokio::test]
async fn the_headers_of_both_have_their_limits() {
    let head = |count: usize, value: &str| {
        let headers: String = (0..count).map(|number| format!("x-{number}: {value}\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\nok")
    };
    let few = LocalServer::answering(&head(99, "1")).await;
    let host = host_for(&few).await;
    let visitor = host.visitor();
    assert_eq!(send(&visitor, json!({ "url": few.url() })).await["body"], "ok");
    for headers in [vec![("x-a", "1".to_owned()); 101], vec![("x-a", "x".repeat(64 << 10))]] {
        let outcome = send(&visitor, json!({ "url": few.url(), "headers": headers })).await;
        assert_eq!(outcome["error"], "too-large", "{outcome}");
    }
    assert_eq!(few.take_requests().len(), 1);
    is_well(&host).await;

    let long = "x".repeat(1_000);
    for (count, value) in [(100, "1"), (30_000, "1"), (90, long.as_str())] {
        let server = LocalServer::answering(&head(count, value)).await;
        let host = host_for(&server).await;
        let outcome = send(&host.visitor(), json!({ "url": server.url() })).await;
        assert_eq!(outcome["error"], "too-large", "{count} headers: {outcome}");
        is_well(&host).await;
    }
}

#[tokio::test]
async fn a_plugin_has_a_limited_number_of_requests_under_way() {
    const MAX_REQUESTS: usize = 32;
    let gate = Arc::new(Semaphore::new(0));
    let silent = LocalServer::talking({
        let gate = gate.clone();
        move |stream| {
            let gate = gate.clone();
            async move {
                let _ = gate.acquire().await;
                drop(stream);
            }
        }
    })
    .await;
    let file = requesting().with("wall_time_ms = 5000", "wall_time_ms = 30000");
    let host = host_with(file, &[silent.address.to_string()]).await;
    let wanted = json!({ "url": silent.url() });
    let open: Vec<_> = (0..MAX_REQUESTS)
        .map(|_| {
            let (visitor, wanted) = (host.visitor(), wanted.clone());
            tokio::spawn(async move { send(&visitor, wanted).await })
        })
        .collect();
    eventually("all requests are under way", async || silent.request_count(), |count| *count == MAX_REQUESTS).await;
    let outcome = send(&host.visitor(), wanted.clone()).await;
    assert_eq!(outcome["error"], "busy", "{outcome}");
    gate.close();
    for open in open {
        assert_eq!(open.await.unwrap()["error"], "unreachable");
    }
    let outcome = send(&host.visitor(), wanted).await;
    assert_eq!(outcome["error"], "unreachable", "the places are free again: {outcome}");
    is_well(&host).await;
}
