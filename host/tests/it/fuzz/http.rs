//! The public listener: whatever bytes arrive, each answer is one that HTTP
//! allows, nothing panics, and neither a foreign page nor a changed session gets
//! through.

use super::{cases, mutation::Corpus};
use crate::support::{Host, Setup};
use rand::{RngExt, rngs::StdRng};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\n\r\n",
    "GET /api/tickets?limit=5&q=row HTTP/1.1\r\nhost: localhost\r\naccept-encoding: gzip\r\nif-none-match: \"1\"\r\n\r\n",
    "HEAD /api/tickets HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "OPTIONS /api/orders HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n\r\n",
    "GET /api/users/currentuser HTTP/1.1\r\nhost: localhost\r\ncookie: a=b; session=x.y.z\r\n\r\n",
    "POST /api/users/signout HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}",
    "POST /api/users/signin HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "POST /api/orders HTTP/1.1\r\nhost: localhost\r\nidempotency-key: k1\r\nexpect: 100-continue\r\ncontent-length: 14\r\n\r\n{\"ticketId\":1}",
    "PUT /api/tickets/1 HTTP/1.1\r\nhost: localhost\r\nif-match: \"1\"\r\nsec-fetch-site: same-origin\r\ncontent-length: 0\r\n\r\n",
    "GET /assets/%2e%2e/x HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: 1.2.3.4, ::1\r\nx-forwarded-proto: https\r\nforwarded: for=1.1.1.1;proto=http\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
    "GET http://localhost/api/tickets HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    "GET /api/tickets HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nrange: bytes=0-1\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];
const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "=",
    "%",
    "%00",
    "%2f",
    "%2F..",
    "%c0%af",
    "..",
    "//",
    "\\",
    "?",
    "#",
    "{id}",
    "*",
    "HTTP/1.0",
    "HTTP/9.9",
    "CONNECT",
    "TRACE",
    "PATCH",
    "DELETE",
    "host: ",
    "host: evil.example",
    "content-length: 5",
    "content-length: -1",
    "content-length: 99999999999999999999",
    "transfer-encoding: chunked",
    "transfer-encoding: gzip, chunked",
    "origin: null",
    "origin: http://localhost",
    "origin: http://localhost:0@evil",
    "sec-fetch-site: cross-site",
    "cookie: session=",
    "cookie: __Host-session=",
    "session=",
    "\"",
    "\u{ff}",
    "\u{0}",
    "x-forwarded-host: evil",
    "forwarded: for=\"[::1",
    "idempotency-key: ",
    "if-match: *",
    "W/\"1\"",
    "ffffffffffffffff\r\n",
    "0\r\n\r\n",
    "traceparent: 00-0-0-00",
    "accept: */*;q=nan",
    "accept-encoding: identity;q=0",
    "[::1]",
    "@",
    "limit=-1",
    "cursor=AAAA",
    "q=%ff",
    "q=\u{202e}",
];
/// The first bytes of a client of HTTP/2.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HANGS: Duration = Duration::from_secs(20);

/// Sends bytes and closes this side. Returns all that the host answers.
async fn exchange(host: &Host, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(host.address()).await.unwrap();
    // The host may refuse a request before it has read all of it.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    read_to_end(stream, bytes).await
}

/// Sends a whole request that asks for the end of the connection. The host drops
/// the requests of a client that closes its side before the answer.
async fn ask(host: &Host, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(host.address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    read_to_end(stream, request).await
}

async fn read_to_end(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let ended = timeout(HANGS, stream.read_to_end(&mut answer)).await;
    let _ = ended.unwrap_or_else(|_| panic!("no end of the answer to {}", bytes.escape_ascii()));
    answer
}

/// Whether these are the bytes of HTTP/2: the first frame of a server has the type
/// SETTINGS.
fn is_settings(answer: &[u8]) -> bool {
    answer.get(3) == Some(&4)
}

/// The status of the first answer. None if the host has closed the connection.
fn status(answer: &[u8]) -> Option<u16> {
    if answer.is_empty() {
        return None;
    }
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let text = std::str::from_utf8(line).unwrap_or_else(|_| panic!("{}", answer.escape_ascii()));
    let rest = text.strip_prefix("HTTP/1.1 ").or(text.strip_prefix("HTTP/1.0 "));
    let status = rest.and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
    Some(status.unwrap_or_else(|| panic!("no status: {}", answer.escape_ascii())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_bytes_get_a_legal_answer_or_none() {
    let host = Setup::new().start().await;
    let corpus = Corpus::new(REQUESTS.iter().copied(), WORDS);
    let mut answered = 0;
    for mut case in cases(400) {
        let bytes = corpus.mutated(&mut case.random);
        let answer = exchange(&host, &bytes).await;
        if bytes.starts_with(HTTP2_PREFACE) {
            assert!(is_settings(&answer), "{} is answered with {}", bytes.escape_ascii(), answer.escape_ascii());
            continue;
        }
        let Some(status) = status(&answer) else { continue };
        // On a busy machine, a call may wait too long.
        let legal = (100..500).contains(&status) || [501, 503, 504, 505].contains(&status);
        assert!(legal, "{} is answered with {}", bytes.escape_ascii(), answer.escape_ascii());
        answered += 1;
    }
    assert_eq!(host.visitor().get("/api/tickets").await.status, 200);
    assert!(!host.log().contains("panicked"), "{}", host.log());
    eprintln!("{answered} inputs were answered");
}

/// A changed value of a header, in one line.
fn one_line(corpus: &Corpus, random: &mut StdRng) -> Vec<u8> {
    corpus.mutated(random).into_iter().filter(|byte| *byte != b'\r' && *byte != b'\n').collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_header_makes_a_foreign_page_ours() {
    let host = Setup::new().start().await;
    let values = ["localhost", "http://evil.example", "same-site", "https", "for=1.2.3.4;host=evil.example;proto=http"];
    let corpus = Corpus::new(values, WORDS);
    let names =
        ["x-forwarded-host", "x-forwarded-proto", "forwarded", "sec-fetch-mode", "referer", "cookie", "x-a", "accept"];
    for mut case in cases(200) {
        let name = names[case.random.random_range(0..names.len())];
        let origin = ["http://evil.example", "null", "http://localhost.evil.example", "https://localhost:1"];
        let origin = origin[case.random.random_range(0..origin.len())];
        let head = "POST /api/users/signout HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
        let mut bytes = format!("{head}origin: {origin}\r\n{name}: ").into_bytes();
        bytes.extend(one_line(&corpus, &mut case.random));
        bytes.extend(b"\r\ncontent-length: 2\r\n\r\n{}");
        let answer = ask(&host, &bytes).await;
        let passed = status(&answer).is_some_and(|status| status < 400);
        assert!(!passed, "{} is answered with {}", bytes.escape_ascii(), answer.escape_ascii());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_session_is_nobodys() {
    let host = Setup::new().start().await;
    let mut visitor = host.visitor();
    let session = visitor.sign_up("fuzz@example.com").await.session();
    let value = session.split(';').next().unwrap().trim_start_matches("session=").to_owned();
    let is_known = async |cookie: &[u8]| {
        let head: &[u8] =
            b"GET /api/users/currentuser HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncookie: session=";
        let answer = ask(&host, &[head, cookie, &b"\r\n\r\n"[..]].concat()).await;
        answer.windows(16).any(|part| part == b"fuzz@example.com")
    };
    assert!(is_known(value.as_bytes()).await, "{session}");
    let corpus = Corpus::new([value.clone()], WORDS);
    for mut case in cases(200) {
        let changed = one_line(&corpus, &mut case.random);
        let contains = changed.windows(value.len()).any(|part| part == value.as_bytes());
        assert!(contains || !is_known(changed.as_slice()).await, "{} instead of {value}", changed.escape_ascii());
    }
}
