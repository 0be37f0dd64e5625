//! The events as they are published, for administrators.

use crate::{
    hostile::hostile,
    support::{Client, eventually},
};
use http::Method;
use serde_json::{Value, json};

async fn publish(visitor: &Client, id: &str) {
    let event = json!({ "id": id, "mood": "apply", "subject": "hostile.event" });
    assert_eq!(visitor.post("/hostile/publish", event).await.status, 201);
}

#[tokio::test]
async fn an_administrator_sees_events_as_they_are_published_and_the_audit_says_so() {
    let host = hostile().start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    publish(&visitor, "before").await;
    let mut all = operator.request(Method::GET, "/live-events").send().await.unwrap();
    let mut none = operator.request(Method::GET, "/live-events?subject=other.event").send().await.unwrap();
    assert_eq!((all.status().as_u16(), none.status().as_u16()), (200, 200));
    publish(&visitor, "after").await;
    // The relay may publish the first event after the stream has begun.
    let mut text = String::new();
    let event = loop {
        text.push_str(std::str::from_utf8(&all.chunk().await.unwrap().unwrap()).unwrap());
        let whole = text.split("\n\n").filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok());
        if let Some(event) = whole.into_iter().find(|event: &Value| event["payload"]["id"] == "after") {
            break event;
        }
    };
    assert_eq!((&event["subject"], &event["source"]), (&json!("hostile.event"), &json!("hostile")));
    assert!(event["traceparent"].as_str().unwrap().starts_with("00-"), "{event}");
    let silent = tokio::time::timeout(std::time::Duration::from_millis(200), none.chunk()).await;
    assert!(silent.is_err(), "{silent:?}");

    let audited = async || operator.get("/audit").await.text;
    eventually("the audit has the reader", audited, |text| text.contains("watch events")).await;
    let tokens = [
        json!({ "name": "viewer", "role": "view" }),
        json!({ "name": "ci", "role": "deploy" }),
        json!({ "name": "own", "role": "admin", "plugins": ["hostile"] }),
    ];
    for token in tokens {
        let caller = host.bearer(&operator.make_token(token).await.text);
        assert_eq!(caller.get("/live-events").await.status, 403);
    }
    host.outsider().get("/live-events").await.refuses(401, "Not authorized");
    assert_eq!(operator.get("/live-events?more=1").await.status, 400);
}
