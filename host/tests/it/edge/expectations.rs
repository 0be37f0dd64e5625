//! A client that asks before it sends a body.

use super::{answer, read_until, sent};
use crate::{
    support::{Host, Setup},
    wasi_http::WasiHttp,
};
use tokio::io::AsyncWriteExt;

fn head(request: &str, more: &str) -> String {
    format!(
        "{request} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n{more}\r\n"
    )
}

/// The first line that the host sends, when the client has sent no body.
async fn first_line(host: &Host, head: &str) -> String {
    read_until(&mut sent(host, head.as_bytes()).await, "\r\n").await
}

#[tokio::test]
async fn a_body_that_will_be_refused_is_not_asked_for() {
    let setup = Setup::new().variable("TICKETING_RATE_LIMITS", "on");
    let host = setup.toml("[rate_limits]\nroutes = { \"POST /api/users/signup\" = \"1/h\" }\n").start().await;
    WasiHttp::rust("streaming").deploy(&host.operator()).await;
    for (request, more, status) in [
        ("POST /api/users/signin", "content-length: 1000000000\r\n", 413),
        ("POST /streaming/echo", "content-length: 100000000000\r\n", 413),
        ("POST /nothing", "content-length: 10\r\n", 404),
        ("POST /nothing", "transfer-encoding: chunked\r\n", 404),
        ("DELETE /api/users/signin", "content-length: 10\r\n", 405),
        ("POST /api/users/signin", "content-length: 10\r\norigin: http://evil.example\r\n", 403),
        ("POST /api/users/signin", "content-length: 10\r\nhost: other\r\n", 400),
        ("POST /api/users/signin", "content-length: 10\r\nexpect: other\r\n", 417),
    ] {
        let line = first_line(&host, &head(request, more)).await;
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{request} {more:?}: {line}");
    }
    let sign_up = head("POST /api/users/signup", "content-length: 2\r\n");
    let mut accepted = sent(&host, sign_up.as_bytes()).await;
    assert_eq!(
        read_until(&mut accepted, "\r\n\r\n").await,
        "HTTP/1.1 100 Continue\r\n\r\n",
        "the first is not over the limit"
    );
    assert!(first_line(&host, &sign_up).await.starts_with("HTTP/1.1 429 "));
    let operators = format!(
        "POST /plugins HTTP/1.1\r\nhost: {}\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n",
        host.operators_address()
    );
    let mut stream = tokio::net::TcpStream::connect(host.operators_address()).await.unwrap();
    stream.write_all(operators.as_bytes()).await.unwrap();
    assert!(read_until(&mut stream, "\r\n").await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn a_body_that_may_be_accepted_is_asked_for_once() {
    let host = Setup::new().start().await;
    let mut stream = sent(&host, head("POST /api/users/signin", "content-length: 2\r\n").as_bytes()).await;
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    assert!(read_until(&mut stream, "\r\n").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn an_expectation_that_the_host_does_not_know_is_417() {
    let host = Setup::new().start().await;
    for (version, expected) in [("1.1", "HTTP/1.1 417 "), ("1.0", "HTTP/1.0 200 ")] {
        let request =
            format!("GET /api/tickets HTTP/{version}\r\nhost: a\r\nexpect: a-miracle\r\nconnection: close\r\n\r\n");
        let text = answer(&host, &request).await;
        assert!(text.starts_with(expected), "{text}");
        if version == "1.1" {
            assert!(text.ends_with(r#"{"errors":[{"message":"Only 100-continue can be expected"}]}"#), "{text}");
        }
    }
}
