//! Logs and traces: one line for each request, and one trace for the request and
//! all of its effects.

use crate::support::{Setup, Status, eventually};
use serde_json::Value;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test]
async fn each_request_is_one_line_in_the_log() {
    let host = Setup::new().flag("--log-format=json").start().await;
    let visitor = host.visitor().with_header("x-request-id", "the-request-of-this-test");
    visitor.get("/api/tickets?q=secret-search").await;
    let lines = async || {
        let log = host.log();
        let lines = log.lines().filter(|line| line.contains("the-request-of-this-test"));
        lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let lines = eventually("the log has the line", lines, |lines| !lines.is_empty()).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let text = lines[0].to_string();
    for part in ["\"method\":\"GET\"", "/api/tickets", "\"status\":200", "duration", "\"tickets\"", "1.0.0"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("secret-search"), "{text}");
}

#[tokio::test]
async fn secrets_are_not_logged() {
    let setup = Setup::new().flag("--log=trace").variable("JWT_KEY", "a key that nobody may see anywhere");
    let host = setup.start().await;
    let anna = host.user("anna").await;
    host.operator().get("/plugins").await;
    let log = host.log();
    let session = anna.cookie.as_deref().unwrap().strip_prefix("session=").unwrap();
    for secret in ["a key that nobody may see", crate::support::PASSWORD, crate::support::ADMIN_TOKEN, session] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_trace_goes_through_events_and_timers() {
    let host = Setup::new().expiration_seconds(1).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let traced = buyer.with_header("traceparent", &format!("00-{TRACE}-b7ad6b7169203331-01"));
    let order = traced.reserve(&ticket.id).await;
    buyer.order_becomes(&order.id, Status::Cancelled).await;
    seller.ticket_when("the ticket is free", &ticket.id, |ticket| ticket.order_id.is_none()).await;
    host.settles().await;
    let traced = host.look_at_bus().await.traced(&format!("00-{TRACE}-")).await;
    let subjects: Vec<&str> = traced.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "order.created",
            "ticket.updated",
            "expiration.complete",
            "order.cancelled",
            "ticket.updated",
            "ticket.copied"
        ]
    );
}
