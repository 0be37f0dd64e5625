//! The end of a host whose components and clients do not want to end.

use super::{connections::attacked_within, good_setup, scripted_request};
use crate::support::{Host, PluginFile, eventually, guest};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// A host with this drain time, whose guests and clients may take long.
async fn patient_host(drain_ms: u32) -> Host {
    let setup = good_setup().http(&format!("shutdown_drain_ms = {drain_ms}\nwrite_timeout_ms = 600000\n"));
    let limits = json!({ "wall_time_ms": 30_000, "response_bytes": 8 << 20, "memory_mib": 64 });
    attacked_within(setup, limits).await
}

/// Lets guests spin, and clients wait for answers that they do not read.
async fn keep_busy(host: &Host) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(host.deaf_client(b"GET /hostile/loop HTTP/1.1\r\nhost: localhost\r\n\r\n").await);
        clients.push(host.deaf_client(&scripted_request(&json!({ "body_bytes": 8 << 20 }))).await);
        clients.push(
            host.deaf_client(b"POST /hostile/answer HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n").await,
        );
    }
    // The guests that spin, and those whose requests do not arrive.
    let operator = host.operator();
    let in_flight = async || operator.plugin("hostile").await["in_flight"].as_u64().unwrap();
    eventually("the guests are busy", in_flight, |calls| *calls >= 4).await;
    clients
}

#[tokio::test]
async fn a_host_ends_within_its_drain_time_whatever_guests_and_clients_do() {
    let mut host = patient_host(2_000).await;
    let clients = keep_busy(&host).await;
    let begun = Instant::now();
    host.terminate().await;
    let status = host.ended().await;
    assert_eq!(status.code(), Some(0), "{}", host.log());
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert!(host.log().contains("drain"), "{}", host.log());
    drop(clients);
    host.start_again().await;
    host.visitor().says_hello().await;
}

#[tokio::test]
async fn a_second_signal_ends_a_host_at_once() {
    let mut host = patient_host(60_000).await;
    let clients = keep_busy(&host).await;
    host.terminate().await;
    let log = async || host.log();
    eventually("the host begins to drain", log, |log| log.contains("the host stops")).await;
    assert!(!host.has_ended(), "the host drains");
    let begun = Instant::now();
    host.terminate().await;
    assert_eq!(host.ended().await.code(), Some(143));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(clients);
}

#[tokio::test]
async fn an_operator_removes_a_plugin_without_waiting_for_its_endless_calls() {
    let host = patient_host(2_000).await;
    let _clients = keep_busy(&host).await;
    let operator = host.operator();
    let begun = Instant::now();
    assert_eq!(operator.delete("/plugins/hostile").await.status, 204);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}, its calls take 30 s", begun.elapsed());
    host.visitor().get("/hostile/loop").await.refuses(404, "Not Found");
    operator.deploy("hostile", PluginFile::read(&guest("hostile")).bytes()).await;
    assert_eq!(host.visitor().get("/hostile/slow?ms=1").await.status, 204);
}
