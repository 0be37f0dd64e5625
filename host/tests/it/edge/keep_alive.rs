//! How long a connection stays open, and for whom.

use super::{ask, get, greeter, http2_client, read_until, rest, sent};
use crate::support::Host;
use std::time::{Duration, Instant};
use tokio::{io::AsyncWriteExt, net::TcpStream};

const HELLO: &str = "GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n";
const END_OF_HELLO: &str = "\"world\"}";

/// A connection with one answer read.
async fn used(host: &Host) -> TcpStream {
    let mut stream = sent(host, HELLO.as_bytes()).await;
    read_until(&mut stream, END_OF_HELLO).await;
    stream
}

#[tokio::test]
async fn a_connection_stays_open_between_requests_and_a_head_that_stops_is_cut() {
    let host = greeter().http("header_read_timeout_ms = 500\nkeep_alive_ms = 60000\n").start().await;
    let mut stream = used(&host).await;
    let (client, _connection) = http2_client(&host).await;
    assert_eq!(ask(&client, get(&host, "/hello")).await.unwrap().0, 200);
    // Much longer than the time for a head.
    tokio::time::sleep(Duration::from_secs(2)).await;
    stream.write_all(HELLO.as_bytes()).await.unwrap();
    read_until(&mut stream, END_OF_HELLO).await;
    assert_eq!(ask(&client, get(&host, "/hello")).await.unwrap().0, 200);

    let begun = Instant::now();
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: ").await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
    assert!(begun.elapsed() >= Duration::from_millis(400) && begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_head_that_arrives_bytewise_is_cut_although_bytes_arrive() {
    let host = greeter().http("header_read_timeout_ms = 1000\nkeep_alive_ms = 60000\n").start().await;
    let used = used(&host).await;
    for stream in [sent(&host, b"").await, used] {
        let begun = Instant::now();
        let (mut reader, mut writer) = stream.into_split();
        let dripping = async {
            for byte in HELLO.bytes().cycle().filter(|byte| *byte != b'\r' && *byte != b'\n') {
                if writer.write_all(&[byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let reading = async {
            while tokio::io::AsyncReadExt::read(&mut reader, &mut [0; 99]).await.is_ok_and(|read| read > 0) {}
        };
        tokio::select! { () = dripping => {}, () = reading => {} }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn an_idle_connection_ends_after_its_time() {
    let host = greeter().http("header_read_timeout_ms = 60000\nkeep_alive_ms = 500\n").start().await;
    let begun = Instant::now();
    let mut stream = used(&host).await;
    let (client, connection) = http2_client(&host).await;
    assert_eq!(ask(&client, get(&host, "/hello")).await.unwrap().0, 200);
    assert_eq!(rest(&mut stream).await, b"");
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    let ended = tokio::time::timeout(Duration::from_secs(20), connection).await.expect("the host says goodbye");
    ended.unwrap().unwrap();
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end_of_a_host() {
    let mut host = greeter().http("shutdown_drain_ms = 60000\n").start().await;
    let (used, untouched) = (used(&host).await, sent(&host, b"").await);
    let (client, _connection) = http2_client(&host).await;
    assert_eq!(ask(&client, get(&host, "/hello")).await.unwrap().0, 200);
    // It does not answer the host's farewell.
    let deaf = sent(&host, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert_eq!(host.visitor().get("/hello").await.status, 200);
    let begun = Instant::now();
    host.terminate().await;
    assert_eq!(host.ended().await.code(), Some(0), "{}", host.log());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(!host.log().contains("the drain deadline passed"), "{}", host.log());
    drop((used, untouched, deaf));
}
