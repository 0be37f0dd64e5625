//! Clients of HTTP/2 that cost more than they ask for.

use super::{ask, get, greeter, http2_client, rest, sent};
use crate::{
    adversary::with_hostile_guest,
    support::{Host, Setup},
};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// `GET` of a path, without an index, see RFC 7541, section 6.2.2.
fn get_headers(path: &str) -> Vec<u8> {
    let text = |name: u8, value: &str| [&[name, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
    // `:method: GET`, `:scheme: http`, `:path`, `:authority`.
    [&[0x82, 0x86][..], &text(0x04, path), &text(0x01, "localhost")].concat()
}

fn begin() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..]].concat()
}

/// Sends pieces until the host closes the connection. Returns the number of pieces.
async fn flood(stream: TcpStream, mut piece: impl FnMut(u32) -> Vec<u8>, most: u32) -> u32 {
    let (mut reader, mut writer) = stream.into_split();
    let mut sent = 0;
    let sending = async {
        while sent < most && writer.write_all(&piece(sent)).await.is_ok() {
            sent += 1;
        }
        std::future::pending::<()>().await;
    };
    let mut buffer = vec![0; 64 << 10];
    let reading = async { while reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
    let both = async {
        tokio::select! { () = sending => {}, () = reading => {} }
    };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("the host should close the connection");
    sent
}

async fn still_greets(host: &Host) {
    let (client, _connection) = http2_client(host).await;
    assert_eq!(ask(&client, get(host, "/hello")).await.unwrap().0, 200);
    assert_eq!(host.visitor().get("/hello").await.status, 200);
}

#[tokio::test]
async fn headers_without_an_end_are_cut() {
    let host = greeter().http("header_read_timeout_ms = 1000\n").start().await;
    for (name, bytes) in [
        ("a part of the preface", b"PRI * HTTP/2.0\r\n".to_vec()),
        ("the preface alone", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("headers without their end", [begin(), frame(HEADERS, END_STREAM, 1, &get_headers("/hello"))].concat()),
        (
            "a part of a frame",
            [&begin()[..], &frame(HEADERS, END_STREAM | END_HEADERS, 1, &get_headers("/hello"))[..12]].concat(),
        ),
        ("a part of the head of a frame", [&begin()[..], &[0, 0, 9]].concat()),
    ] {
        let begun = Instant::now();
        rest(&mut sent(&host, &bytes).await).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}: {:?}", begun.elapsed());
    }
    still_greets(&host).await;
}

#[tokio::test]
async fn continuations_without_an_end_are_cut() {
    let host = greeter().http("header_read_timeout_ms = 60000\n").start().await;
    // Each literal header has a name and a value of one byte, or nothing in it at all.
    let field = [0x00, 0x01, b'x', 0x01, b'y'];
    for (name, payload) in [("full", field.repeat(3_000)), ("small", field.to_vec()), ("empty", Vec::new())] {
        let stream = sent(&host, &[begin(), frame(HEADERS, END_STREAM, 1, &get_headers("/hello"))].concat()).await;
        let sent = flood(stream, |_| frame(CONTINUATION, 0, 1, &payload), 100_000).await;
        assert!(sent < 100_000, "{name}: {sent}");
    }
    still_greets(&host).await;
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_their_connection() {
    let host = with_hostile_guest("").await;
    let before = host.operator().plugin("hostile").await["calls"].as_u64().unwrap();
    let reset = |number: u32| {
        let stream = 2 * number + 1;
        let request = frame(HEADERS, END_STREAM | END_HEADERS, stream, &get_headers("/hostile/loop"));
        [request, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    let sent = flood(sent(&host, &begin()).await, reset, 100_000).await;
    assert!(sent < 100_000, "{sent}");
    let calls = host.operator().plugin("hostile").await["calls"].as_u64().unwrap() - before;
    assert!(calls <= 300, "{calls} calls");
    still_greets(&host).await;
}

#[tokio::test]
async fn resets_that_the_host_is_made_to_send_end_the_connection() {
    let host = greeter().start().await;
    // A window of zero more bytes is an error of the stream, see RFC 9113, section 6.9.
    let made = |number: u32| {
        let stream = 2 * number + 1;
        let request = frame(HEADERS, END_STREAM | END_HEADERS, stream, &get_headers("/hello"));
        [request, frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
    };
    let sent = flood(sent(&host, &begin()).await, made, 100_000).await;
    assert!(sent < 100_000, "{sent}");
    still_greets(&host).await;
}

#[tokio::test]
async fn frames_that_ask_for_nothing_keep_no_connection_open() {
    let host = greeter().http("keep_alive_ms = 1500\n").start().await;
    for (name, idle) in [
        ("pings", frame(PING, 0, 0, &[0; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("priorities", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 0])),
        ("windows", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
    ] {
        let (mut reader, mut writer) = sent(&host, &begin()).await.into_split();
        let begun = Instant::now();
        let sending = async {
            while writer.write_all(&idle).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let reading = async { while reader.read(&mut [0; 999]).await.is_ok_and(|read| read > 0) {} };
        tokio::select! { () = sending => {}, () = reading => {} }
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}: {:?}", begun.elapsed());
    }
    still_greets(&host).await;
}

#[tokio::test]
async fn pings_whose_answers_nobody_reads_take_a_bounded_memory() {
    let host = greeter().http("write_timeout_ms = 1000\n").start().await;
    let before = host.resident_mib().await;
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(1_000);
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = host.deaf_client(&begin()).await;
        // At the latest when the buffers of the kernel are full, the host reads no more.
        let sending = async { while client.write_all(&pings).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(30), sending).await.expect("the host drops the client");
        clients.push(client);
    }
    let held = host.resident_mib().await - before;
    assert!(held < 40.0, "{held} MiB");
    still_greets(&host).await;
}

#[tokio::test]
async fn a_post_without_its_body_in_each_of_many_streams_is_bounded_in_time() {
    let host = Setup::new().http("body_read_timeout_ms = 1000\nkeep_alive_ms = 1000\n").start().await;
    let (client, connection) = http2_client(&host).await;
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut client = client.clone().ready().await.unwrap();
        let request = http::Request::post(format!("http://{}/api/users/signin", host.address()));
        open.push(client.send_request(request.body(()).unwrap(), false).unwrap());
    }
    for (answer, _sending) in open {
        assert_eq!(tokio::time::timeout(Duration::from_secs(30), answer).await.unwrap().unwrap().status(), 408);
    }
    drop(client);
    tokio::time::timeout(Duration::from_secs(30), connection)
        .await
        .expect("the connection should end")
        .unwrap()
        .unwrap();
}
