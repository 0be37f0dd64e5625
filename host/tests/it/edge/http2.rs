//! HTTP/2 beside HTTP/1.1, on the same port.

use super::{PATIENCE, ask, get, greeter, http2_client, http2_client_with, text};
use crate::{
    adversary::with_hostile_guest,
    support::{Host, Setup, eventually},
};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Sends a request with a body and returns the answer that has begun.
async fn post(
    host: &Host,
    client: &SendRequest<Bytes>,
    path: &str,
    body: String,
) -> Result<http::Response<h2::RecvStream>, h2::Error> {
    let mut client = client.clone().ready().await?;
    let request = Request::post(format!("http://{}{path}", host.address())).header("content-type", "application/json");
    let (answer, mut sending) = client.send_request(request.body(()).unwrap(), false)?;
    sending.send_data(body.into(), true)?;
    timeout(PATIENCE, answer).await.expect("the host should answer")
}

#[tokio::test]
async fn one_port_speaks_both_versions() {
    let host = Setup::new().start().await;
    let (client, _connection) = http2_client(&host).await;
    let (status, body) = ask(&client, get(&host, "/api/tickets")).await.unwrap();
    assert_eq!((status.as_u16(), body.as_str()), (200, "[]"));
    assert_eq!(ask(&client, get(&host, "/nothing")).await.unwrap().0, 404);
    assert_eq!(client.current_max_send_streams(), 100);
    let user = json!({ "email": "a@example.com", "password": "correct horse" }).to_string();
    let answer = post(&host, &client, "/api/users/signup", user).await.unwrap();
    assert_eq!(answer.status(), 201);
    assert!(answer.headers().contains_key("set-cookie"));
    assert!(text(answer).await.unwrap().contains("a@example.com"));
    assert_eq!(host.visitor().get("/api/tickets").await.status, 200);
}

#[tokio::test]
async fn an_answer_without_a_body_has_none() {
    let host = with_hostile_guest("").await;
    let (client, _connection) = http2_client(&host).await;
    let length = ask(&client, get(&host, "/hello")).await.unwrap().1.len();
    let mut head = get(&host, "/hello");
    *head.method_mut() = http::Method::HEAD;
    let mut sending = client.clone().ready().await.unwrap();
    let answer = timeout(PATIENCE, sending.send_request(head, true).unwrap().0).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-length"], length.to_string());
    assert_eq!(text(answer).await.unwrap(), "");
    for status in [204, 304] {
        // The host counts a long head until it has left.
        for more_headers in [0, 60] {
            let script =
                json!({ "status": status, "body_bytes": 9, "more_headers": more_headers, "value_bytes": 1_000 });
            let script = json!({ "script": script }).to_string();
            let answer = post(&host, &client, "/hostile/answer", script).await.unwrap();
            assert_eq!(answer.status(), status);
            assert!(!answer.headers().contains_key("content-length"));
            assert!(answer.headers().len() >= more_headers, "{:?}", answer.headers());
            assert_eq!(text(answer).await.unwrap(), "", "{status}");
        }
    }
}

#[tokio::test]
async fn a_large_answer_and_many_answers_at_once_arrive_whole() {
    let host = with_hostile_guest("").await;
    let (client, _connection) = http2_client(&host).await;
    let large = json!({ "script": { "body_bytes": 3 << 20 } }).to_string();
    let answer = post(&host, &client, "/hostile/answer", large).await.unwrap();
    assert_eq!(text(answer).await.unwrap().len(), 3 << 20);
    let asked = (0..200).map(|_| ask(&client, get(&host, "/hello")));
    for answer in futures::future::join_all(asked).await {
        assert_eq!(answer.unwrap().0, 200);
    }
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let host = greeter().http("header_bytes = 8192\n").start().await;
    let (client, _connection) = http2_client(&host).await;
    let mut request = get(&host, "/hello");
    for number in 0..8 {
        request
            .headers_mut()
            .insert(http::HeaderName::try_from(format!("x-{number}")).unwrap(), "x".repeat(2_000).parse().unwrap());
    }
    assert!(!ask(&client, request).await.is_ok_and(|(status, _)| status != 431));
    let (client, _connection) = http2_client(&host).await;
    assert_eq!(ask(&client, get(&host, "/hello")).await.unwrap().0, 200);
}

/// A client whose window for each answer has room for so many bytes.
async fn narrow_client(
    host: &Host,
    window: u32,
) -> (SendRequest<Bytes>, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    http2_client_with(host, h2::client::Builder::new().initial_window_size(window)).await
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends_and_the_others_of_its_connection_do_not() {
    let host = with_hostile_guest("write_timeout_ms = 1000\n").await;
    let builder = &mut h2::client::Builder::new();
    let (client, _connection) = http2_client_with(&host, builder.initial_connection_window_size(16 << 20)).await;
    let large = || json!({ "script": { "body_bytes": 3 << 20 } }).to_string();
    // The window of the stream has room for a part, and the client takes no more.
    let mut stalled = post(&host, &client, "/hostile/answer", large()).await.unwrap().into_body();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(ask(&client, get(&host, "/hello")).await.unwrap().0, 200);
    }
    let mut read = 0;
    let ended = loop {
        match timeout(PATIENCE, stalled.data()).await.expect("the host resets the stream") {
            Some(Ok(data)) => read += data.len(),
            ended => break ended,
        }
    };
    assert!(ended.is_some_and(|ended| ended.is_err()) && read < 1 << 20, "{read}");
    assert_eq!(ask(&client, get(&host, "/hello")).await.unwrap().0, 200);
    let answer = post(&host, &client, "/hostile/answer", large()).await.unwrap();
    assert_eq!(text(answer).await.unwrap().len(), 3 << 20, "a client that takes its answer gets it");
}

#[tokio::test]
async fn answers_that_nobody_takes_free_their_memory() {
    let host = with_hostile_guest("unsent_plugin_mib = 16\nwrite_timeout_ms = 2000\n").await;
    let large = json!({ "script": { "body_bytes": 3 << 20 } }).to_string();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let (client, connection) = narrow_client(&host, 0).await;
        for _ in 0..4 {
            // Answers beyond the bound are refused.
            clients.push((post(&host, &client, "/hostile/answer", large.clone()).await.unwrap(), client.clone()));
        }
        drop(connection);
    }
    let refused = async || host.failures("hostile", "unread").await;
    eventually("answers beyond the limit are refused", refused, |count| *count > 0).await;
    let (client, _connection) = http2_client(&host).await;
    let again = async || post(&host, &client, "/hostile/answer", large.clone()).await.unwrap().status();
    eventually("the memory is free again", again, |status| *status == 200).await;
    assert_eq!(host.failures("hostile", "deadline").await, 0);
    drop(clients);
}

#[tokio::test]
async fn a_short_answer_that_nobody_takes_ends_its_stream_or_its_connection() {
    let host = greeter().http("write_timeout_ms = 1000\n").start().await;
    let begin = async |client: &SendRequest<Bytes>| {
        let mut sending = client.clone().ready().await.unwrap();
        let (answer, _) = sending.send_request(get(&host, "/hello"), true).unwrap();
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body()
    };
    let (client, _connection) = narrow_client(&host, 0).await;
    let mut body = begin(&client).await;
    assert!(
        timeout(PATIENCE, body.data()).await.unwrap().is_some_and(|data| data.is_err()),
        "the host resets the stream"
    );
    drop(begin(&client).await);

    // The host has handed the whole answer on when the client stops.
    let (client, connection) = narrow_client(&host, 4).await;
    let _body = begin(&client).await;
    assert!(timeout(PATIENCE, connection).await.is_ok(), "the host should close the connection");
}

#[tokio::test]
async fn a_request_under_way_is_answered_at_the_end_of_a_host() {
    let mut host = with_hostile_guest("").await;
    let (client, connection) = http2_client(&host).await;
    let mut sending = client.clone().ready().await.unwrap();
    let request = Request::post(format!("http://{}/hostile/answer", host.address()));
    let (answer, mut body) = sending.send_request(request.body(()).unwrap(), false).unwrap();
    let operator = host.operator();
    let in_flight = async || operator.plugin("hostile").await["in_flight"].as_u64();
    eventually("the request has begun", in_flight, |count| *count == Some(1)).await;
    host.terminate().await;
    let log = async || host.log();
    eventually("the host begins to drain", log, |log| log.contains("the host stops")).await;
    body.send_data(json!({ "script": { "status": 200 } }).to_string().into(), true).unwrap();
    assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap().status(), 200);
    drop((client, sending));
    assert_eq!(host.ended().await.code(), Some(0));
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_whose_body_is_not_there_yet_holds_up_no_other_of_its_connection() {
    let host = with_hostile_guest("").await;
    let (client, _connection) = http2_client(&host).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut sending = client.clone().ready().await.unwrap();
        let request = Request::post(format!("http://{}/hostile/answer", host.address()));
        waiting.push(sending.send_request(request.body(()).unwrap(), false).unwrap());
        let script = json!({ "script": { "status": 200 } }).to_string();
        assert_eq!(post(&host, &client, "/hostile/answer", script).await.unwrap().status(), 200);
    }
    for (answer, mut body) in waiting {
        body.send_data(json!({ "script": { "status": 201 } }).to_string().into(), true).unwrap();
        assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap().status(), 201);
    }
}
