//! A component of WASI 0.3 that streams its responses.

use super::{WasiHttp, idle, swaps_under_requests};
use crate::support::{Host, Reply, Setup, eventually};
use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};
use http::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

async fn host_of(setup: Setup) -> Host {
    let host = setup.start().await;
    WasiHttp::rust("streaming").deploy(&host.operator()).await;
    host
}

async fn streaming_host() -> Host {
    host_of(Setup::without_components()).await
}

async fn open(host: &Host, path: &str) -> reqwest::Response {
    host.visitor().request(Method::GET, path).send().await.unwrap()
}

#[tokio::test]
async fn a_component_of_wasi_0_3_is_probed_mounted_and_swapped_under_requests() {
    let host = Setup::without_components().start().await;
    swaps_under_requests(&host, WasiHttp::rust("streaming"), "/streaming/version").await;
    let back = host.operator().post("/plugins/streaming/rollback", json!({})).await.json();
    assert_eq!(back["probe"], json!({ "path": "/streaming/health", "status": 200 }));
    assert_eq!(host.visitor().get("/streaming/version").await.text, "streaming-one");
}

#[tokio::test]
async fn a_large_answer_arrives_whole() {
    let host = streaming_host().await;
    let body = open(&host, "/streaming/large").await.bytes().await.unwrap();
    assert_eq!(body.len(), 4 << 20);
    let numbers = body.chunks(4).map(|four| u32::from_le_bytes(four.try_into().unwrap()));
    assert!(numbers.eq((0..4 << 20).step_by(4)));
}

#[tokio::test]
async fn an_endless_answer_arrives_piece_by_piece_and_ends_with_its_reader() {
    let host = streaming_host().await;
    let mut events = open(&host, "/streaming/events").await.bytes_stream();
    let mut seen = String::new();
    while !seen.contains("streaming-one 20\n") {
        seen += std::str::from_utf8(&events.next().await.unwrap().unwrap()).unwrap();
    }
    assert_eq!(host.operator().plugin("streaming").await["in_flight"], 1);
    drop(events);
    idle(&host, "streaming").await;
    assert_eq!(host.operator().plugin("streaming").await["failures"], 0);
}

#[tokio::test]
async fn both_bodies_stream_at_the_same_time() {
    let host = streaming_host().await;
    let (sender, mut receiver) = mpsc::unbounded_channel::<Bytes>();
    let pieces = stream::poll_fn(move |context| receiver.poll_recv(context)).map(Ok::<_, std::io::Error>);
    sender.send("first".into()).unwrap();
    let echo = host.visitor().request(Method::POST, "/streaming/echo").body(reqwest::Body::wrap_stream(pieces));
    let mut echo = echo.send().await.unwrap().bytes_stream();
    for next in ["second", "third"] {
        let back = echo.next().await.unwrap().unwrap();
        assert!(!back.is_empty(), "the component answers a piece before it gets piece {next}");
        sender.send(next.into()).unwrap();
    }
    drop(sender);
    let rest: Vec<u8> = echo.map(|piece| piece.unwrap().to_vec()).collect::<Vec<_>>().await.concat();
    assert!(rest.ends_with(b"third"), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn an_answer_that_traps_in_the_middle_breaks_off() {
    let host = streaming_host().await;
    let answer = open(&host, "/streaming/trap").await;
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err(), "half a response must not look complete");
    idle(&host, "streaming").await;
    let operator = host.operator();
    let failures = async || operator.plugin("streaming").await["failures"].as_u64();
    eventually("the trap is counted", failures, |count| *count == Some(1)).await;
    assert_eq!(host.visitor().get("/streaming/version").await.status, 200, "another instance answers");
}

#[tokio::test]
async fn guests_that_spin_are_cut_off_and_others_answer_meanwhile() {
    let host = streaming_host().await;
    let spinning: Vec<_> = (0..6)
        .map(|_| {
            let visitor = host.visitor();
            tokio::spawn(async move { visitor.get("/streaming/spin").await })
        })
        .collect();
    in_flight(&host, 6).await;
    let begun = Instant::now();
    assert_eq!(host.visitor().get("/streaming/version").await.text, "streaming-one");
    assert!(begun.elapsed() < Duration::from_secs(2), "another request waited for {:?}", begun.elapsed());
    for reply in join_all(spinning).await {
        assert_eq!(reply.unwrap().status, 504);
    }
    idle(&host, "streaming").await;
}

/// Waits until this many requests are in flight.
async fn in_flight(host: &Host, count: u64) {
    let operator = host.operator();
    let count_now = async || operator.plugin("streaming").await["in_flight"].as_u64();
    eventually("all requests are in flight", count_now, |now| *now == Some(count)).await;
}

#[tokio::test]
async fn an_error_in_place_of_an_answer_is_answered_with_500() {
    let host = streaming_host().await;
    assert_eq!(host.visitor().get("/streaming/refuse").await.status, 500);
    eventually("the log has the error", async || host.log(), |log| log.contains("InternalError")).await;
}

#[tokio::test]
async fn a_swap_cuts_off_a_stream_that_exceeds_its_time() {
    let host = host_of(Setup::without_components().toml("[rollout]\ndrain_seconds = 1")).await;
    let mut events = open(&host, "/streaming/events").await.bytes_stream();
    events.next().await.unwrap().unwrap();
    let report = WasiHttp::rust("streaming").second().deploy(&host.operator()).await;
    assert_eq!((&report["in_flight"], &report["cut_off"]), (&json!(1), &json!(1)), "{report}");
    while events.next().await.unwrap().is_ok() {}
    assert_eq!(host.visitor().get("/streaming/version").await.text, "streaming-two");
}

#[tokio::test]
async fn a_component_knows_the_signed_in_user_and_a_request_cannot_forge_one() {
    let setup = Setup::new();
    let host = host_of(setup).await;
    host.operator().allow("streaming", json!({ "visitor": true })).await;
    let user = host.user("reader").await;
    let ask = async |client: &crate::support::Client| {
        let request = client.request(Method::GET, "/streaming/headers?a=b");
        let request = request.header("x-principal-id", "admin").header("x-principal-email", "admin@example.com");
        Reply::of(request.header("authorization", "Bearer secret").header("x-own", "1")).await.unwrap().text
    };
    let seen = ask(&user).await;
    assert!(seen.contains(&format!("x-principal-id: {}\n", user.id)), "{seen}");
    assert!(seen.contains(&format!("x-principal-email: {}\n", user.email)), "{seen}");
    assert!(seen.contains("x-own: 1\n") && seen.contains("x-request-id: ") && seen.contains("traceparent: "), "{seen}");
    for absent in ["admin", "cookie", "secret", "session"] {
        assert!(!seen.contains(absent), "{absent}: {seen}");
    }
    let seen = ask(&host.visitor()).await;
    assert!(!seen.contains("x-principal"), "{seen}");
}
