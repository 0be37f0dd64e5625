//! Clients that stop reading or sending.

use super::{attacked, good_setup, scripted_request};
use crate::{
    support::{Host, Setup, eventually},
    wasi_http::WasiHttp,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A host as of [`attacked`] whose operator has set these limits of the hostile
/// guest.
pub(super) async fn attacked_within(setup: Setup, limits: Value) -> Host {
    let host = attacked(setup).await;
    let reply = host.operator().put("/plugins/hostile/limits", limits).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    host
}

/// A host with the good guest, and with the hostile guest, which may give large answers.
pub(crate) async fn with_hostile_guest(http: &str) -> Host {
    attacked_within(good_setup().http(http), large()).await
}

/// Limits for answers of 8 MiB.
fn large() -> Value {
    json!({ "response_bytes": 8 << 20, "memory_mib": 64 })
}

#[tokio::test]
async fn answers_that_nobody_reads_are_bounded_and_their_clients_dropped() {
    let setup = good_setup().http("unsent_plugin_mib = 16\nwrite_timeout_ms = 3000\n");
    let host = attacked_within(setup, large()).await;
    let visitor = host.visitor();
    let large = json!({ "body_bytes": 8 << 20 });
    assert_eq!(visitor.scripted(large.clone()).await.text.len(), 8 << 20);
    let before = host.resident_mib().await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(host.deaf_client(&scripted_request(&large)).await);
    }
    let refused = async || host.failures("hostile", "unread").await;
    eventually("answers beyond the limit are refused", refused, |count| *count > 0).await;
    let held = host.resident_mib().await - before;
    assert!(held < 200.0, "{held} MiB");
    visitor.says_hello().await;
    let again = async || visitor.scripted(large.clone()).await.status;
    let begun = Instant::now();
    eventually("clients that do not read are dropped", again, |status| *status == 200).await;
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    assert_eq!(host.failures("hostile", "deadline").await, 0);
    drop(clients);
}

#[tokio::test]
async fn a_slow_reader_gets_its_whole_answer() {
    let host = attacked_within(good_setup().http("write_timeout_ms = 1000\n"), large()).await;
    let mut client = TcpStream::connect(host.address()).await.unwrap();
    client.write_all(&scripted_request(&json!({ "body_bytes": 8 << 20 }))).await.unwrap();
    let (mut read, mut piece) = (0, vec![0; 256 << 10]);
    while read < 8 << 20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let bytes = client.read(&mut piece).await.unwrap();
        assert!(bytes > 0, "the connection ended after {read} bytes");
        read += bytes;
    }
}

#[tokio::test]
async fn requests_in_a_row_without_reading_wait_for_the_first_answer() {
    let limits = json!({ "concurrency": 8, "queue": 8 });
    let host = attacked_within(good_setup().http("write_timeout_ms = 2000\nkeep_alive_ms = 2000\n"), limits).await;
    host.visitor().says_hello().await;
    let before = host.resident_mib().await;
    let many = scripted_request(&json!({ "status": 204, "more_headers": 60, "value_bytes": 1_000 })).repeat(150);
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(host.deaf_client(&many).await);
    }
    let operator = host.operator();
    let (mut calls, mut unchanged) = (0, 0);
    let looks = async || {
        let now = operator.plugin("hostile").await["calls"].as_u64().unwrap();
        unchanged = if now == calls { unchanged + 1 } else { 0 };
        calls = now;
        (calls, unchanged)
    };
    eventually("all clients are held up", looks, |(calls, unchanged)| *calls >= 8 && *unchanged >= 50).await;
    let held = host.resident_mib().await - before;
    assert!(held < 45.0, "{held} MiB");
    for client in &mut clients {
        let ended = async { while client.read(&mut vec![0; 1 << 20]).await.is_ok_and(|bytes| bytes > 0) {} };
        tokio::time::timeout(Duration::from_secs(30), ended).await.expect("the host should drop the client");
    }
    host.visitor().says_hello().await;
}

/// Reads the status of an answer.
async fn status(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_client_that_stops_sending_is_answered_and_blames_no_component() {
    let host = attacked(good_setup().http("header_read_timeout_ms = 1000\nbody_read_timeout_ms = 1000\n")).await;
    WasiHttp::rust("streaming").deploy(&host.operator()).await;
    for path in ["/hostile/answer", "/streaming/echo"] {
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        let request = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        if path == "/hostile/answer" {
            assert_eq!(status(&mut stream).await, "HTTP/1.1 408");
        }
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        ended.expect("the connection should end").unwrap_or_default();
    }
    let mut stream = TcpStream::connect(host.address()).await.unwrap();
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: ").await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut Vec::new())).await;
    ended.expect("a client that does not end its headers is dropped").unwrap_or_default();
    for kind in ["deadline", "answer", "trap"] {
        assert_eq!(host.failures("streaming", kind).await + host.failures("hostile", kind).await, 0, "{kind}");
    }
}

#[tokio::test]
async fn a_stream_that_nobody_reads_ends_and_blames_no_component() {
    let host = Setup::without_components().http("write_timeout_ms = 600000\n").start().await;
    WasiHttp::rust("streaming").deploy(&host.operator()).await;
    let request = b"GET /streaming/large HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(host.deaf_client(request).await);
    }
    let operator = host.operator();
    let in_flight = async || operator.plugin("streaming").await["in_flight"].as_u64();
    eventually("all streams have begun", in_flight, |count| *count == Some(4)).await;
    eventually("its turns are free again", in_flight, |count| *count == Some(0)).await;
    assert_eq!(host.failures("streaming", "deadline").await, 0);
    drop(clients);
}
