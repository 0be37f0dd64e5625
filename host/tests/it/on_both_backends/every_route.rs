//! Behaviour that is the same on every route: the error envelope, the headers,
//! and requests that no route answers.

use crate::support::{PASSWORD, Reply, Setup};
use bytes::Bytes;
use http::Method;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;

const UNKNOWN_ID: &str = "018bcfe5-6800-7000-8000-000000000000";

#[tokio::test]
async fn an_unknown_path_is_not_found_in_the_envelope() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for client in [&host.visitor(), &anna] {
        for (method, path) in [
            (Method::GET, "/api"),
            (Method::GET, "/api/unknown"),
            (Method::GET, "/api/tickets/1/2"),
            (Method::HEAD, "/api/unknown"),
            (Method::OPTIONS, "/api/unknown"),
            (Method::POST, "//evil.example/"),
            (Method::GET, "/metrics"),
            (Method::GET, "/plugins"),
        ] {
            let reply = client.send(method.clone(), path, None).await;
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
            match method {
                Method::HEAD => assert_eq!((reply.status, reply.text.as_str()), (404, "")),
                _ => reply.refuses(404, "Not Found"),
            }
        }
    }
}

#[tokio::test]
async fn another_method_on_a_known_path_is_refused_with_the_methods_that_it_has() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for client in [&host.visitor(), &anna] {
        for (method, path, allow) in [
            (Method::DELETE, "/api/tickets", "GET, HEAD, OPTIONS, POST"),
            (Method::PATCH, "/api/orders/1", "DELETE, GET, HEAD, OPTIONS"),
            (Method::PUT, "/api/orders", "GET, HEAD, OPTIONS, POST"),
            (Method::PUT, "/api/payments", "OPTIONS, POST"),
            (Method::GET, "/api/users/signup", "OPTIONS, POST"),
            (Method::HEAD, "/api/users/signup", "OPTIONS, POST"),
            (Method::TRACE, "/", "GET, HEAD, OPTIONS"),
            (Method::from_bytes(b"BREW").unwrap(), "/api/tickets", "GET, HEAD, OPTIONS, POST"),
        ] {
            let reply = client.send(method.clone(), path, None).await;
            assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {path}");
            if method != Method::HEAD {
                reply.refuses(405, "Method Not Allowed");
            }
            let options = client.send(Method::OPTIONS, path, None).await;
            let answer = (options.status, options.header("allow"), options.text.as_str());
            assert_eq!(answer, (204, Some(allow), ""), "{path}");
        }
    }
}

#[tokio::test]
async fn head_gives_the_headers_of_get_and_no_body() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = format!("/api/tickets/{}", anna.sell("x", 1.0).await.id);
    for path in ["/", "/api/tickets", &ticket, "/api/users/currentuser", "/api/orders"] {
        let (get, head) = (anna.get(path).await, anna.send(Method::HEAD, path, None).await);
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        for name in ["content-type", "etag", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
        assert_eq!(head.header("content-length").unwrap(), get.text.len().to_string(), "{path}");
    }
    let gone = anna.send(Method::HEAD, &format!("/api/tickets/{UNKNOWN_ID}"), None).await;
    assert_eq!((gone.status, gone.text.as_str()), (404, ""));
}

#[tokio::test]
async fn a_fresh_copy_is_answered_with_304() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("x", 1.0).await;
    let path = format!("/api/tickets/{}", ticket.id);
    let ask = async |method: Method, tag: &str| anna.with_header("if-none-match", tag).send(method, &path, None).await;
    for (method, tag, status) in [
        (Method::GET, "\"0\"", 304),
        (Method::HEAD, "\"0\"", 304),
        (Method::GET, "W/\"0\"", 304),
        (Method::GET, "\"7\", \"0\"", 304),
        (Method::GET, "\"7\"", 200),
    ] {
        let reply = ask(method, tag).await;
        assert_eq!((reply.status, reply.header("etag")), (status, Some("\"0\"")), "{tag}");
        assert!(status == 200 || reply.text.is_empty(), "{reply:?}");
    }
    let edit = json!({ "title": "y", "price": 2 });
    let changed = anna.with_header("if-none-match", "\"0\"").put(&path, edit).await;
    assert_eq!(changed.status, 200, "a change is never answered from a copy: {changed:?}");
    assert_eq!(ask(Method::GET, "\"0\"").await.status, 200);
}

#[tokio::test]
async fn a_slash_at_the_end_leads_to_the_path_without_it() {
    let host = Setup::new().start().await;
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    for (path, location) in [
        ("/api/tickets/", "/api/tickets"),
        ("/api/tickets/?limit=1&q=a%20b", "/api/tickets?limit=1&q=a%20b"),
        ("/sell/", "/sell"),
        ("/tickets/1/", "/tickets/1"),
    ] {
        let reply = Reply::of(browser.get(format!("http://{}{path}", host.address()))).await.unwrap();
        assert_eq!((reply.status, reply.header("location")), (308, Some(location)), "{path}");
    }
    assert_eq!(host.visitor().get("/api/tickets/?limit=1").await.json(), json!([]));
}

#[tokio::test]
async fn answers_that_depend_on_the_visitor_stay_out_of_caches() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for client in [&anna, &host.visitor()] {
        for path in ["/api/tickets", "/api/users/currentuser", "/api/orders"] {
            let reply = client.get(path).await;
            assert_eq!(reply.header("cache-control"), Some("private, no-store"), "{path}: {reply:?}");
            assert_eq!(reply.header("vary"), Some("Cookie"), "{path}");
        }
    }
    let session = host.visitor().post("/api/users/signin", json!({ "email": anna.email, "password": PASSWORD })).await;
    assert_eq!((session.status, session.header("cache-control")), (200, Some("private, no-store")));
}

#[tokio::test]
async fn a_browser_gets_refusals_of_the_host_as_a_page() {
    let host = Setup::new().start().await;
    let browser = host.visitor().with_header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    for (method, path, status, title) in
        [(Method::GET, "/unknown", 404, "Not Found"), (Method::POST, "/sell", 405, "Method Not Allowed")]
    {
        let page = browser.send(method, path, None).await;
        assert_eq!((page.status, page.header("content-type")), (status, Some("text/html; charset=utf-8")), "{path}");
        assert!(page.text.contains(&format!("<h1>{title}</h1>")), "{page:?}");
        assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{page:?}");
    }
    assert_eq!(browser.get("/api/orders").await.header("content-type"), Some("application/json"));
    for (path, media_type) in [("/favicon.ico", "image/svg+xml"), ("/robots.txt", "text/plain; charset=utf-8")] {
        let file = host.visitor().get(path).await;
        assert_eq!((file.status, file.header("content-type")), (200, Some(media_type)), "{path}");
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
