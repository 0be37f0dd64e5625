//! Behaviour that is the same on every route: the error envelope, the headers,
//! and requests that no route answers.

use crate::support::{Reply, Setup};
use bytes::Bytes;
use http::Method;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;

const UNKNOWN_ID: &str = "018bcfe5-6800-7000-8000-000000000000";

#[tokio::test]
async fn an_unknown_route_or_method_is_not_found_in_the_envelope() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for client in [&host.visitor(), &anna] {
        for (method, path) in [
            (Method::GET, "/api"),
            (Method::GET, "/api/unknown"),
            (Method::GET, "/api/tickets/1/2"),
            (Method::DELETE, "/api/tickets"),
            (Method::PATCH, "/api/tickets/1"),
            (Method::PUT, "/api/orders"),
            (Method::GET, "/api/payments"),
            (Method::GET, "/api/users/signup"),
            (Method::GET, "/metrics"),
            (Method::GET, "/plugins"),
        ] {
            client.send(method, path, None).await.refuses(404, "Not Found");
        }
    }
}

#[tokio::test]
async fn an_id_that_cannot_exist_is_not_found() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let long = "x".repeat(2_000);
    for id in ["1", "x", "%00", "%ff", "..%2f..", "018bcfe5-6800-7000-8000-00000000000g", &long, UNKNOWN_ID] {
        let body = json!({ "title": "x", "price": 1 });
        anna.get(&format!("/api/tickets/{id}")).await.refuses(404, "Not Found");
        anna.put(&format!("/api/tickets/{id}"), body).await.refuses(404, "Not Found");
        anna.withdraw(id).await.refuses(404, "Not Found");
        anna.get(&format!("/api/orders/{id}")).await.refuses(404, "Not Found");
        anna.get(&format!("/api/payments/{id}")).await.refuses(404, "Not Found");
        anna.delete(&format!("/api/orders/{id}")).await.refuses(404, "Not Found");
    }
    for id in ["1", "", "\u{1f3ab}", UNKNOWN_ID] {
        let order = anna.post("/api/orders", json!({ "ticketId": id })).await;
        let payment = anna.post("/api/payments", json!({ "orderId": id, "token": "tok_visa" })).await;
        if id.is_empty() {
            continue;
        }
        order.refuses(404, "Not Found");
        payment.refuses(404, "Not Found");
    }
}

#[tokio::test]
async fn a_request_without_a_session_is_refused_before_anything_else() {
    let host = Setup::new().start().await;
    let visitor = host.visitor();
    for (method, path) in [
        (Method::POST, "/api/tickets".to_owned()),
        (Method::PUT, format!("/api/tickets/{UNKNOWN_ID}")),
        (Method::PUT, "/api/tickets/malformed".to_owned()),
        (Method::DELETE, format!("/api/tickets/{UNKNOWN_ID}")),
        (Method::GET, "/api/tickets?seller=me&limit=0".to_owned()),
        (Method::POST, "/api/orders".to_owned()),
        (Method::GET, "/api/orders".to_owned()),
        (Method::GET, format!("/api/orders/{UNKNOWN_ID}")),
        (Method::DELETE, format!("/api/orders/{UNKNOWN_ID}")),
        (Method::POST, "/api/payments".to_owned()),
        (Method::GET, format!("/api/payments/{UNKNOWN_ID}")),
    ] {
        visitor.raw(method, &path, "{ malformed").await.refuses(401, "Not authorized");
    }
}

#[tokio::test]
async fn a_body_is_validated_before_its_subject_is_looked_up() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let path = format!("/api/tickets/{UNKNOWN_ID}");
    anna.put(&path, json!({ "title": "", "price": 0 })).await.blames(&["price", "title"]);
    anna.post("/api/orders", json!({})).await.blames(&["ticketId"]);
    anna.post("/api/payments", json!({})).await.blames(&["orderId", "token"]);
    anna.post("/api/payments", json!({ "orderId": UNKNOWN_ID })).await.blames(&["token"]);
}

#[tokio::test]
async fn malformed_json_is_refused_on_every_route_that_takes_a_body() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("x", 1.0).await;
    let own = format!("/api/tickets/{}", ticket.id);
    for (method, path) in [
        (Method::POST, "/api/tickets"),
        (Method::PUT, &own),
        (Method::POST, "/api/orders"),
        (Method::POST, "/api/payments"),
    ] {
        for body in ["{", "[1]", "{\"title\": \"a\" \"price\": 1}", "null", "{\"title\": 'a'}"] {
            let reply = anna.raw(method.clone(), path, body).await;
            assert_eq!(reply.status, 400, "{method} {path} {body}: {reply:?}");
            reply.errors();
        }
    }
    let nested = format!("{{\"title\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let reply = anna.raw(Method::POST, "/api/tickets", nested).await;
    assert_eq!(reply.status, 400, "{reply:?}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let host = Setup::new().toml("[plugins.tickets.limits]\nbody_bytes = 4096").start().await;
    let anna = host.user("anna").await;
    let body = format!("{{\"title\":\"{}\",\"price\":1}}", "x".repeat(5_000));
    let reply = anna.raw(Method::POST, "/api/tickets", body.clone()).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    assert_eq!(reply.errors().len(), 1);
    assert_eq!(
        reply.header("connection"),
        Some("close"),
        "the host closes the connection, because it has not read the body"
    );

    let frames =
        body.into_bytes().chunks(1_000).map(|chunk| Frame::data(Bytes::copy_from_slice(chunk))).collect::<Vec<_>>();
    let frames = futures::stream::iter(frames.into_iter().map(Ok::<_, std::io::Error>));
    let streamed = reqwest::Body::wrap(StreamBody::new(frames));
    let reply = anna.raw(Method::POST, "/api/tickets", streamed).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    assert_eq!(anna.try_sell("x", 1).await.status, 201);
}

#[tokio::test]
async fn every_answer_has_the_request_id() {
    let host = Setup::new().start().await;
    let visitor = host.visitor();
    let generated = |reply: &Reply| reply.header("x-request-id").unwrap().to_owned();
    let one = generated(&visitor.get("/api/tickets").await);
    let other = generated(&visitor.get("/api/unknown").await);
    assert_ne!(one, other);

    let named = visitor.with_header("x-request-id", "my-own-id-0001");
    for path in ["/api/tickets", "/api/orders", "/api/unknown"] {
        assert_eq!(named.get(path).await.header("x-request-id"), Some("my-own-id-0001"));
    }
    let harmful = visitor.with_header("x-request-id", "a\" id=\"other");
    assert_ne!(harmful.get("/api/tickets").await.header("x-request-id"), Some("a\" id=\"other"));
}

#[tokio::test]
async fn the_revision_that_answered_is_named_where_operators_ask_for_it() {
    let host = Setup::new().http("revision_header = true").start().await;
    let reply = host.visitor().get("/api/tickets").await;
    let named = reply.headers.values().any(|value| value.to_str().is_ok_and(|text| text.starts_with("tickets ")));
    assert!(named, "{reply:?}");
}
