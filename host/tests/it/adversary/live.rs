//! Live answers of a component that breaks the contract, and clients that do not
//! read.

use crate::support::{Setup, eventually, radio, radio_host};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn an_answer_that_cannot_be_held_is_a_failure_of_the_component() {
    let host = radio_host(Setup::without_components()).await;
    let visitor = host.visitor();
    let many = (0..17).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let (many, long) =
        (format!("grip-hold=stream&grip-channel={many}"), format!("grip-hold=stream&grip-channel={}", "c".repeat(129)));
    for (method, query) in [
        (Method::GET, "grip-hold=stream"),
        (Method::GET, "grip-channel=a"),
        (Method::GET, "grip-hold=response&grip-channel=a"),
        (Method::GET, "grip-hold=stream&grip-channel="),
        (Method::GET, "grip-hold=stream&grip-channel=a%20b"),
        (Method::GET, "grip-hold=stream&grip-channel=a,"),
        (Method::GET, &many),
        (Method::GET, &long),
        (Method::GET, "grip-hold=stream&grip-channel=a&status=404"),
        (Method::GET, "grip-hold=stream&grip-channel=a&status=204"),
        (Method::GET, "grip-hold=stream&grip-channel=a&content-type=text/html"),
        (Method::POST, "grip-hold=stream&grip-channel=a"),
    ] {
        let before = host.failures("radio", "answer").await;
        let reply = visitor.send(method, &format!("/radio/odd?{query}"), None).await;
        reply.refuses(500, "Something went wrong");
        assert_eq!(host.failures("radio", "answer").await, before + 1, "{query}");
    }
    assert_eq!(visitor.get("/radio/odd?etag=1").await.status, 200);
    assert_eq!(host.counted("live_listeners", "radio").await, 0.0);
    assert!(!host.log().contains("panicked"), "{}", host.log());
}

#[tokio::test]
async fn events_are_limited_and_forge_nothing() {
    let host = radio_host(Setup::without_components()).await;
    let visitor = host.visitor();
    let (_, mut listening) = visitor.listen("a").await;
    let told = visitor.send_live(json!({ "events": [["a", "many", "x"]], "times": 10_000 })).await;
    assert_eq!(told["sent"], 100, "{told}");
    assert!(told["problem"].as_str().unwrap().contains("100 live events"), "{told}");
    let large = "x".repeat(64 << 10);
    let told = visitor.send_live(json!({ "events": [["a", "large", large]], "times": 100 })).await;
    assert_eq!(told["sent"], 16, "{told}");
    for (channel, name, data) in [
        ("a", "said", "x".repeat((64 << 10) + 1)),
        ("a", "said\ndata: forged", String::new()),
        ("a", "said\rid: 1", String::new()),
        ("a", "reset", String::new()),
        ("a", "", "\0".to_owned()),
        ("", "said", String::new()),
        ("a,b", "said", String::new()),
        ("a\n", "said", String::new()),
    ] {
        let told = visitor.send_live(json!({ "events": [[channel, name, data]] })).await;
        assert_eq!(told["sent"], 0, "{channel:?} {name:?}: {told}");
    }
    visitor.tell("a", "x\n\nid: 999\nevent: reset\r\n\r\ndata: forged").await;
    assert_eq!(listening.data(100).await, vec!["x"; 100]);
    assert!(listening.data(16).await.iter().all(|data| data.len() == 64 << 10));
    let last = listening.next().await.unwrap();
    assert_eq!((last.name.as_str(), last.id.as_str()), ("said", "117"));
    assert_eq!(last.data, "x\n\nid: 999\nevent: reset\n\ndata: forged");
}

#[tokio::test]
async fn a_channel_belongs_to_one_component() {
    let host = radio_host(Setup::without_components()).await;
    let (operator, visitor) = (host.operator(), host.visitor());
    operator.allow("pirat", json!({ "grants": ["store"] })).await;
    operator.deploy("pirat", radio("1.0.0", "black").renamed("radio", "pirat").bytes()).await;
    let (_, mut listening) = visitor.listen("a").await;
    let reply = visitor.post("/pirat/events", json!({ "events": [["a", "said", "from the pirate"]] })).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    visitor.tell("a", "from the radio").await;
    assert_eq!(listening.data(1).await, ["from the radio"]);
}

#[tokio::test]
async fn clients_that_do_not_read_are_disconnected_and_hold_nobody_back() {
    let host = radio_host(Setup::without_components().http("write_timeout_ms = 2000\n")).await;
    let visitor = host.visitor();
    let (_, mut listening) = visitor.listen("a").await;
    let request = format!("GET /radio/events?channels=a HTTP/1.1\r\nhost: {}\r\n\r\n", host.address());
    let mut deaf = Vec::new();
    for _ in 0..20 {
        deaf.push(host.deaf_client(request.as_bytes()).await);
    }
    let count = async || host.counted("live_listeners", "radio").await;
    eventually("all listen", count, |count| *count == 21.0).await;
    let before = host.resident_mib().await;
    let large = "x".repeat(64 << 10);
    for _ in 0..24 {
        let told = visitor.send_live(json!({ "events": [["a", "large", large]], "times": 16 })).await;
        assert_eq!(told["sent"], 16, "{told}");
        assert_eq!(listening.data(16).await.len(), 16);
    }
    let grown = host.resident_mib().await - before;
    assert!(grown < 100.0, "{grown} MiB");
    eventually("only the client that reads is left", count, |count| *count == 1.0).await;
    visitor.tell("a", "still here").await;
    assert_eq!(listening.data(1).await, ["still here"]);
}
